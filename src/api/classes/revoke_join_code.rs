//! `DELETE /classes/{classId}/join-code`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};

use super::{
    error::{self, ErrorCode},
    types::ClassPath,
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::join_codes::RevokeError,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, NoContent, Operation, OperationResponse, OperationResult},
    },
};

/// `DELETE /classes/{classId}/join-code`
#[derive(Default)]
pub struct RevokeJoinCode;

#[OpenApi(tag = "Tag::Classes")]
impl RevokeJoinCode {
    /// Revoke the join code of a class
    ///
    /// After the response, no join with the code succeeds. Students who joined with it stay. Only class owner can perform this
    /// action. A class without a code stays so.
    #[oai(path = "/classes/:classId/join-code", method = "delete", operation_id = "revokeJoinCode")]
    async fn revoke_join_code(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        services: Data<&Arc<Services>>,
    ) -> OperationResult<RevokeJoinCode> {
        services.classroom.join_codes.revoke(class_id.known()?, caller.user).await?;
        Ok(OperationResponse::no_content())
    }
}

impl Operation for RevokeJoinCode {
    type Body = NoContent;
    type Code = ErrorCode;
    const ID: &'static str = "revokeJoinCode";
    const SUCCESS: (u16, &'static str) = (204, "Join code revoked");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can revoke the join code",
    code: ErrorCode::Forbidden,
    message: "Only class owner can revoke the join code",
};

impl From<RevokeError> for ApiError<ErrorCode> {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            RevokeError::NotOwner => Self::documented(NOT_OWNER),
            RevokeError::Database(error) => error.into(),
        }
    }
}
