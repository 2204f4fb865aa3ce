//! `GET /classes`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::Query,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use serde_json::{Value, json};

use super::{
    class::Class,
    error::{self, ErrorCode},
    types::{EXAMPLE_CLASS, EXAMPLE_JOIN_CODE, Page},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::classes::ClassQuery,
    domain::class_name::ClassName,
    entity::class::Sort,
    http::{
        operation::{ErrorSpec, Link, Operation, OperationResult},
        parameters::{Flag, PageNumber, PageSize, page_request, value_parameter},
        received_at::ReceivedAt,
        string_types::text,
    },
};

value_parameter!(
    /// The order of the classes.
    SortParameter(Sort),
    MetaSchema {
        max_length: Some("createdAt-desc".len()),
        pattern: Some("^(name|createdAt)-(asc|desc)$".to_owned()),
        default: Some("createdAt-desc".into()),
        example: Some("name-asc".into()),
        ..MetaSchema::new("string")
    },
    |text| match text {
        "name-asc" => Some(Sort::NameAscending),
        "name-desc" => Some(Sort::NameDescending),
        "createdAt-asc" => Some(Sort::OldestFirst),
        "createdAt-desc" => Some(Sort::NewestFirst),
        _ => None,
    }
);

/// A part of the name of a class.
#[derive(Debug)]
pub struct SearchParameter(String);

text!(SearchParameter, "Search", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: ClassName::MAX,
    example: "10a".into(),
});

impl ParseFromParameter for SearchParameter {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        if text.chars().count() <= ClassName::MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err("too long".into())
        }
    }
}

/// `GET /classes`
#[derive(Default)]
pub struct GetClasses;

#[OpenApi(tag = "Tag::Classes")]
impl GetClasses {
    /// List the caller's classes
    ///
    /// The classes that the caller owns, and those in which the caller is an active student. An owner sees the current join codes.
    ///
    /// Classes with the same name or time follow each other by ID, so that every class is on exactly one page. A page after the
    /// last one is empty.
    #[oai(path = "/classes", method = "get", operation_id = "getClasses")]
    #[expect(clippy::too_many_arguments, reason = "one for each documented parameter")]
    async fn get_classes(
        &self,
        caller: Caller,
        /// The number of the page, from 1
        page: Query<Option<PageNumber>>,
        /// The number of classes on a page
        #[oai(name = "pageSize")]
        page_size: Query<Option<PageSize>>,
        /// The order: `name-asc`, `name-desc`, `createdAt-asc` or `createdAt-desc`
        sort: Query<Option<SortParameter>>,
        /// A part of the name, compared without case and accents. Empty: all classes
        search: Query<Option<SearchParameter>>,
        /// Only active classes, or only inactive ones. Absent: both
        #[oai(name = "isActive")]
        is_active: Query<Option<Flag>>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<GetClasses> {
        let query = ClassQuery {
            page: page_request(page.0, page_size.0),
            sort: sort.0.map_or(Sort::NewestFirst, |SortParameter(sort)| sort),
            search: search.0.map(|SearchParameter(text)| text),
            is_active: is_active.0.map(|Flag(is_active)| is_active),
        };
        let (classes, info) = services.classroom.classes.list(caller.user, query, at.0).await?;
        Ok(Page::response(classes, info))
    }
}

impl Operation for GetClasses {
    type Body = Page<Class>;
    type Code = ErrorCode;
    const ID: &'static str = "getClasses";
    const SUCCESS: (u16, &'static str) = (200, "Classes found");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request("page is missing or is not valid"),
        error::UNAUTHORIZED,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[Link {
        to: "getClassById",
        parameter: "classId",
        value: "$response.body#/data/0/id",
        description: "The caller reads the first of the classes.",
    }];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": [{
                "id": EXAMPLE_CLASS,
                "ownerId": "019df262-4ec0-7000-8000-000000000003",
                "name": "10A1",
                "description": null,
                "joinCode": EXAMPLE_JOIN_CODE,
                "settings": null,
                "isActive": true,
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
                "maxStudents": null,
                "requiresApproval": false,
            }],
            "pagination": { "currentPage": 1, "pageSize": 10, "totalItems": 1, "totalPages": 1 },
        })
    }
}
