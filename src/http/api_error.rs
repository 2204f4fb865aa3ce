//! Failures, before they are written down: what every layer's errors become, once.

use std::{borrow::Cow, error::Error as StdError, fmt};

use chrono::{DateTime, Utc};
use poem::{
    Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    error::{AuthorizationError, ParsePathError},
    types::{ToJSON, Type},
};

use sea_orm::DbErr;

use super::{json::Json, middleware::BadBody, operation::ErrorSpec};
use crate::db;

/// The codes of a family, and the body in which they are told.
pub trait Envelope: fmt::Debug + Copy + Send + Sync + 'static {
    /// The failure body.
    type Body: Type + ToJSON;

    /// What the family says of a status when nobody closer to the matter said more.
    fn standard(status: StatusCode) -> (Self, &'static str);

    /// The body of a failure that happened in the request received `at`.
    fn body(failure: &ApiError<Self>, at: DateTime<Utc>) -> Self::Body;
}

/// A failure of one request, in the words of a family.
#[derive(Debug)]
pub struct ApiError<C> {
    /// The HTTP status.
    pub status: StatusCode,
    /// The family's code.
    pub code: C,
    /// What went wrong, for the reader of the answer: an entry for each fault.
    pub messages: Vec<Cow<'static, str>>,
    /// After how many seconds the same request may succeed.
    pub retry_after: Option<u64>,
    /// How to authenticate (RFC 6750 section 3).
    pub challenge: Option<Challenge>,
    /// Which methods the path knows, comma-separated (RFC 9110 section 10.2.1).
    pub allow: Option<String>,
    /// What failed underneath. It goes to the log, never to the answer.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The `WWW-Authenticate` of a 401 (RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No token was sent.
    NoToken,
    /// The token that was sent is not accepted.
    InvalidToken,
}

impl Challenge {
    /// The header's value.
    pub const fn value(self) -> &'static str {
        match self {
            Self::NoToken => r#"Bearer realm="homeroom""#,
            Self::InvalidToken => r#"Bearer realm="homeroom", error="invalid_token""#,
        }
    }
}

impl<C: Envelope> ApiError<C> {
    /// The family's standard failure of a status.
    pub fn standard(status: StatusCode) -> Self {
        let (code, message) = C::standard(status);
        Self::new(status, code, message)
    }

    /// A failure with a word of its own.
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

    /// A failure as the document describes it.
    pub fn documented(documented: ErrorSpec<C>) -> Self {
        let status = StatusCode::from_u16(documented.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, documented.code, documented.message)
    }

    /// A fault of ours. The client is told nothing of it.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::standard(StatusCode::INTERNAL_SERVER_ERROR) }
    }

    /// Something we depend on is busy or away.
    pub fn unavailable(retry_after: u64, source: Option<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { retry_after: Some(retry_after), source, ..Self::standard(StatusCode::SERVICE_UNAVAILABLE) }
    }

    /// Too many of these requests.
    pub fn too_many_requests(retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::standard(StatusCode::TOO_MANY_REQUESTS) }
    }

    /// The request bears no token that is accepted.
    pub fn unauthorized(challenge: Challenge) -> Self {
        Self { challenge: Some(challenge), ..Self::standard(StatusCode::UNAUTHORIZED) }
    }

    /// The path does not know the method.
    pub fn method_not_allowed(allow: String) -> Self {
        Self { allow: Some(allow), ..Self::standard(StatusCode::METHOD_NOT_ALLOWED) }
    }

    /// Whatever an endpoint failed with: our own failure, or what the framework made of a request before our code ran.
    /// `with_token` says whether the request bore a token, be it readable or not.
    pub fn of(error: poem::Error, with_token: bool) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        if let Some(body) = error.downcast_ref::<BadBody>() {
            return Self { messages: body.messages(), ..Self::standard(body.status()) };
        }
        if error.is::<AuthorizationError>() {
            return Self::unauthorized(if with_token { Challenge::InvalidToken } else { Challenge::NoToken });
        }
        if error.is::<NotFoundError>()
            || error.is::<ParsePathError>()
            || error.is::<poem::error::ParsePathError>()
        {
            return Self::standard(StatusCode::NOT_FOUND);
        }
        if error.is::<MethodNotAllowedError>() {
            return Self::standard(StatusCode::METHOD_NOT_ALLOWED);
        }
        if error.status() == StatusCode::NOT_IMPLEMENTED {
            return Self::standard(StatusCode::NOT_IMPLEMENTED);
        }
        if error.status().is_client_error() {
            return Self::standard(StatusCode::BAD_REQUEST);
        }
        Self::internal(error.to_string())
    }

    /// Writes the failure down. The cause of a 5xx goes with the response, for the log line of its request.
    pub fn into_response(self, at: DateTime<Utc>) -> Response {
        let mut response = poem::IntoResponse::into_response(Json(C::body(&self, at)));
        response.set_status(self.status);
        if let Some(cause) = self.cause() {
            response.extensions_mut().insert(cause);
        }
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge.value()));
        }
        if let Some(Ok(allow)) = self.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // The codings that a request may have instead (RFC 9110 section 15.5.16).
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response
    }

    /// The error underneath and what led to it, in one line.
    fn cause(&self) -> Option<Cause> {
        self.source.as_deref().map(|error| Cause(db::causes(error)))
    }
}

/// Why a response has a 5xx status. It travels in the extensions of the response.
#[derive(Debug, Clone)]
pub struct Cause(pub String);

/// How long a client should wait for a database that is busy or away, in seconds.
pub const DATABASE_RETRY: u64 = 2;

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
