//! Response bodies that are the same for every request. Their bytes are shared by all responses, and compressed once.

use std::io::{self, Write};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use hyper::body::Bytes;
use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};

use super::negotiation;

/// How an entity tag looks.
pub const TAG_EXAMPLE: &str = "\"mTQz8rY1Hk5dN0vJpXw2aQ\"";

/// A body, its headers, and its gzip form if that is shorter.
pub struct StaticBody {
    content_type: &'static str,
    vary: &'static str,
    policy: Option<HeaderValue>,
    plain: Representation,
    gzip: Option<Representation>,
}

/// The bytes of one form, with their strong entity tag (RFC 9110 section 8.8.3).
struct Representation {
    bytes: Bytes,
    tag: String,
}

impl Representation {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = digest::digest(&digest::SHA256, &bytes);
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]));
        Self { bytes: bytes.into(), tag }
    }

    /// Whether a client that sends this `If-None-Match` has these bytes (RFC 9110 section 13.1.2).
    fn is_held(&self, if_none_match: Option<&str>) -> bool {
        if_none_match.is_some_and(|tags| {
            tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.tag)
        })
    }
}

impl StaticBody {
    /// A body of this `Content-Type`.
    pub fn new(content_type: &'static str, text: String) -> Self {
        let text = text.into_bytes();
        let gzip = gzip(&text).ok().filter(|gzip| gzip.len() < text.len());
        Self {
            content_type,
            vary: "Accept-Encoding",
            policy: None,
            gzip: gzip.map(Representation::new),
            plain: Representation::new(text),
        }
    }

    /// The same body, sent with this `Content-Security-Policy`.
    #[must_use]
    pub fn with_policy(self, policy: HeaderValue) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// The same body, of a resource whose form depends on `Accept`.
    #[must_use]
    pub fn varying_by_accept(self) -> Self {
        Self { vary: "Accept, Accept-Encoding", ..self }
    }

    /// The body, not compressed.
    pub fn bytes(&self) -> &Bytes {
        &self.plain.bytes
    }

    /// The response to `request`: 304 if the client has the form that it would be sent.
    pub fn respond(&self, request: &Request, if_none_match: Option<&str>) -> Response {
        let gzip = self.gzip.as_ref().filter(|_| negotiation::prefers_gzip(request.headers()));
        let form = gzip.unwrap_or(&self.plain);
        let mut response = if form.is_held(if_none_match) {
            StatusCode::NOT_MODIFIED.into()
        } else {
            // The length is said here because the answer to HEAD has no body to take it from.
            let mut response = Response::builder()
                .content_type(self.content_type)
                .header(header::CONTENT_LENGTH, form.bytes.len())
                .body(form.bytes.clone());
            if gzip.is_some() {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        };
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&form.tag) {
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static(self.vary));
        if let Some(policy) = &self.policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        }
        response
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_with_the_tag_means_that_the_client_has_the_bytes() {
        let form = Representation::new(b"a".to_vec());
        for tags in [form.tag.clone(), format!("\"b\", W/{}", form.tag), "*".to_owned()] {
            assert!(form.is_held(Some(&tags)), "{tags}");
        }
        assert!(!form.is_held(None) && !form.is_held(Some("\"b\"")));
        assert_eq!(form.tag.len(), TAG_EXAMPLE.len());
    }

    #[test]
    fn body_that_gzip_makes_longer_is_never_compressed() {
        assert!(StaticBody::new("text/plain", "a".to_owned()).gzip.is_none());
        assert!(StaticBody::new("text/plain", "a".repeat(1000)).gzip.is_some());
    }
}
