//! `POST /classes/{classId}/students/{studentId}/reset-password`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    student::{self, Student},
    types::{ClassPath, StudentPath, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::retry_after::RetryAfter,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
    },
    school::{ownership::OwnershipError, student_passwords::ResetError},
};

/// `POST /classes/{classId}/students/{studentId}/reset-password`
#[derive(Default)]
pub struct ResetStudentPassword;

#[OpenApi(tag = "Tag::Students")]
impl ResetStudentPassword {
    /// Reset a student's password
    ///
    /// Replaces the password of a student by a generated one. Only class owner can perform this action. The answer shows the user
    /// name and the password, this once. All sessions of the student end, and failed sign-ins are forgotten.
    ///
    /// It works for active students whom the school or the owner put into this class, with an account that the school made. A student who
    /// joined with a code keeps the password: a code gives the owner of a class no power over an account. The same is true of a student
    /// who left the class and came back, and of one whom an import put into the class and who came back without an import.
    #[oai(
        path = "/classes/:classId/students/:studentId/reset-password",
        method = "post",
        operation_id = "resetStudentPassword"
    )]
    async fn reset_student_password(
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
    ) -> OperationResult<ResetStudentPassword> {
        let class = class_id.known()?;
        let student = student_id.0.known().ok();
        Ok(Success::response(services.school.passwords.reset(class, caller.user, student, at.0).await?))
    }
}

impl Operation for ResetStudentPassword {
    type Body = Success<Student>;
    type Code = ErrorCode;
    const ID: &'static str = "resetStudentPassword";
    const SUCCESS: (u16, &'static str) = (200, "Password reset");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::STUDENT_NOT_FOUND,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": student::example_with_password("garden-seven-music-boat"),
        })
    }
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can reset passwords, and only of accounts that the school made and of students \
                  who did not join with a code",
    code: ErrorCode::Forbidden,
    message: "Only class owner can reset passwords",
};

impl From<ResetError> for ApiError<ErrorCode> {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Class(OwnershipError::NoSuchClass) => Self::documented(error::CLASS_NOT_FOUND),
            ResetError::Class(OwnershipError::NotOwner) => Self::documented(NOT_OWNER),
            ResetError::Limit(error) => error.into(),
            ResetError::NoSuchStudent => Self::documented(error::STUDENT_NOT_FOUND),
            ResetError::NotSchoolAccount => Self::documented(error::NOT_SCHOOL_ACCOUNT),
            ResetError::Changed => Self::unavailable(RetryAfter::MIN, Some(error.into())),
            ResetError::Hash(error) => error.into(),
            ResetError::Class(OwnershipError::Database(error)) | ResetError::Database(error) => error.into(),
        }
    }
}
