//! Errors before they are written: an error of any layer becomes one [`ApiError`] in the codes of a family.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use chrono::{DateTime, Utc};
use poem::{
    Response,
    error::{NotFoundError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    error::{AuthorizationError, ParseParamError, ParsePathError},
    types::{ToJSON, Type},
};
use sea_orm::DbErr;

use super::{bearer::Challenge, body::BodyError, json::Json, operation::ErrorSpec};
use crate::{db, domain::retry_after::RetryAfter};

/// The error codes of a family, and the body that holds them.
pub trait Envelope: fmt::Debug + Copy + Send + Sync + 'static {
    /// The error body.
    type Body: Type + ToJSON;

    /// The code and the message of a status that has no more specific error.
    fn standard(status: StatusCode) -> (Self, &'static str);

    /// The body of an error in a request with this time.
    fn body(error: &ApiError<Self>, time: DateTime<Utc>) -> Self::Body;
}

/// An error of one request, in the codes of a family.
#[derive(Debug)]
pub struct ApiError<C> {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code of the family.
    pub code: C,
    /// The messages for the reader of the response, one for each violation.
    pub messages: Vec<Cow<'static, str>>,
    /// The `Retry-After` header.
    pub retry_after: Option<RetryAfter>,
    /// The `WWW-Authenticate` header.
    pub challenge: Option<Challenge>,
    /// The `Allow` header: the methods of the path (RFC 9110 section 10.2.1).
    pub allow: Option<String>,
    /// The cause. It is logged and never sent.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The path has no operation for the method.
#[derive(Debug, thiserror::Error)]
#[error("the path has no operation for the method")]
pub struct MethodNotAllowed {
    /// The methods of the path, separated by commas.
    pub allow: String,
}

impl ResponseError for MethodNotAllowed {
    fn status(&self) -> StatusCode {
        StatusCode::METHOD_NOT_ALLOWED
    }
}

/// The operation took too long.
#[derive(Debug, thiserror::Error)]
#[error("no response within {} s", .limit.as_secs())]
pub struct TimedOut {
    /// The maximum time.
    pub limit: Duration,
}

impl ResponseError for TimedOut {
    fn status(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

impl<C: Envelope> ApiError<C> {
    /// The standard error of a status.
    pub fn standard(status: StatusCode) -> Self {
        let (code, message) = C::standard(status);
        Self::new(status, code, message)
    }

    /// An error with its own code and message.
    pub fn new(status: StatusCode, code: C, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            messages: vec![message.into()],
            retry_after: None,
            challenge: None,
            allow: None,
            source: None,
        }
    }

    /// An error as an operation documents it.
    pub fn documented(spec: ErrorSpec<C>) -> Self {
        let status = StatusCode::from_u16(spec.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, spec.code, spec.message)
    }

    /// A 500. The response does not show the cause.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::standard(StatusCode::INTERNAL_SERVER_ERROR) }
    }

    /// A 503: a dependency is busy or unavailable.
    pub fn unavailable(retry_after: RetryAfter, source: Option<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { retry_after: Some(retry_after), source, ..Self::standard(StatusCode::SERVICE_UNAVAILABLE) }
    }

    /// A 429.
    pub fn too_many_requests(retry_after: RetryAfter) -> Self {
        Self { retry_after: Some(retry_after), ..Self::standard(StatusCode::TOO_MANY_REQUESTS) }
    }

    /// A 401.
    pub fn unauthorized(challenge: Challenge) -> Self {
        Self { challenge: Some(challenge), ..Self::standard(StatusCode::UNAUTHORIZED) }
    }

    /// An error of an endpoint: an [`ApiError`], an error of this kit, or an error of the framework.
    fn from_endpoint(error: poem::Error, challenge: Challenge) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(error) => return error,
            Err(error) => error,
        };
        if let Some(body) = error.downcast_ref::<BodyError>() {
            return Self { messages: body.messages(), ..Self::standard(body.status()) };
        }
        if let Some(MethodNotAllowed { allow }) = error.downcast_ref() {
            return Self { allow: Some(allow.clone()), ..Self::standard(StatusCode::METHOD_NOT_ALLOWED) };
        }
        if let Some(TimedOut { limit }) = error.downcast_ref() {
            return Self::unavailable(RetryAfter::from_duration(*limit), Some(error.to_string().into()));
        }
        if error.is::<AuthorizationError>() {
            return Self::unauthorized(challenge);
        }
        if error.is::<NotFoundError>()
            || error.is::<ParsePathError>()
            || error.is::<poem::error::ParsePathError>()
        {
            return Self::standard(StatusCode::NOT_FOUND);
        }
        if let Some(ParseParamError { name, .. }) = error.downcast_ref() {
            // The reason may repeat the value.
            let message = format!("{name} is missing or is not valid").into();
            return Self { messages: vec![message], ..Self::standard(StatusCode::BAD_REQUEST) };
        }
        match error.status() {
            StatusCode::NOT_IMPLEMENTED => Self::standard(StatusCode::NOT_IMPLEMENTED),
            status if status.is_client_error() => Self::standard(StatusCode::BAD_REQUEST),
            _ => Self::internal(error.to_string()),
        }
    }

    /// Writes the error. The cause travels with the response to the log line of the request.
    fn into_response(self, time: DateTime<Utc>) -> Response {
        let mut response = poem::IntoResponse::into_response(Json(C::body(&self, time)));
        response.set_status(self.status);
        if let Some(source) = &self.source {
            response.extensions_mut().insert(Cause(db::causes(&**source)));
        }
        let headers = response.headers_mut();
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge.value()));
        }
        if let Some(Ok(allow)) = self.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // The accepted content codings (RFC 9110 section 15.5.16).
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response
    }
}

/// Writes an error of an endpoint in the envelope of one family.
pub type WriteError = fn(poem::Error, Challenge, DateTime<Utc>) -> Response;

/// The [`WriteError`] of the family with the codes `C`.
pub fn write_error<C: Envelope>(error: poem::Error, challenge: Challenge, time: DateTime<Utc>) -> Response {
    ApiError::<C>::from_endpoint(error, challenge).into_response(time)
}

/// The cause of a 5xx, in the extensions of its response.
#[derive(Debug, Clone)]
pub(super) struct Cause(pub(super) String);

/// The wait after an error of the database.
pub const DATABASE_RETRY: RetryAfter = RetryAfter::from_secs(2);

impl<C: Envelope> From<DbErr> for ApiError<C> {
    fn from(error: DbErr) -> Self {
        match db::kind(&error) {
            db::ErrorKind::Unavailable => Self::unavailable(DATABASE_RETRY, Some(error.into())),
            db::ErrorKind::UniqueViolation | db::ErrorKind::ForeignKeyViolation | db::ErrorKind::Other => {
                Self::internal(error)
            }
        }
    }
}

impl<C: fmt::Debug> fmt::Display for ApiError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.status.as_u16(), self.code)
    }
}

impl<C: fmt::Debug> StdError for ApiError<C> {}

impl<C: fmt::Debug> ResponseError for ApiError<C> {
    fn status(&self) -> StatusCode {
        self.status
    }
}
