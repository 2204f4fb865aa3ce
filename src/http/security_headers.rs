//! What browsers are told to do with every answer: as little as possible.

use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

/// For every answer. A page may call from another origin by CORS, which asks none of these; nobody may show, embed or
/// guess at an answer.
const ALWAYS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// An answer that is no page loads nothing (Content Security Policy Level 3).
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// The headers that protect an answer from what browsers do.
pub struct SecurityHeaders {
    transport: Option<HeaderValue>,
}

impl SecurityHeaders {
    /// Protects answers. With `hsts`, browsers use nothing but HTTPS for as many seconds (RFC 6797 section 6.1).
    pub fn new(hsts: Option<u32>) -> Self {
        let transport = hsts.and_then(|seconds| HeaderValue::from_str(&format!("max-age={seconds}")).ok());
        Self { transport }
    }

    /// Protects an answer. A page has a `Content-Security-Policy` of its own.
    pub fn add(&self, answer: &mut Response) {
        let headers = answer.headers_mut();
        for (name, value) in ALWAYS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NO_PAGE));
        if let Some(transport) = &self.transport {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, transport.clone());
        }
    }
}
