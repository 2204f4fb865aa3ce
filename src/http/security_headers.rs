//! Headers that restrict what browsers do with a response.

use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

/// The headers of every response. They do not affect requests that CORS allows.
const ALWAYS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The policy of a response that is not a page: it loads nothing (Content Security Policy Level 3).
const NOT_A_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// Adds the security headers to responses.
pub(super) struct SecurityHeaders {
    strict_transport_security: Option<HeaderValue>,
}

impl SecurityHeaders {
    /// With `hsts`, browsers use only HTTPS for this number of seconds (RFC 6797 section 6.1).
    pub(super) fn new(hsts: Option<u32>) -> Self {
        let value = hsts.and_then(|seconds| HeaderValue::from_str(&format!("max-age={seconds}")).ok());
        Self { strict_transport_security: value }
    }

    /// Adds the headers. A page keeps its own `Content-Security-Policy`.
    pub(super) fn add(&self, response: &mut Response) {
        let headers = response.headers_mut();
        for (name, value) in ALWAYS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NOT_A_PAGE));
        if let Some(value) = &self.strict_transport_security {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}
