//! The failures of the sign-in family: which error of a room is which status, code and message.

use chrono::{DateTime, Utc};
use poem::http::StatusCode;
use poem_openapi::{Enum, Object};

use crate::{
    http::api_error::{ApiError, Envelope},
    identity::{
        apps::ResolveError, password_hashing::HashError, sign_in::SignInError, tokens::ExchangeError,
    },
};

/// What went wrong, for a program to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SignInErrorCode")]
pub enum Code {
    /// 500: a fault of the server's.
    #[oai(rename = "[E0000]")]
    InternalServerError,
    /// 400: the request has a fault, or was refused.
    #[oai(rename = "[E4000]")]
    BadRequest,
    /// 404: there is no such path.
    #[oai(rename = "[E4040]")]
    NotFound,
    /// 405: the path does not know the method.
    #[oai(rename = "[E4050]")]
    MethodNotAllowed,
    /// 415: the body has a content coding.
    #[oai(rename = "[E4150]")]
    UnsupportedMediaType,
    /// 429: too many of these requests; `Retry-After` says when.
    #[oai(rename = "[E4290]")]
    TooManyRequests,
    /// 501: the request has a transfer coding other than `chunked`.
    #[oai(rename = "[E5010]")]
    NotImplemented,
    /// 503: something the server depends on is busy or away; `Retry-After` says when.
    #[oai(rename = "[E5030]")]
    ServiceUnavailable,
}

/// Which kind of entry this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SignInErrorValidation", rename_all = "camelCase")]
pub enum Validation {
    /// An error.
    Error,
}

/// A failure of the sign-in family.
#[derive(Debug, Object)]
#[oai(rename = "SignInErrors")]
pub struct Errors {
    /// An entry for each fault, at least one.
    #[oai(validator(min_items = 1, max_items = 64))]
    errors: Vec<ErrorEntry>,
}

/// One fault.
#[derive(Debug, Object)]
#[oai(rename = "SignInError")]
pub struct ErrorEntry {
    /// Always `error`.
    validation: Validation,
    /// What went wrong, for a program to read.
    code: Code,
    /// What went wrong, for a person to read. A fault of the body begins with the property's name.
    #[oai(validator(max_length = 400))]
    message: String,
}

impl Envelope for Code {
    type Body = Errors;

    fn standard(status: StatusCode) -> (Self, &'static str) {
        match status {
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

    fn body(failure: &ApiError<Self>, _: DateTime<Utc>) -> Errors {
        let entry = |message: &std::borrow::Cow<'_, str>| ErrorEntry {
            validation: Validation::Error,
            code: failure.code,
            message: message.clone().into_owned(),
        };
        Errors { errors: failure.messages.iter().map(entry).collect() }
    }
}

/// Said alike of every reason not to sign somebody in.
pub const CREDENTIALS_REFUSED: &str = "The e-mail address or the password is wrong";
/// Said alike of every reason not to redeem a code.
pub const CODE_REFUSED: &str =
    "The code is invalid, has expired or was redeemed, or was issued for something else";

impl ApiError<Code> {
    fn bad_request(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }
}

impl From<HashError> for ApiError<Code> {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy { retry_after_seconds } => Self::unavailable(retry_after_seconds, None),
            other => Self::internal(other),
        }
    }
}

impl From<SignInError> for ApiError<Code> {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::App(ResolveError::NotNamed) => {
                Self::bad_request("appUuid is required unless the Origin header names the app")
            }
            SignInError::App(ResolveError::Unknown) => {
                Self::bad_request("appUuid is not the id of an enabled app")
            }
            SignInError::App(ResolveError::ForeignOrigin) => {
                Self::bad_request("Origin does not belong to the app")
            }
            SignInError::ChallengeMissing => Self::bad_request("codeChallenge is required by the app"),
            SignInError::RedirectUriUnregistered => {
                Self::bad_request("redirectUri is not registered for the app")
            }
            SignInError::Credentials(_) => Self::bad_request(CREDENTIALS_REFUSED),
            SignInError::RateLimited { retry_after_seconds } => Self::too_many_requests(retry_after_seconds),
            SignInError::ConsentMissing => Self::bad_request(
                "acceptPrivacyPolicy must be true: the app demands its current privacy policy",
            ),
            SignInError::Hash(error) => error.into(),
            SignInError::App(ResolveError::Database(error)) | SignInError::Database(error) => error.into(),
        }
    }
}

impl From<ExchangeError> for ApiError<Code> {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::InvalidGrant => Self::bad_request(CODE_REFUSED),
            ExchangeError::Sign(error) => Self::internal(error),
            ExchangeError::Database(error) => error.into(),
        }
    }
}
