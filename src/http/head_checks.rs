//! Checks of a request's head that HTTP requires and hyper leaves to its user.

use poem::{
    Request,
    http::{Version, header, uri::Authority},
};

/// Whether a request has exactly one valid `Host` (RFC 9112 section 3.2). A proxy and this server could choose different
/// ones of two.
pub(super) fn has_valid_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() != Version::HTTP_11,
        // `Authority` accepts user information before an `@`. A host has none.
        (Some(host), None) => {
            let host = host.as_bytes();
            host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
        }
        (Some(_), Some(_)) => false,
    }
}

/// Whether a request has no transfer coding except one `chunked` (RFC 9112 section 6.1). hyper refuses a request whose last
/// coding is not `chunked`.
pub(super) fn has_supported_transfer_coding(request: &Request) -> bool {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}
