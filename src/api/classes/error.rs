//! The failures of the classroom family: which error of a room is which status, code and message.

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use poem_openapi::{Enum, Object};

use super::types::Instant;
use crate::{
    classroom::{classes::ReadError, enrollments::JoinError, join_codes::GenerateError},
    http::{
        api_error::{ApiError, Challenge, Envelope},
        constants::{Always, ErrorStatus},
        operation::ErrorSpec,
    },
    identity::tokens::InvalidToken,
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
    /// 415: the body has a content coding.
    UnsupportedMediaType,
    /// 429: too many of these requests; `Retry-After` says when.
    TooManyRequests,
    /// 500: a fault of the server's.
    InternalServerError,
    /// 501: the request has a transfer coding other than `chunked`.
    NotImplemented,
    /// 503: something the server depends on is busy or away; `Retry-After` says when.
    ServiceUnavailable,
}

/// A failure of the classroom family.
#[derive(Debug, Object)]
#[oai(rename = "ClassroomError", rename_all = "camelCase")]
pub struct ErrorBody {
    /// Always `false`.
    success: Always<false>,
    /// The HTTP status.
    code: ErrorStatus,
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
            StatusCode::UNAUTHORIZED => (UNAUTHORIZED.code, UNAUTHORIZED.message),
            StatusCode::NOT_FOUND => (Self::NotFound, "There is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => (Self::MethodNotAllowed, "This path does not know the method"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (Self::UnsupportedMediaType, "The content coding is not supported")
            }
            StatusCode::NOT_IMPLEMENTED => (Self::NotImplemented, "Transfer-Encoding must be chunked"),
            StatusCode::TOO_MANY_REQUESTS => (TOO_MANY_REQUESTS.code, TOO_MANY_REQUESTS.message),
            StatusCode::SERVICE_UNAVAILABLE => (SERVICE_UNAVAILABLE.code, SERVICE_UNAVAILABLE.message),
            StatusCode::INTERNAL_SERVER_ERROR => (INTERNAL_SERVER_ERROR.code, INTERNAL_SERVER_ERROR.message),
            _ => (Self::BadRequest, "The request cannot be read"),
        }
    }

    fn body(failure: &ApiError<Self>, at: DateTime<Utc>) -> ErrorBody {
        ErrorBody {
            success: Always,
            code: ErrorStatus(failure.status.as_u16()),
            error_code: failure.code,
            message: failure.messages.join("; "),
            timestamp: Instant(at),
        }
    }
}

/// No token, or none that is accepted.
pub const UNAUTHORIZED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 401,
    description: "Unauthorized - Invalid or missing authentication token",
    code: ErrorCode::Unauthorized,
    message: "A valid access token is required",
};

/// There is no class of this id.
pub const CLASS_NOT_FOUND: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 404,
    description: "Class not found",
    code: ErrorCode::ClassNotFound,
    message: "Class not found",
};

/// Too many of these requests.
pub const TOO_MANY_REQUESTS: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 429,
    description: "Too Many Requests - Retry-After says when the next one is welcome",
    code: ErrorCode::TooManyRequests,
    message: "Too many requests; try again later",
};

/// A fault of the server. No request can cause it: the tests cause it by damage to the database.
pub const INTERNAL_SERVER_ERROR: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 500,
    description: "Internal Server Error",
    code: ErrorCode::InternalServerError,
    message: "Internal Server Error",
};

/// Something we depend on is busy or away.
pub const SERVICE_UNAVAILABLE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 503,
    description: "Service Unavailable - Busy, or the database is away; Retry-After says when to try again",
    code: ErrorCode::ServiceUnavailable,
    message: "The service is busy; try again later",
};

/// The class is somebody else's.
pub const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can generate join code",
    code: ErrorCode::Forbidden,
    message: "Only class owner can generate join code",
};

/// No class has this join code.
pub const INVALID_JOIN_CODE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 400,
    description: "Bad Request - The join code is invalid or has expired, or the class is the bearer's own",
    code: ErrorCode::InvalidJoinCode,
    message: "The join code is invalid or has expired",
};

/// The student has a place in the class.
pub const ALREADY_ENROLLED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 409,
    description: "Conflict - Already enrolled in this class",
    code: ErrorCode::AlreadyEnrolled,
    message: "Already enrolled in this class",
};

/// The reader neither owns the class nor is enrolled in it.
pub const NOT_MEMBER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only the owner and enrolled students can read the class",
    code: ErrorCode::Forbidden,
    message: "Only the owner and enrolled students can read the class",
};

impl From<InvalidToken> for ApiError<ErrorCode> {
    fn from(_: InvalidToken) -> Self {
        Self::unauthorized(Challenge::InvalidToken)
    }
}

impl From<GenerateError> for ApiError<ErrorCode> {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::NoSuchClass => Self::documented(CLASS_NOT_FOUND),
            GenerateError::NotOwner => Self::new(
                StatusCode::FORBIDDEN,
                ErrorCode::Forbidden,
                "Only class owner can generate join code",
            ),
            GenerateError::RateLimited { retry_after_seconds } => {
                Self { retry_after: Some(retry_after_seconds), ..Self::documented(TOO_MANY_REQUESTS) }
            }
            GenerateError::Exhausted => Self::internal(error),
            GenerateError::Database(error) => error.into(),
        }
    }
}

impl From<ReadError> for ApiError<ErrorCode> {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoSuchClass => Self::documented(CLASS_NOT_FOUND),
            ReadError::NotMember => Self::documented(NOT_MEMBER),
            ReadError::Database(error) => error.into(),
        }
    }
}

impl From<JoinError> for ApiError<ErrorCode> {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::NoSuchCode => Self::documented(INVALID_JOIN_CODE),
            JoinError::RateLimited { retry_after_seconds } => Self::too_many_requests(retry_after_seconds),
            JoinError::OwnClass => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::OwnClass, "The owner of a class cannot join it")
            }
            JoinError::AlreadyEnrolled => Self::documented(ALREADY_ENROLLED),
            JoinError::NoSuchUser => Self::unauthorized(Challenge::InvalidToken),
            JoinError::Database(error) => error.into(),
        }
    }
}
