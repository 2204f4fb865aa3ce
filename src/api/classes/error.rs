//! The failures of the classroom family: which error of a room is which status, code and message.

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use poem_openapi::{Enum, Object};
use sea_orm::DbErr;

use super::schema::{FailureStatus, Instant};
use crate::{
    api::failure::{Challenge, Envelope, Failure},
    classroom::{classes::ReadError, enrolment::JoinError, join_codes::DrawError},
    identity::tokens::InvalidToken,
    store,
};

/// What went wrong, for a program to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ClassroomErrorCode", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// 400: the request cannot be read.
    BadRequest,
    /// 400: the join code is unknown, expired or replaced.
    InvalidJoinCode,
    /// 400: the class is the bearer's own.
    OwnClass,
    /// 401: no access token was sent, or it is not accepted.
    Unauthorized,
    /// 403: the class is somebody else's.
    Forbidden,
    /// 404: there is no such path.
    NotFound,
    /// 404: there is no such class.
    ClassNotFound,
    /// 405: the path does not know the method.
    MethodNotAllowed,
    /// 409: the student is enrolled already.
    AlreadyEnrolled,
    /// 429: too many of these requests; `Retry-After` says when.
    TooManyRequests,
    /// 500: a fault of the server's.
    InternalServerError,
    /// 503: something the server depends on is busy or away; `Retry-After` says when.
    ServiceUnavailable,
}

/// A failure of the classroom family.
#[derive(Debug, Object)]
#[oai(rename = "ClassroomError", rename_all = "camelCase")]
pub struct ErrorBody {
    /// Always `false`.
    success: bool,
    /// The HTTP status.
    code: FailureStatus,
    /// What went wrong, for a program to read.
    error_code: ErrorCode,
    /// What went wrong, for a person to read.
    #[oai(validator(max_length = 200))]
    message: String,
    /// When the request was received.
    timestamp: Instant,
}

impl Envelope for ErrorCode {
    type Body = ErrorBody;

    fn standard(status: StatusCode) -> (Self, &'static str) {
        match status {
            StatusCode::UNAUTHORIZED => (Self::Unauthorized, "A valid access token is required"),
            StatusCode::NOT_FOUND => (Self::NotFound, "There is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => (Self::MethodNotAllowed, "This path does not know the method"),
            StatusCode::SERVICE_UNAVAILABLE => {
                (Self::ServiceUnavailable, "The service is busy; try again later")
            }
            StatusCode::INTERNAL_SERVER_ERROR => (Self::InternalServerError, "Internal Server Error"),
            _ => (Self::BadRequest, "The request cannot be read"),
        }
    }

    fn body(failure: &Failure<Self>, at: DateTime<Utc>) -> ErrorBody {
        ErrorBody {
            success: false,
            code: FailureStatus(failure.status.as_u16()),
            error_code: failure.code,
            message: failure.messages.join("; "),
            timestamp: Instant(at),
        }
    }
}

/// How long a client should wait for a database that is busy or away, in seconds.
const STORE_RETRY: u64 = 2;

impl From<InvalidToken> for Failure<ErrorCode> {
    fn from(_: InvalidToken) -> Self {
        Self::unauthorized(Challenge::InvalidToken)
    }
}

impl From<DbErr> for Failure<ErrorCode> {
    fn from(error: DbErr) -> Self {
        match store::kind(&error) {
            store::Kind::Unavailable => Self::unavailable(STORE_RETRY, Some(error.into())),
            store::Kind::Taken | store::Kind::Dangling | store::Kind::Broken => Self::internal(error),
        }
    }
}

impl Failure<ErrorCode> {
    /// There is no class of this id.
    pub fn class_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::ClassNotFound, "Class not found")
    }

    /// No class has this join code.
    pub fn invalid_join_code() -> Self {
        let message = "The join code is invalid or has expired";
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidJoinCode, message)
    }
}

impl From<DrawError> for Failure<ErrorCode> {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::NoSuchClass => Self::class_not_found(),
            DrawError::NotOwner => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Forbidden,
                "Only class owner can generate join code",
            ),
            DrawError::Exhausted => Self::internal(error),
            DrawError::Store(error) => error.into(),
        }
    }
}

impl From<ReadError> for Failure<ErrorCode> {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoSuchClass => Self::class_not_found(),
            ReadError::NotMember => {
                let message = "Only the owner and enrolled students can read the class";
                Self::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message)
            }
            ReadError::Store(error) => error.into(),
        }
    }
}

impl From<JoinError> for Failure<ErrorCode> {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::NoSuchCode => Self::invalid_join_code(),
            JoinError::OwnClass => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::OwnClass, "The owner of a class cannot join it")
            }
            JoinError::AlreadyEnrolled => {
                let message = "Already enrolled in this class";
                Self::new(StatusCode::CONFLICT, ErrorCode::AlreadyEnrolled, message)
            }
            JoinError::NoSuchUser => Self::unauthorized(Challenge::InvalidToken),
            JoinError::Store(error) => error.into(),
        }
    }
}
