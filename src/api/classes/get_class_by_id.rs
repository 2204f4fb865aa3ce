//! `GET /classes/{classId}`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    class::{self, Class, ETAG},
    error::{self, ErrorCode},
    types::{ClassPath, EXAMPLE_CLASS, EXAMPLE_JOIN_CODE, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::classes::ReadError,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, Link, Operation, OperationResult, ResponseHeader},
        received_at::ReceivedAt,
    },
};

/// `GET /classes/{classId}`
#[derive(Default)]
pub struct GetClassById;

#[OpenApi(tag = "Tag::Classes")]
impl GetClassById {
    /// Read a class
    ///
    /// The owner and the active students may read it. Pending and former students may not. The owner sees the current join code, while the
    /// class is active.
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
        Ok(class::response(class))
    }
}

impl Operation for GetClassById {
    type Body = Success<Class>;
    type Code = ErrorCode;
    const ID: &'static str = "getClassById";
    const SUCCESS: (u16, &'static str) = (200, "Class found");
    const HEADERS: &'static [ResponseHeader] = &[ETAG];
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
                "maxStudents": null,
                "requiresApproval": false,
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
