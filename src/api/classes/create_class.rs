//! `POST /classes`

use std::sync::Arc;

use poem::{http::StatusCode, web::Data};
use poem_openapi::{Object, OpenApi};
use serde_json::{Map, Value, json};

use super::{
    class::{self, Class, ETAG},
    error::{self, ErrorCode},
    types::{EXAMPLE_CLASS, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::classes::{CreateError, NewClass, VisibleClass},
    domain::{
        class_name::ClassName, class_settings::ClassSettings, description::ClassDescription,
        max_students::MaxStudents,
    },
    http::{
        api_error::ApiError,
        bearer::Challenge,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Link, Operation, OperationResult, ResponseHeader},
        received_at::ReceivedAt,
        validation::Violation,
    },
};

/// A class to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CreateClassRequest {
    /// The name of the class: at least one character that is not blank, and no control character.
    name: ClassName,
    /// The description of the class: no control character except line breaks.
    description: Option<ClassDescription>,
    /// Settings of the client: an object of any form, of at most 8,192 bytes and 8 levels, without U+0000.
    settings: Option<ClassSettings>,
    /// The maximum number of active students. Absent: no limit.
    max_students: Option<MaxStudents>,
    /// Whether joining with a code needs the owner's approval. Absent: `false`.
    requires_approval: Option<bool>,
}

impl JsonBody for CreateClassRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        class::violations(members)
    }
}

/// `POST /classes`
#[derive(Default)]
pub struct CreateClass;

#[OpenApi(tag = "Tag::Classes")]
impl CreateClass {
    /// Create a class
    ///
    /// The caller becomes the owner of the class. The class is active, and has no join code and no students.
    ///
    /// A user may own as many classes as the operator of the server allows. An account that the school made cannot own a class.
    #[oai(path = "/classes", method = "post", operation_id = "createClass")]
    async fn create_class(
        &self,
        caller: Caller,
        body: Json<CreateClassRequest>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<CreateClass> {
        let CreateClassRequest { name, description, settings, max_students, requires_approval } = body.0;
        let requires_approval = requires_approval.unwrap_or_default();
        let class =
            NewClass { description, settings, max_students, requires_approval, ..NewClass::named(name) };
        let class = services.classroom.classes.create(class, caller.user, at.0).await?;
        Ok(class::response(VisibleClass { class, join_code: None }))
    }
}

impl Operation for CreateClass {
    type Body = Success<Class>;
    type Code = ErrorCode;
    const ID: &'static str = "createClass";
    const SUCCESS: (u16, &'static str) = (201, "Class created");
    const HEADERS: &'static [ResponseHeader] = &[ETAG];
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request("name is required"),
        error::UNAUTHORIZED,
        LIMIT_REACHED,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[
        Link {
            to: "getClassById",
            parameter: "classId",
            value: "$response.body#/data/id",
            description: "The owner reads the class.",
        },
        Link {
            to: "generateJoinCode",
            parameter: "classId",
            value: "$response.body#/data/id",
            description: "The owner generates the first join code of the class.",
        },
    ];

    fn request_example() -> Option<Value> {
        Some(json!({
            "name": "10A1",
            "description": "Mathematics on Mondays and Thursdays",
            "settings": { "color": "green" },
            "maxStudents": 30,
            "requiresApproval": false,
        }))
    }

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 201,
            "message": Self::SUCCESS.1,
            "data": {
                "id": EXAMPLE_CLASS,
                "ownerId": "019df262-4ec0-7000-8000-000000000003",
                "name": "10A1",
                "description": "Mathematics on Mondays and Thursdays",
                "joinCode": null,
                "settings": { "color": "green" },
                "isActive": true,
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
                "maxStudents": 30,
                "requiresApproval": false,
            },
        })
    }
}

/// The caller owns as many classes as allowed.
const LIMIT_REACHED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - The caller owns as many classes as allowed, or has an account of the school",
    code: ErrorCode::ClassLimitReached,
    message: "You own as many classes as this server allows",
};

impl From<CreateError> for ApiError<ErrorCode> {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::LimitReached => Self::documented(LIMIT_REACHED),
            CreateError::SchoolAccount => {
                Self::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, "Student accounts cannot own classes")
            }
            CreateError::NoSuchUser => Self::unauthorized(Challenge::InvalidToken),
            CreateError::Database(error) => error.into(),
        }
    }
}
