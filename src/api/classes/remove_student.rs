//! `DELETE /classes/{classId}/students/{studentId}`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};

use super::{
    error::{self, ErrorCode},
    types::{ClassPath, StudentPath},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::enrollments::RemoveError,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, NoContent, Operation, OperationResponse, OperationResult},
        received_at::ReceivedAt,
    },
};

/// `DELETE /classes/{classId}/students/{studentId}`
#[derive(Default)]
pub struct RemoveStudent;

#[OpenApi(tag = "Tag::Students")]
impl RemoveStudent {
    /// Remove a student from a class
    ///
    /// The status of the student becomes `dropped`, and the account stays. Also refuses a student who waits for approval. Only class
    /// owner can perform this action. A removed student can join again with a valid join code. A new join code, or
    /// `requiresApproval`, prevents that.
    #[oai(
        path = "/classes/:classId/students/:studentId",
        method = "delete",
        operation_id = "removeStudentFromClass"
    )]
    async fn remove_student_from_class(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        /// The student ID
        #[oai(name = "studentId")]
        student_id: Path<StudentPath>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<RemoveStudent> {
        let (class, student) = (class_id.known()?, student_id.known()?);
        services.classroom.enrollments.remove(class, caller.user, student, at.0).await?;
        Ok(OperationResponse::no_content())
    }
}

impl Operation for RemoveStudent {
    type Body = NoContent;
    type Code = ErrorCode;
    const ID: &'static str = "removeStudentFromClass";
    const SUCCESS: (u16, &'static str) = (204, "Student removed from the class");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::STUDENT_NOT_FOUND,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can remove students",
    code: ErrorCode::Forbidden,
    message: "Only class owner can remove students",
};

impl From<RemoveError> for ApiError<ErrorCode> {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            RemoveError::NotOwner => Self::documented(NOT_OWNER),
            RemoveError::NoSuchStudent => Self::documented(error::STUDENT_NOT_FOUND),
            RemoveError::Database(error) => error.into(),
        }
    }
}
