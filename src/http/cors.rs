//! Cross-origin reading (the Fetch standard): pages of enabled apps may call both families, without credentials. Pages of
//! any origin may read the key set and the document.

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use super::routes::Route;
use crate::{domain::origin::Origin, identity::Identity};

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: u64 = 600;

/// What a page may read beside the body.
const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate, X-Request-Id";
/// What a page may send beside the body. It is the same for every path: many clients announce JSON, show their token or
/// send a trace with every request.
const ALLOWED_HEADERS: &str = "Content-Type, Authorization, traceparent, tracestate, X-Request-Id";
/// The paths that pages of any origin may read: tools in browsers verify tokens and show the document.
const PUBLIC: [&str; 3] = ["/.well-known/jwks.json", "/openapi.yaml", "/openapi.json"];

/// Which pages may read the answer to a request for `path`, as the value of `Access-Control-Allow-Origin`.
pub async fn readers(identity: &Identity, path: Option<&Route>, request: &Request) -> Option<HeaderValue> {
    match path {
        Some(path) if PUBLIC.contains(&path.template()) => Some(HeaderValue::from_static("*")),
        Some(path) if path.is_service() => None,
        _ => allowed_origin(identity, request).await,
    }
}

/// The request's origin, if it is a page of an enabled app.
async fn allowed_origin(identity: &Identity, request: &Request) -> Option<HeaderValue> {
    let value = request.headers().get(header::ORIGIN)?;
    let origin = Origin::parse(value.to_str().ok()?).ok()?;
    // A database that does not answer is the operation's to report; here it only means that no page is known.
    identity.apps.allows_origin(&origin).await.unwrap_or(false).then(|| value.clone())
}

/// Whether a browser asks before it sends the request itself.
pub fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight from one of the `readers`.
pub fn preflight(path: &Route) -> Response {
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(&path.methods().join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE));
    response
}

/// Lets the `readers` read an answer.
pub fn expose(headers: &mut HeaderMap, readers: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, readers);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
}
