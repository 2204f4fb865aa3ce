//! The errors of the sign-in family: codes, body, and the errors of several operations.

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use poem_openapi::{Enum, Object};

use crate::http::{
    api_error::{ApiError, Envelope},
    operation::ErrorSpec,
};

/// The error, for a program to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SignInErrorCode")]
pub enum ErrorCode {
    /// 500: an error of the server.
    #[oai(rename = "[E0000]")]
    InternalServerError,
    /// 400: the request is not valid or is refused.
    #[oai(rename = "[E4000]")]
    BadRequest,
    /// 401: the request has no valid access token.
    #[oai(rename = "[E4010]")]
    Unauthorized,
    /// 403: the app of the access token is disabled, or the account of the caller does not allow the operation.
    #[oai(rename = "[E4030]")]
    Forbidden,
    /// 404: there is no such path or resource.
    #[oai(rename = "[E4040]")]
    NotFound,
    /// 405: the path has no operation for the method.
    #[oai(rename = "[E4050]")]
    MethodNotAllowed,
    /// 415: the body has a content coding.
    #[oai(rename = "[E4150]")]
    UnsupportedMediaType,
    /// 429: too many requests. `Retry-After` gives the wait.
    #[oai(rename = "[E4290]")]
    TooManyRequests,
    /// 501: the request has a transfer coding other than `chunked`.
    #[oai(rename = "[E5010]")]
    NotImplemented,
    /// 503: the server or its database is busy or unavailable. `Retry-After` gives the wait.
    #[oai(rename = "[E5030]")]
    ServiceUnavailable,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SignInErrorValidation", rename_all = "camelCase")]
pub enum Validation {
    /// An error.
    Error,
}

/// An error body of the sign-in family.
#[derive(Debug, Object)]
#[oai(rename = "SignInErrors")]
pub struct Errors {
    /// One entry for each violation, or one for any other error.
    #[oai(validator(min_items = 1, max_items = 64))]
    errors: Vec<ErrorEntry>,
}

/// One error.
#[derive(Debug, Object)]
#[oai(rename = "SignInError")]
pub struct ErrorEntry {
    /// Always `error`.
    validation: Validation,
    /// The error, for a program to read.
    code: ErrorCode,
    /// The error, for a person to read. A violation of the body's schema begins with the property's name.
    #[oai(validator(max_length = 400))]
    message: String,
}

impl Envelope for ErrorCode {
    type Body = Errors;

    fn standard(status: StatusCode) -> (Self, &'static str) {
        match status {
            StatusCode::UNAUTHORIZED => (Self::Unauthorized, INVALID_TOKEN),
            StatusCode::FORBIDDEN => (Self::Forbidden, DISABLED_APP),
            StatusCode::NOT_FOUND => (Self::NotFound, "There is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => (Self::MethodNotAllowed, "This path does not know the method"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (Self::UnsupportedMediaType, "The content coding is not supported")
            }
            StatusCode::NOT_IMPLEMENTED => (Self::NotImplemented, "Transfer-Encoding must be chunked"),
            StatusCode::TOO_MANY_REQUESTS => (Self::TooManyRequests, "Too many requests; try again later"),
            StatusCode::SERVICE_UNAVAILABLE => {
                (Self::ServiceUnavailable, "The service is busy; try again later")
            }
            StatusCode::INTERNAL_SERVER_ERROR => (Self::InternalServerError, "Internal Server Error"),
            _ => (Self::BadRequest, "The request cannot be read"),
        }
    }

    fn body(error: &ApiError<Self>, _: DateTime<Utc>) -> Errors {
        let entry = |message: &std::borrow::Cow<'_, str>| ErrorEntry {
            validation: Validation::Error,
            code: error.code,
            message: message.clone().into_owned(),
        };
        Errors { errors: error.messages.iter().map(entry).collect() }
    }
}

/// The request is not valid or is refused. Operations differ in the message.
pub(super) const fn bad_request(message: &'static str) -> ErrorSpec<ErrorCode> {
    ErrorSpec {
        status: 400,
        description: "Bad Request / validation error",
        code: ErrorCode::BadRequest,
        message,
    }
}

/// The message of a 401.
const INVALID_TOKEN: &str = "Invalid or missing access token";

/// The request has no valid access token.
pub const UNAUTHORIZED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 401,
    description: "Unauthorized - The access token is missing or invalid, has expired, or its session has ended",
    code: ErrorCode::Unauthorized,
    message: INVALID_TOKEN,
};

/// The message of a 403.
const DISABLED_APP: &str = "App Is Disabled";

/// The session of the access token ended because its app was disabled.
pub const APP_DISABLED: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "App Is Disabled - An operator disabled the app of the access token",
    code: ErrorCode::Forbidden,
    message: DISABLED_APP,
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
