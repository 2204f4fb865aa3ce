//! Bearer tokens in the `Authorization` header (RFC 6750 section 2.1).

use poem::{Request, http::header};

/// The `WWW-Authenticate` header of a 401 (RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// The request has no token.
    NoToken,
    /// The request has a token that is not accepted.
    InvalidToken,
}

impl Challenge {
    /// The value of the header.
    pub const fn value(self) -> &'static str {
        match self {
            Self::NoToken => r#"Bearer realm="homeroom""#,
            Self::InvalidToken => r#"Bearer realm="homeroom", error="invalid_token""#,
        }
    }
}

/// The challenge for a 401 to `request`. A malformed token counts as a token.
pub(super) fn challenge(request: &Request) -> Challenge {
    let has_token = request.headers().get_all(header::AUTHORIZATION).iter().any(|value| {
        let (scheme, token) = value.as_bytes().split_at(value.len().min(b"Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()
    });
    if has_token { Challenge::InvalidToken } else { Challenge::NoToken }
}

/// Removes the `Authorization` header if there is more than one. RFC 9110 section 5.3 does not say which one counts, so the
/// request counts as unauthenticated.
pub(super) fn remove_ambiguous(request: &mut Request) {
    if request.headers().get_all(header::AUTHORIZATION).iter().count() > 1 {
        request.headers_mut().remove(header::AUTHORIZATION);
    }
}
