//! `POST /classes/{classId}/leave`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};

use super::{
    error::{self, ErrorCode},
    types::ClassPath,
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::enrollments::LeaveError,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, NoContent, Operation, OperationResponse, OperationResult},
        received_at::ReceivedAt,
    },
};

/// `POST /classes/{classId}/leave`
#[derive(Default)]
pub struct LeaveClass;

#[OpenApi(tag = "Tag::Students")]
impl LeaveClass {
    /// Leave a class
    ///
    /// The status of the caller in the class becomes `dropped`. Also withdraws a request that waits for approval. The caller can join
    /// again with a valid join code. After that, the password of the caller can no longer be reset in this class.
    #[oai(path = "/classes/:classId/leave", method = "post", operation_id = "leaveClass")]
    async fn leave_class(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<LeaveClass> {
        services.classroom.enrollments.leave(class_id.known()?, caller.user, at.0).await?;
        Ok(OperationResponse::no_content())
    }
}

impl Operation for LeaveClass {
    type Body = NoContent;
    type Code = ErrorCode;
    const ID: &'static str = "leaveClass";
    const SUCCESS: (u16, &'static str) = (204, "Left the class");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_ENROLLED,
        error::CLASS_NOT_FOUND,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
}

/// The caller is no student of the class.
const NOT_ENROLLED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only students of the class and pending joiners can leave it",
    code: ErrorCode::Forbidden,
    message: "Only students of the class and pending joiners can leave it",
};

impl From<LeaveError> for ApiError<ErrorCode> {
    fn from(error: LeaveError) -> Self {
        match error {
            LeaveError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            LeaveError::NotEnrolled => Self::documented(NOT_ENROLLED),
            LeaveError::Database(error) => error.into(),
        }
    }
}
