//! `GET /classes/{classId}/students`

use std::sync::Arc;

use poem::{http::StatusCode, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    student::{self, Student, StudentStatus},
    types::{ClassPath, Page},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::rosters::{RosterError, RosterQuery},
    entity::enrollment::Status,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, Link, Operation, OperationResult},
        parameters::{PageNumber, PageSize, page_request, value_parameter},
    },
};

value_parameter!(
    /// The status of the students.
    StatusParameter(StudentStatus),
    MetaSchema {
        max_length: Some(StudentStatus::MAX),
        pattern: Some(StudentStatus::PATTERN.to_owned()),
        default: Some("active".into()),
        example: Some("active".into()),
        ..MetaSchema::new("string")
    },
    |text| StudentStatus::parse(text).ok()
);

/// `GET /classes/{classId}/students`
#[derive(Default)]
pub struct GetStudents;

#[OpenApi(tag = "Tag::Students")]
impl GetStudents {
    /// List the students of a class
    ///
    /// The students with one status, in the order of last name and first name. The owner sees the names and the enrollment, and of active
    /// students also phone number and picture. Students of the class see the active ones: ID, names and status, and null for the other
    /// properties.
    ///
    /// Students with the same names follow each other by ID, so that every student is on exactly one page. A page after the last one
    /// is empty.
    #[oai(path = "/classes/:classId/students", method = "get", operation_id = "getStudentsByClassId")]
    async fn get_students_by_class_id(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        /// The number of the page, from 1
        page: Query<Option<PageNumber>>,
        /// The number of students on a page
        size: Query<Option<PageSize>>,
        /// The status: `active`, `transferred`, `graduated`, `dropped` or `pending`. Only the owner asks for another one than `active`
        status: Query<Option<StatusParameter>>,
        services: Data<&Arc<Services>>,
    ) -> OperationResult<GetStudents> {
        let query = RosterQuery {
            page: page_request(page.0, size.0),
            status: status.0.map_or(Status::Active, |StatusParameter(status)| status.status()),
        };
        let (students, info) = services.classroom.rosters.page(class_id.known()?, caller.user, query).await?;
        Ok(Page::response(students, info))
    }
}

impl Operation for GetStudents {
    type Body = Page<Student>;
    type Code = ErrorCode;
    const ID: &'static str = "getStudentsByClassId";
    const SUCCESS: (u16, &'static str) = (200, "Students found");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request("page is missing or is not valid"),
        error::UNAUTHORIZED,
        NOT_MEMBER,
        error::CLASS_NOT_FOUND,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[Link {
        to: "updateStudent",
        parameter: "studentId",
        value: "$response.body#/data/0/id",
        description: "The owner changes the first of the students.",
    }];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": [student::example()],
            "pagination": { "currentPage": 1, "pageSize": 10, "totalItems": 1, "totalPages": 1 },
        })
    }
}

/// The caller neither owns the class nor is a student of it.
const NOT_MEMBER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only the owner and enrolled students can read the class",
    code: ErrorCode::Forbidden,
    message: "Only the owner and enrolled students can read the class",
};

impl From<RosterError> for ApiError<ErrorCode> {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            RosterError::NotMember => Self::documented(NOT_MEMBER),
            RosterError::ActiveOnly => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Forbidden,
                "Only class owner can list students who are not active",
            ),
            RosterError::Database(error) => error.into(),
        }
    }
}
