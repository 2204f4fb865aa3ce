//! `POST /classes/{classId}/join-code`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    types::{ClassPath, EXAMPLE_JOIN_CODE, Instant, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::join_codes::{GenerateError, Generated},
    domain::join_code::JoinCode,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, Link, Operation, OperationResult},
        received_at::ReceivedAt,
    },
};

/// A new join code.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct GeneratedJoinCode {
    /// The join code: 8 characters of Crockford's base 32 without `A` and `E`, unique among all classes.
    join_code: JoinCode,
    /// When the join code expires.
    expires_at: Instant,
}

impl From<Generated> for GeneratedJoinCode {
    fn from(Generated { code, expires_at }: Generated) -> Self {
        Self { join_code: code, expires_at: Instant(expires_at) }
    }
}

/// `POST /classes/{classId}/join-code`
#[derive(Default)]
pub struct GenerateJoinCode;

#[OpenApi(tag = "Tag::Classes")]
impl GenerateJoinCode {
    /// Generate or regenerate the join code of a class
    ///
    /// Generates or regenerates a unique join code for the class. Only class owner can perform this action.
    ///
    /// The new code replaces the previous one: after the response, no join with the previous code succeeds. A body is not read.
    ///
    /// An inactive class gets a code too. Until the class is active, the code admits nobody, and `joinCode` of the class is null.
    ///
    /// `/api/classes/{classId}/join-code` is answered too, for clients whose base URL ends in `/api`. So are all paths that are or begin
    /// with `/classes`, `/students` or `/user`.
    #[oai(path = "/classes/:classId/join-code", method = "post", operation_id = "generateJoinCode")]
    async fn generate_join_code(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<GenerateJoinCode> {
        let class = class_id.known()?;
        let generated = services.classroom.join_codes.generate(class, caller.user, at.0).await?;
        Ok(Success::response(generated))
    }
}

impl Operation for GenerateJoinCode {
    type Body = Success<GeneratedJoinCode>;
    type Code = ErrorCode;
    const ID: &'static str = "generateJoinCode";
    const SUCCESS: (u16, &'static str) = (200, "Join code generated successfully");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[
        Link {
            to: "joinClassByCode",
            parameter: "joinCode",
            value: "$response.body#/data/joinCode",
            description: "A student joins the class with this code, if the class is active.",
        },
        Link {
            to: "getClassById",
            parameter: "classId",
            value: "$request.path.classId",
            description: "The class shows this code to its owner, if the class is active.",
        },
    ];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": { "joinCode": EXAMPLE_JOIN_CODE, "expiresAt": "2026-05-11T09:42:00Z" },
        })
    }
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can generate join code",
    code: ErrorCode::Forbidden,
    message: "Only class owner can generate join code",
};

impl From<GenerateError> for ApiError<ErrorCode> {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            GenerateError::NotOwner => Self::documented(NOT_OWNER),
            GenerateError::Limit(error) => error.into(),
            GenerateError::Exhausted => Self::internal(error),
            GenerateError::Database(error) => error.into(),
        }
    }
}
