//! Cross-origin reading (the Fetch standard): pages of enabled apps may call both families, without credentials.

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use super::openapi::PathItem;
use crate::{domain::origin::Origin, identity::Identity};

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: u64 = 600;

/// What a page may read beside the body.
pub const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate";

/// The request's origin, if it is a page of an enabled app.
pub async fn allowed_origin(identity: &Identity, request: &Request) -> Option<HeaderValue> {
    let value = request.headers().get(header::ORIGIN)?;
    let origin = Origin::parse(value.to_str().ok()?).ok()?;
    // A database that does not answer is the operation's to report; here it only means that no page is known.
    identity.allows_origin(&origin).await.unwrap_or(false).then(|| value.clone())
}

/// Whether a browser asks before it sends the request itself.
pub fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight from `origin`.
pub fn preflight(path: &PathItem, origin: HeaderValue) -> Response {
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, values) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, path.methods().join(", ")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, path.headers().join(", ")),
    ] {
        if let Ok(value) = HeaderValue::from_str(&values) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE));
    response
}

/// Lets pages of `origin` read an answer.
pub fn expose(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
}
