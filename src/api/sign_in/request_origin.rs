//! The origin of the page that sent a request.

use poem::{Request, http::header};
use url::Url;

use crate::{domain::origin::Origin, identity::apps::RequestOrigin};

/// The origin of `request`, for a server with this public URL. An empty `Origin` header counts as absent. Two headers, or one
/// that is not the origin of a web page, are opaque.
pub(super) fn request_origin(request: &Request, public_url: &Url) -> RequestOrigin {
    let mut headers = request.headers().get_all(header::ORIGIN).iter();
    let (first, second) = (headers.next(), headers.next());
    let Some(first) = first else { return RequestOrigin::Absent };
    if first.is_empty() && second.is_none() {
        return RequestOrigin::Absent;
    }
    let (Ok(text), None) = (first.to_str(), second) else { return RequestOrigin::Opaque };
    let (Ok(origin), Ok(url)) = (Origin::parse(text), Url::parse(text)) else { return RequestOrigin::Opaque };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    // The server cannot see the scheme that a proxy in front of it was called with. So host and port decide.
    let called = host.and_then(|host| Url::parse(&format!("{}://{host}", url.scheme())).ok());
    let is_same =
        url.origin() == public_url.origin() || called.is_some_and(|called| called.origin() == url.origin());
    if is_same { RequestOrigin::SameOrigin } else { RequestOrigin::Web(origin) }
}
