//! Response bodies that are the same for every request. All responses share their bytes, which are compressed once.

use std::io::{self, Write};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use hyper::body::Bytes;
use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};

use super::{negotiation, static_response::IfNoneMatch};

/// An example of an entity tag.
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

    /// Whether `If-None-Match` names these bytes (RFC 9110 section 13.1.2).
    fn matches(&self, if_none_match: Option<&str>) -> bool {
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

    /// The same body, of a resource whose representation depends on `Accept`. `Vary` names `Accept`.
    #[must_use]
    pub fn varying_by_accept(self) -> Self {
        Self { vary: "Accept, Accept-Encoding", ..self }
    }

    /// The uncompressed bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.plain.bytes
    }

    /// The response to `request`: 304 if the client has the selected form.
    pub fn respond(&self, request: &Request, if_none_match: Option<&IfNoneMatch>) -> Response {
        let gzip = self.gzip.as_ref().filter(|_| negotiation::prefers_gzip(request.headers()));
        let form = gzip.unwrap_or(&self.plain);
        let mut response = if form.matches(if_none_match.map(|tags| tags.0.as_str())) {
            StatusCode::NOT_MODIFIED.into()
        } else {
            // Set here because the response to HEAD has no body from which hyper could take the length.
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
    fn if_none_match_with_the_tag_or_a_star_matches() {
        let form = Representation::new(b"a".to_vec());
        for tags in [form.tag.clone(), format!("\"b\", W/{}", form.tag), "*".to_owned()] {
            assert!(form.matches(Some(&tags)), "{tags}");
        }
        assert!(!form.matches(None) && !form.matches(Some("\"b\"")));
        assert_eq!(form.tag.len(), TAG_EXAMPLE.len());
    }

    #[test]
    fn body_that_gzip_makes_longer_is_not_compressed() {
        assert!(StaticBody::new("text/plain", "a".to_owned()).gzip.is_none());
        assert!(StaticBody::new("text/plain", "a".repeat(1000)).gzip.is_some());
    }
}
