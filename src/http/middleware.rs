//! The boundary: what every request passes on its way in, and every answer on its way out, whichever family it is of.

use std::{
    borrow::Cow,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::{FutureExt, StreamExt};
use percent_encoding::percent_decode_str;
use poem::{
    Endpoint, FromRequest, IntoResponse, Request, RequestBody, Response, Result,
    error::{NotFoundError, ResponseError},
    http::{
        HeaderValue, StatusCode, Uri, Version, header,
        uri::{Authority, PathAndQuery},
    },
};
use tracing::Instrument;

use super::{
    api_error::ApiError, cors, json::MAX_BODY, routes::Route, security_headers::SecurityHeaders,
    telemetry::Telemetry,
};
use crate::{
    api::{classes::error::ErrorCode, openapi::Document, sign_in::error::Code},
    clock::Clock,
    identity::Identity,
    random::RandomSource,
};

/// The one instant of a request: everything in it is judged, stored and told by this time. It is the time at which its
/// body was in, so that nothing that expired while the body arrived is accepted. A handler extracts it after the body.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedAt(pub DateTime<Utc>);

/// The clock of one request. It is read once, when the instant is first needed.
#[derive(Clone)]
struct RequestClock {
    clock: Arc<dyn Clock>,
    at: Arc<OnceLock<DateTime<Utc>>>,
}

impl RequestClock {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, at: Arc::default() }
    }

    fn at(&self) -> DateTime<Utc> {
        *self.at.get_or_init(|| self.clock.now())
    }
}

impl<'a> FromRequest<'a> for ReceivedAt {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        // The boundary puts it there; without it this is a 500.
        let at = request.extensions().get::<RequestClock>().map(|clock| Self(clock.at()));
        at.ok_or_else(|| poem::Error::from_string("no instant", StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BadBody {
    /// It is not announced as JSON.
    #[error("Content-Type must be application/json")]
    MediaType,
    /// It is announced as compressed or encoded in another way.
    #[error("the body must not have a Content-Encoding")]
    Encoded,
    /// It is longer than [`MAX_BODY`].
    #[error("the body must have at most {MAX_BODY} bytes")]
    TooLarge,
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// It broke off.
    #[error("the body broke off")]
    Interrupted,
    /// It begins with a byte order mark.
    #[error("the body must not begin with a byte order mark: JSON is UTF-8 without one")]
    ByteOrderMark,
    /// It is no JSON.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where in that line, from 1.
        column: usize,
    },
    /// It is JSON, but not what the operation takes.
    #[error("the body has faults")]
    Form(Vec<String>),
}

impl BadBody {
    /// A message for each fault.
    pub fn messages(&self) -> Vec<Cow<'static, str>> {
        match self {
            Self::Form(faults) => faults.iter().cloned().map(Cow::Owned).collect(),
            other => vec![Cow::Owned(other.to_string())],
        }
    }
}

impl ResponseError for BadBody {
    fn status(&self) -> StatusCode {
        match self {
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Whose envelope a path's failures come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `/api/v1/`.
    SignIn,
    /// All else, unknown paths included.
    Classroom,
}

impl Family {
    /// The family of a path.
    pub fn of(path: &str) -> Self {
        if path.starts_with("/api/v1/") || path == "/api/v1" { Self::SignIn } else { Self::Classroom }
    }
}

/// What a failure of a request is written down with.
struct RequestContext {
    family: Family,
    clock: RequestClock,
    /// Whether an access token came with it, be it readable or not.
    with_token: bool,
}

impl RequestContext {
    fn refuse(&self, error: poem::Error) -> Response {
        no_store(match self.family {
            Family::SignIn => ApiError::<Code>::of(error, self.with_token).into_response(self.clock.at()),
            Family::Classroom => {
                ApiError::<ErrorCode>::of(error, self.with_token).into_response(self.clock.at())
            }
        })
    }

    fn refuse_method(&self, allow: String) -> Response {
        no_store(match self.family {
            Family::SignIn => ApiError::<Code>::method_not_allowed(allow).into_response(self.clock.at()),
            Family::Classroom => {
                ApiError::<ErrorCode>::method_not_allowed(allow).into_response(self.clock.at())
            }
        })
    }

    fn give_up(&self) -> Response {
        let seconds = TIME_LIMIT.as_secs();
        let cause = || Some(format!("no answer within {seconds} s").into());
        no_store(match self.family {
            Family::SignIn => ApiError::<Code>::unavailable(seconds, cause()).into_response(self.clock.at()),
            Family::Classroom => {
                ApiError::<ErrorCode>::unavailable(seconds, cause()).into_response(self.clock.at())
            }
        })
    }
}

/// How long an answer may take. A database that has stopped answering must not hold its callers.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The outermost endpoint.
pub struct Middleware<E> {
    inner: E,
    document: Arc<Document>,
    identity: Arc<Identity>,
    clock: Arc<dyn Clock>,
    observer: Telemetry,
    protection: SecurityHeaders,
}

impl<E: Endpoint> Middleware<E> {
    /// Stands before `inner`. With `hsts`, browsers are told to use nothing but HTTPS for as many seconds.
    pub fn new(
        inner: E,
        document: Arc<Document>,
        identity: Arc<Identity>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn RandomSource>,
        hsts: Option<u32>,
    ) -> Self {
        let (observer, protection) = (Telemetry::new(random, &document), SecurityHeaders::new(hsts));
        Self { inner, document, identity, clock, observer, protection }
    }

    /// The answer to a request for `path`, if the document has it.
    async fn answer(
        &self,
        path: Option<&Route>,
        context: &RequestContext,
        request: Box<Request>,
    ) -> Response {
        if !names_its_host(&request) {
            return context.refuse(poem::Error::from_status(StatusCode::BAD_REQUEST));
        }
        if !has_plain_transfer_coding(&request) {
            return context.refuse(poem::Error::from_status(StatusCode::NOT_IMPLEMENTED));
        }
        let readers = cors::readers(&self.identity, path, &request).await;
        let mut response = match (path, &readers) {
            (None, _) => context.refuse(NotFoundError.into()),
            (Some(path), Some(_)) if cors::is_preflight(&request) => cors::preflight(path),
            (Some(path), _) => self.operate(path, context, request).await,
        };
        if let Some(readers) = readers {
            cors::expose(response.headers_mut(), readers);
        }
        if path.is_some_and(Route::is_service) { response } else { no_store(response) }
    }

    /// The answer of the operation of `path`.
    async fn operate(&self, path: &Route, context: &RequestContext, mut request: Box<Request>) -> Response {
        if !path.answers(request.method()) {
            return context.refuse_method(path.methods().join(", "));
        }
        // Which of two credentials counts is nowhere defined, so that neither does (RFC 9110 section 5.3).
        if request.headers().get_all(header::AUTHORIZATION).iter().count() > 1 {
            request.headers_mut().remove(header::AUTHORIZATION);
        }
        // Who waits to be told to go on has not sent it.
        if !path.reads_body() && !request.headers().contains_key(header::EXPECT) {
            drain(&mut request).await;
        }
        match self.inner.call(*request).await {
            Ok(response) => response.into_response(),
            Err(error) => context.refuse(error),
        }
    }
}

impl<E: Endpoint> Endpoint for Middleware<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        // Each step that it is handed to would keep room for it otherwise, for as long as the request takes.
        let mut request = Box::new(request);
        let at = self.clock.now();
        normalize(&mut request, &self.document);
        let clock = RequestClock::new(self.clock.clone());
        request.extensions_mut().insert(clock.clone());
        let context = RequestContext {
            family: Family::of(request.uri().path()),
            clock,
            with_token: bears_token(&request),
        };
        let path = self.document.path(request.uri().path());
        let observation = self.observer.begin(&request, path, at);
        let answered = async {
            let answer = AssertUnwindSafe(self.answer(path, &context, request)).catch_unwind();
            match tokio::time::timeout(TIME_LIMIT, answer).await {
                Ok(Ok(answer)) => answer,
                // What a panic said may hold anything, and stays out of the log.
                Ok(Err(_)) => {
                    context.refuse(poem::Error::from_string("a panic", StatusCode::INTERNAL_SERVER_ERROR))
                }
                Err(_) => context.give_up(),
            }
        };
        let mut answer = answered.instrument(observation.span()).await;
        self.protection.add(&mut answer);
        observation.end(&mut answer);
        Ok(answer)
    }
}

/// Whether a request says once which host it is for, as it must (RFC 9112 section 3.2). Two may be read as one by whoever
/// passed it on, and as the other here.
fn names_its_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() != Version::HTTP_11,
        // An authority may have user information before an "@", and a host has none.
        (Some(host), None) => {
            let host = host.as_bytes();
            host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
        }
        (Some(_), Some(_)) => false,
    }
}

/// Whether a request has no transfer coding but `chunked`, once (RFC 9112 section 6.1). One whose last coding is not
/// `chunked` has no end, and is refused before it gets here.
fn has_plain_transfer_coding(request: &Request) -> bool {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a request bears a token (RFC 6750 section 2.1), be it readable or not.
fn bears_token(request: &Request) -> bool {
    request.headers().get_all(header::AUTHORIZATION).iter().any(|value| {
        let (scheme, token) = value.as_bytes().split_at(value.len().min(b"Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()
    })
}

/// Takes in a body that nobody will read, up to a bound, so that its sender is there to hear the answer.
async fn drain(request: &mut Request) {
    const MOST: usize = 1024 * 1024;
    const LONGEST: Duration = Duration::from_secs(2);
    let mut body = request.take_body().into_bytes_stream();
    let read = async {
        let mut taken = 0;
        while let Some(Ok(chunk)) = body.next().await {
            taken += chunk.len();
            if taken > MOST {
                break;
            }
        }
    };
    // Whether the body ended, broke off or was too long makes no difference to the answer.
    let _ = tokio::time::timeout(LONGEST, read).await;
}

/// Brings a path to the form in which it is looked up. The path of the public URL is taken off. `/api/classes/...` is
/// answered as `/classes/...`, because the documented base of the classroom page ends in `/api`; and what is no UTF-8
/// becomes an id that nobody has, instead of a path that is not there.
fn normalize(request: &mut Request, document: &Document) {
    let requested = request.uri().path();
    let path = document.without_base(requested);
    let rest = path.strip_prefix("/api").filter(|rest| *rest == "/classes" || rest.starts_with("/classes/"));
    let path = rest.unwrap_or(path);
    let decodable = percent_decode_str(path).decode_utf8().is_ok();
    if decodable && path.len() == requested.len() {
        return;
    }
    let mut path = Cow::Borrowed(path);
    if !decodable {
        let segments = path.split('/').map(|segment| {
            let decodable = percent_decode_str(segment).decode_utf8().is_ok();
            // One replacement character for all of it: many of them might not fit a URI any more.
            if decodable { segment } else { "%EF%BF%BD" }
        });
        path = Cow::Owned(segments.collect::<Vec<_>>().join("/"));
    }
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    if let Ok(path) = format!("{path}{query}").parse::<PathAndQuery>() {
        *request.uri_mut() = Uri::from(path);
    }
}

/// What both families say with every answer: it is for its asker alone, and another origin may get another.
fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Origin"));
    response
}
