//! Cross-origin requests (the Fetch standard). Pages of enabled apps may read the responses of both families, without
//! credentials. Pages of every origin may read the responses of public routes.

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use super::routes::Route;
use crate::domain::origin::Origin;

/// How long a browser may cache a preflight, in seconds.
const MAX_AGE: u64 = 600;

/// The headers that a page may read.
const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate, X-Request-Id, ETag";

/// The headers that a page may send. They are the same for every path: many clients send all of them with every request.
const ALLOWED_HEADERS: &str = "Content-Type, Authorization, traceparent, tracestate, X-Request-Id, If-Match";

/// The origins whose pages may read responses.
pub trait AllowedOrigins: Send + Sync + 'static {
    /// Whether `origin` is one of them. If the database does not answer, it is not.
    fn contains(&self, origin: &Origin) -> impl Future<Output = bool> + Send;
}

/// The `Access-Control-Allow-Origin` of the response to a request for `route`.
pub(super) async fn allowed_origin(
    origins: &impl AllowedOrigins,
    route: Option<&Route>,
    request: &Request,
) -> Option<HeaderValue> {
    match route {
        Some(route) if route.is_public() => Some(HeaderValue::from_static("*")),
        Some(route) if route.is_service() => None,
        _ => {
            let value = request.headers().get(header::ORIGIN)?;
            let origin = Origin::parse(value.to_str().ok()?).ok()?;
            origins.contains(&origin).await.then(|| value.clone())
        }
    }
}

/// Whether a request is a preflight.
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The response to a preflight from an allowed origin.
pub(super) fn preflight(route: &Route) -> Response {
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(&route.allow()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE));
    response
}

/// Lets pages of the allowed origin read a response.
pub(super) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
}
