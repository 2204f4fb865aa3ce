//! `GET /classes/{classId}`

use std::{collections::BTreeMap, sync::Arc};

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::Any};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    types::{ClassPath, EXAMPLE_CLASS, EXAMPLE_JOIN_CODE, Instant, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::classes::{ReadError, VisibleClass},
    domain::{
        class_name::ClassName,
        id::{ClassId, UserId},
        join_code::JoinCode,
    },
    entity::class,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, Link, Operation, OperationResult},
        received_at::ReceivedAt,
    },
};

/// A class.
#[derive(Debug, Object)]
#[oai(rename = "SchoolClass", rename_all = "camelCase")]
pub struct Class {
    /// The class ID.
    id: ClassId,
    /// The user who owns the class.
    owner_id: UserId,
    /// The name of the class.
    name: ClassName,
    /// The description of the class.
    #[oai(nullable, validator(max_length = 1000))]
    description: Option<String>,
    /// The current join code of the class. Null for everyone but the owner, and if there is none.
    #[oai(nullable)]
    join_code: Option<JoinCode>,
    /// Settings of the client, an object of any form.
    #[oai(nullable)]
    settings: Option<BTreeMap<String, Any<Value>>>,
    /// Whether the class is active.
    is_active: bool,
    /// When the class was created.
    created_at: Instant,
    /// When the name, the description, the settings or the activity last changed.
    updated_at: Instant,
}

impl From<VisibleClass> for Class {
    fn from(VisibleClass { class, join_code }: VisibleClass) -> Self {
        let class::Model { id, owner_id, name, description, settings, is_active, created_at, updated_at } =
            class;
        Self {
            id,
            owner_id,
            name,
            description,
            join_code,
            settings: settings.and_then(members),
            is_active,
            created_at: Instant(created_at),
            updated_at: Instant(updated_at),
        }
    }
}

/// The members of the settings, which are an object.
fn members(settings: Value) -> Option<BTreeMap<String, Any<Value>>> {
    match settings {
        Value::Object(members) => {
            Some(members.into_iter().map(|(name, member)| (name, Any(member))).collect())
        }
        _ => None,
    }
}

/// `GET /classes/{classId}`
#[derive(Default)]
pub struct GetClassById;

#[OpenApi(tag = "Tag::Classes")]
impl GetClassById {
    /// Read a class
    ///
    /// The owner and the enrolled students may read it. The owner sees the current join code.
    #[oai(path = "/classes/:classId", method = "get", operation_id = "getClassById")]
    async fn get_class_by_id(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<GetClassById> {
        let class = services.classroom.classes.read(class_id.known()?, caller.user, at.0).await?;
        Ok(Success::response(class))
    }
}

impl Operation for GetClassById {
    type Body = Success<Class>;
    type Code = ErrorCode;
    const ID: &'static str = "getClassById";
    const SUCCESS: (u16, &'static str) = (200, "Class found");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_MEMBER,
        error::CLASS_NOT_FOUND,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[
        Link {
            to: "generateJoinCode",
            parameter: "classId",
            value: "$response.body#/data/id",
            description: "The class's owner generates its next join code.",
        },
        Link {
            to: "joinClassByCode",
            parameter: "joinCode",
            value: "$response.body#/data/joinCode",
            description: "A student joins with the code that the owner sees, if there is one.",
        },
    ];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "id": EXAMPLE_CLASS,
                "ownerId": "019df262-4ec0-7000-8000-000000000003",
                "name": "10A1",
                "description": null,
                "joinCode": EXAMPLE_JOIN_CODE,
                "settings": null,
                "isActive": true,
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
            },
        })
    }
}

/// The caller neither owns the class nor is enrolled in it.
const NOT_MEMBER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only the owner and enrolled students can read the class",
    code: ErrorCode::Forbidden,
    message: "Only the owner and enrolled students can read the class",
};

impl From<ReadError> for ApiError<ErrorCode> {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            ReadError::NotMember => Self::documented(NOT_MEMBER),
            ReadError::Database(error) => error.into(),
        }
    }
}
