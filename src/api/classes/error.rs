//! The errors of the classroom family: codes, body, and the errors of several operations.

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use poem_openapi::{Enum, Object};

use super::types::Instant;
use crate::http::{
    api_error::{ApiError, Envelope},
    constant_types::{Always, ErrorStatus},
    operation::ErrorSpec,
};

/// The error, for a program to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ClassroomErrorCode", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// 400: the request is not valid.
    BadRequest,
    /// 400: the join code is unknown, expired or replaced, or its class is inactive.
    InvalidJoinCode,
    /// 400: the caller owns the class.
    OwnClass,
    /// 400: the file is not a CSV of students.
    InvalidFile,
    /// 400: the operator has not set a domain for the accounts of students.
    StudentAccountsDisabled,
    /// 401: the request has no access token, or one that is not accepted.
    Unauthorized,
    /// 403: the caller may not do this with the class.
    Forbidden,
    /// 403: the caller owns as many classes as allowed.
    ClassLimitReached,
    /// 403: the school did not make the account, or the student joined with a code or is not active.
    NotSchoolAccount,
    /// 404: there is no such path.
    NotFound,
    /// 404: there is no such class.
    ClassNotFound,
    /// 404: there is no such student in the class.
    StudentNotFound,
    /// 404: the class has no valid join code.
    JoinCodeNotFound,
    /// 405: the path has no operation for the method.
    MethodNotAllowed,
    /// 409: the student is already enrolled.
    AlreadyEnrolled,
    /// 409: the class has as many students as allowed.
    ClassFull,
    /// 409: the class is not in use.
    ClassInactive,
    /// 412: the row was changed since it was read.
    PreconditionFailed,
    /// 415: the body has a content coding.
    UnsupportedMediaType,
    /// 429: too many requests. `Retry-After` gives the wait.
    TooManyRequests,
    /// 500: an error of the server.
    InternalServerError,
    /// 501: the request has a transfer coding other than `chunked`.
    NotImplemented,
    /// 503: the server or its database is busy or unavailable. `Retry-After` gives the wait.
    ServiceUnavailable,
}

/// An error body of the classroom family.
#[derive(Debug, Object)]
#[oai(rename = "ClassroomError", rename_all = "camelCase")]
pub struct ErrorBody {
    /// Always `false`.
    success: Always<false>,
    /// The HTTP status.
    code: ErrorStatus,
    /// The error, for a program to read.
    error_code: ErrorCode,
    /// The error, for a person to read.
    #[oai(validator(max_length = 32_768))]
    message: String,
    /// The time of the request.
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

    fn body(error: &ApiError<Self>, time: DateTime<Utc>) -> ErrorBody {
        ErrorBody {
            success: Always,
            code: ErrorStatus(error.status.as_u16()),
            error_code: error.code,
            message: error.messages.join("; "),
            timestamp: Instant(time),
        }
    }
}

/// The request has no access token, or one that is not accepted.
pub const UNAUTHORIZED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 401,
    description: "Unauthorized - Invalid or missing authentication token",
    code: ErrorCode::Unauthorized,
    message: "A valid access token is required",
};

/// No class has this id.
pub const CLASS_NOT_FOUND: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 404,
    description: "Class not found",
    code: ErrorCode::ClassNotFound,
    message: "Class not found",
};

/// No class has this id, or no student of the class. For a class, answer [`CLASS_NOT_FOUND`].
pub const STUDENT_NOT_FOUND: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 404,
    description: "Class or student not found",
    code: ErrorCode::StudentNotFound,
    message: "Student not found",
};

/// The school did not make the account, or the caller may not do this with it.
pub const NOT_SCHOOL_ACCOUNT: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - The school did not make this account, or the student joined with a code",
    code: ErrorCode::NotSchoolAccount,
    message: "The school did not make this account, or the student joined with a code",
};

/// Nobody gets a seat in the class.
pub const CLASS_FULL: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 409,
    description: "Conflict - The class is full or inactive",
    code: ErrorCode::ClassFull,
    message: "The class is full",
};

/// Nobody gets a seat in an inactive class.
pub const CLASS_INACTIVE: ErrorSpec<ErrorCode> =
    ErrorSpec { code: ErrorCode::ClassInactive, message: "The class is inactive", ..CLASS_FULL };

/// A parameter or a property of the body is not valid. The message names each violation, as this one does.
pub const fn bad_request(message: &'static str) -> ErrorSpec<ErrorCode> {
    ErrorSpec {
        status: 400,
        description: "Bad Request - The request is not valid",
        code: ErrorCode::BadRequest,
        message,
    }
}

/// The row was changed since the client read it.
pub const PRECONDITION_FAILED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 412,
    description: "Precondition Failed - The class was changed since it was read",
    code: ErrorCode::PreconditionFailed,
    message: "The class was changed since it was read",
};

/// Too many requests.
pub const TOO_MANY_REQUESTS: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 429,
    description: "Too Many Requests - Retry-After gives the wait before the next one",
    code: ErrorCode::TooManyRequests,
    message: "Too many requests; try again later",
};

/// An error of the server. No request causes it: the tests damage the database to see it.
pub const INTERNAL_SERVER_ERROR: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 500,
    description: "Internal Server Error",
    code: ErrorCode::InternalServerError,
    message: "Internal Server Error",
};

/// The server or its database is busy or unavailable.
pub const SERVICE_UNAVAILABLE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 503,
    description: "Service Unavailable - The server is busy, or the database is unavailable; Retry-After gives the wait",
    code: ErrorCode::ServiceUnavailable,
    message: "The service is busy; try again later",
};
