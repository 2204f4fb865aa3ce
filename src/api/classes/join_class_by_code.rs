//! `POST /classes/join/{joinCode}`

use std::sync::Arc;

use poem::{http::StatusCode, web::Data};
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    types::{Date, EXAMPLE_CLASS, EXAMPLE_JOIN_CODE, Instant, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::enrollments::JoinError,
    domain::{
        id::{ClassId, EnrollmentId, UserId},
        join_code::JoinCode,
    },
    entity::enrollment,
    http::{
        api_error::ApiError,
        bearer::Challenge,
        client_address::ClientAddress,
        operation::{ErrorSpec, Link, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::parameter,
    },
};

parameter!(
    /// A join code as a person typed it.
    TypedJoinCode, { max_length: JoinCode::MAX_TYPED, example: EXAMPLE_JOIN_CODE.into() }
);

/// The enrollment of a student in a class.
#[derive(Debug, Object)]
#[oai(rename = "ClassEnrollment", rename_all = "camelCase")]
pub struct Enrollment {
    /// The enrollment ID.
    id: EnrollmentId,
    /// The class.
    class_id: ClassId,
    /// The student.
    student_id: UserId,
    /// The day on which the student joined, in UTC.
    enrolled_at: Date,
    /// The status of the enrollment.
    status: EnrollmentStatus,
    /// When the enrollment was created.
    created_at: Instant,
    /// When the enrollment last changed.
    updated_at: Instant,
}

/// The status of an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ClassEnrollmentStatus", rename_all = "camelCase")]
pub enum EnrollmentStatus {
    /// The student is in the class.
    Active,
    /// The student has left the class.
    Dropped,
    /// The class has ended.
    Completed,
    /// The student waits for the owner's approval.
    Pending,
}

impl From<enrollment::Model> for Enrollment {
    fn from(enrollment: enrollment::Model) -> Self {
        let enrollment::Model {
            id,
            class_id,
            student_id,
            enrolled_at,
            status,
            created_at,
            updated_at,
            origin: _,
            student_key: _,
            sourced_id: _,
        } = enrollment;
        Self {
            id,
            class_id,
            student_id,
            enrolled_at: Date(enrolled_at),
            status: match status {
                enrollment::Status::Active => EnrollmentStatus::Active,
                enrollment::Status::Pending => EnrollmentStatus::Pending,
                enrollment::Status::Dropped | enrollment::Status::Transferred => EnrollmentStatus::Dropped,
                enrollment::Status::Completed | enrollment::Status::Graduated => EnrollmentStatus::Completed,
            },
            created_at: Instant(created_at),
            updated_at: Instant(updated_at),
        }
    }
}

/// `POST /classes/join/{joinCode}`
#[derive(Default)]
pub struct JoinClassByCode;

#[OpenApi(tag = "Tag::Classes")]
impl JoinClassByCode {
    /// Join a class by its join code
    ///
    /// Enrolls the caller in the class of the join code. The code is read as a person types it: case, blanks, dashes and
    /// invisible characters do not count, full-width characters are read as ASCII, `O` as `0`, `I` and `L` as `1`.
    ///
    /// In a class that requires approval the enrollment is `pending` until the owner admits the student. A student who left the class,
    /// or was removed from it, gets the same enrollment again.
    #[oai(path = "/classes/join/:joinCode", method = "post", operation_id = "joinClassByCode")]
    async fn join_class_by_code(
        &self,
        caller: Caller,
        /// The join code, as a person types it
        #[oai(name = "joinCode")]
        join_code: Path<TypedJoinCode>,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<JoinClassByCode> {
        let TypedJoinCode(typed) = &join_code.0;
        let enrollment = services.classroom.enrollments.join(typed, caller.user, address.0, at.0).await?;
        Ok(Success::response(enrollment))
    }
}

impl Operation for JoinClassByCode {
    type Body = Success<Enrollment>;
    type Code = ErrorCode;
    const ID: &'static str = "joinClassByCode";
    const SUCCESS: (u16, &'static str) = (201, "Joined the class successfully");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        INVALID_JOIN_CODE,
        error::UNAUTHORIZED,
        ALREADY_ENROLLED,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[Link {
        to: "getClassById",
        parameter: "classId",
        value: "$response.body#/data/classId",
        description: "The student reads the class. Only if `status` is `active`: a pending student gets 403 until the owner's approval.",
    }];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 201,
            "message": Self::SUCCESS.1,
            "data": {
                "id": "019df262-4ec0-7000-8000-000000000001",
                "classId": EXAMPLE_CLASS,
                "studentId": "019df262-4ec0-7000-8000-000000000002",
                "enrolledAt": "2026-05-04",
                "status": "active",
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
            },
        })
    }
}

/// No active class has this join code.
const INVALID_JOIN_CODE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 400,
    description: "Bad Request - The join code is invalid or has expired, the class is inactive, or the caller owns it",
    code: ErrorCode::InvalidJoinCode,
    message: "The join code is invalid or has expired",
};

/// The student is already enrolled. A class without a free seat also answers 409.
const ALREADY_ENROLLED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 409,
    description: "Conflict - Already enrolled in this class, or the class is full",
    code: ErrorCode::AlreadyEnrolled,
    message: "Already enrolled in this class",
};

impl From<JoinError> for ApiError<ErrorCode> {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::NoSuchCode => Self::documented(INVALID_JOIN_CODE),
            JoinError::Limit(error) => error.into(),
            JoinError::OwnClass => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::OwnClass, "The owner of a class cannot join it")
            }
            JoinError::AlreadyEnrolled => Self::documented(ALREADY_ENROLLED),
            JoinError::ClassFull => Self::documented(error::CLASS_FULL),
            JoinError::NoSuchUser => Self::unauthorized(Challenge::InvalidToken),
            JoinError::Database(error) => error.into(),
        }
    }
}
