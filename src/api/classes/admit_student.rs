//! `POST /classes/{classId}/students/{studentId}/admit`

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
    classroom::enrollments::AdmitError,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
    },
};

/// `POST /classes/{classId}/students/{studentId}/admit`
#[derive(Default)]
pub struct AdmitStudent;

#[OpenApi(tag = "Tag::Students")]
impl AdmitStudent {
    /// Admit a pending student
    ///
    /// The status of the student becomes `active`. An active student stays so. Only class owner can perform this action. To refuse a
    /// student, remove the student from the class.
    #[oai(
        path = "/classes/:classId/students/:studentId/admit",
        method = "post",
        operation_id = "admitStudent"
    )]
    async fn admit_student(
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
    ) -> OperationResult<AdmitStudent> {
        let (class, student) = (class_id.known()?, student_id.known()?);
        let student = services.classroom.enrollments.admit(class, caller.user, student, at.0).await?;
        Ok(Success::response(student))
    }
}

impl Operation for AdmitStudent {
    type Body = Success<Student>;
    type Code = ErrorCode;
    const ID: &'static str = "admitStudent";
    const SUCCESS: (u16, &'static str) = (200, "Student admitted");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::STUDENT_NOT_FOUND,
        error::CLASS_FULL,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn success_example() -> Value {
        json!({ "success": true, "code": 200, "message": Self::SUCCESS.1, "data": student::example() })
    }
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can admit students",
    code: ErrorCode::Forbidden,
    message: "Only class owner can admit students",
};

impl From<AdmitError> for ApiError<ErrorCode> {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            AdmitError::NotOwner => Self::documented(NOT_OWNER),
            AdmitError::NoSuchStudent => Self::documented(error::STUDENT_NOT_FOUND),
            AdmitError::ClassFull => Self::documented(error::CLASS_FULL),
            AdmitError::ClassInactive => Self::documented(error::CLASS_INACTIVE),
            AdmitError::Database(error) => error.into(),
        }
    }
}
