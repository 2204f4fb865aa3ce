//! `DELETE /classes/{classId}`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};

use super::{
    error::{self, ErrorCode},
    types::ClassPath,
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::classes::{ChangeError, DeleteError},
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, NoContent, Operation, OperationResponse, OperationResult},
        parameters::IfMatchHeader,
        received_at::ReceivedAt,
    },
};

/// `DELETE /classes/{classId}`
#[derive(Default)]
pub struct DeleteClass;

#[OpenApi(tag = "Tag::Classes")]
impl DeleteClass {
    /// Delete a class
    ///
    /// Deletes the class, its enrollments and its join code. Only class owner can perform this action. The accounts of its
    /// students stay.
    ///
    /// With the `ETag` of an earlier response in `If-Match`, the class is deleted only if it is still the same.
    #[oai(path = "/classes/:classId", method = "delete", operation_id = "deleteClass")]
    async fn delete_class(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        /// The tags of the versions that may be deleted, or `*` (RFC 9110 section 13.1.1). Absent: every version
        #[oai(name = "If-Match")]
        if_match: IfMatchHeader,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<DeleteClass> {
        services.classroom.classes.delete(class_id.known()?, caller.user, if_match.0, at.0).await?;
        Ok(OperationResponse::no_content())
    }
}

impl Operation for DeleteClass {
    type Body = NoContent;
    type Code = ErrorCode;
    const ID: &'static str = "deleteClass";
    const SUCCESS: (u16, &'static str) = (204, "Class deleted");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request("If-Match is missing or is not valid"),
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::PRECONDITION_FAILED,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can delete the class",
    code: ErrorCode::Forbidden,
    message: "Only class owner can delete the class",
};

impl From<DeleteError> for ApiError<ErrorCode> {
    fn from(DeleteError(error): DeleteError) -> Self {
        match error {
            ChangeError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            ChangeError::NotOwner => Self::documented(NOT_OWNER),
            ChangeError::Changed => Self::documented(error::PRECONDITION_FAILED),
            ChangeError::Database(error) => error.into(),
        }
    }
}
