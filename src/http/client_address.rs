//! Where a request comes from.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use poem::{
    FromRequest, Request, RequestBody, Result,
    http::{HeaderMap, HeaderName},
};

/// The proxies that are believed when they say for whom they ask.
#[derive(Debug, Clone)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// The address of the client that made a request, if the connection had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<'a> FromRequest<'a> for ClientAddress {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
        let client = |peer| match request.data::<TrustedProxies>() {
            Some(proxies) => proxies.client(peer, request.headers()),
            None => peer,
        };
        Ok(Self(peer.map(client)))
    }
}

impl TrustedProxies {
    /// Believes these.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// The client, if `peer` is at the other end of the connection and sent these headers.
    ///
    /// Only what a trusted proxy has written counts: each appends the address that it was asked from, so that the list is
    /// read from its end, past the trusted ones. What stands before that anybody may have made up, and it is never
    /// looked at. If what counts cannot be read, the peer is all that is known.
    ///
    /// Proxies write `Forwarded` (RFC 7239) or `X-Forwarded-For`, most of them one, and pass the other on as the client
    /// made it up. So if both are there, they count only as far as they say the same.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let standard = || self.first_untrusted(elements(headers, "forwarded").map(forwarded_for));
        let customary = || self.first_untrusted(elements(headers, "x-forwarded-for").map(address));
        let named = match ["forwarded", "x-forwarded-for"].map(|name| headers.contains_key(name)) {
            [true, true] => standard().filter(|client| customary() == Some(*client)),
            [true, false] => standard(),
            [false, _] => customary(),
        };
        named.unwrap_or(peer)
    }

    /// The first of these that is no trusted proxy, or the last if all of them are. None if one cannot be read.
    fn first_untrusted(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut farthest = None;
        for hop in hops {
            let hop = hop?.to_canonical();
            farthest = Some(hop);
            if !self.trusts(hop) {
                break;
            }
        }
        farthest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The elements of a header that is a list (RFC 9110 section 5.6.1), from the last to the first.
fn elements<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let lines: Vec<_> = headers.get_all(HeaderName::from_static(name)).iter().collect();
    let elements = lines.into_iter().rev().flat_map(|line| split(line.as_bytes(), b','));
    // What is no text nobody can read; what stands elsewhere in its line can be.
    elements.map(|element| str::from_utf8(element).unwrap_or_default())
}

/// Splits a list at its separators, from the last to the first, but for those within a quoted string (RFC 9110 section
/// 5.6.4). Read from its end, for a quote that somebody left open before it takes nothing from what a proxy added.
fn split(list: &[u8], separator: u8) -> Vec<&[u8]> {
    let is_escaped =
        |at: usize| list[..at].iter().rev().take_while(|before| **before == b'\\').count() % 2 == 1;
    let (mut elements, mut end, mut quoted) = (Vec::new(), list.len(), false);
    for (at, &byte) in list.iter().enumerate().rev() {
        if byte == b'"' && !is_escaped(at) {
            quoted = !quoted;
        } else if byte == separator && !quoted {
            elements.push(&list[at + 1..end]);
            end = at;
        }
    }
    elements.push(&list[..end]);
    elements
}

/// The address that an element of `Forwarded` names with `for` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = split(element.as_bytes(), b';')
        .into_iter()
        .filter_map(|pair| str::from_utf8(pair).ok()?.split_once('='));
    let named: Vec<_> = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).collect();
    let [(_, node)] = named.as_slice() else { return None };
    let node = node.trim();
    address(node.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or(node))
}

/// An address of `X-Forwarded-For`, to which some proxies add the port.
fn address(element: &str) -> Option<IpAddr> {
    let element = element.trim();
    let socket = || element.parse().ok().map(|socket: SocketAddr| socket.ip());
    let bracketed = || element.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    element.parse().ok().or_else(socket).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    const FORWARDED: HeaderName = poem::http::header::FORWARDED;
    const X: HeaderName = HeaderName::from_static("x-forwarded-for");

    fn seen(peer: &str, headers: &[(&HeaderName, &str)]) -> String {
        let networks = ["10.0.0.0/8", "2001:db8:f::/48"].map(|network| network.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        TrustedProxies::new(networks.to_vec()).client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed_and_a_trusted_proxy_is() {
        for header in [(&FORWARDED, "for=192.0.2.9"), (&X, "192.0.2.9")] {
            assert_eq!(seen("192.0.2.1", &[header]), "192.0.2.1");
            assert_eq!(seen("::ffff:192.0.2.1", &[header]), "192.0.2.1");
            assert_eq!(seen("10.0.0.1", &[header]), "192.0.2.9");
            assert_eq!(seen("::ffff:10.0.0.1", &[header]), "192.0.2.9");
        }
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_a_client_says_within_quotes_is_no_element_and_no_parameter() {
        // The first: a client's Host, as a proxy passes it on.
        for (forwarded, client) in [
            (r#"for=192.0.2.9;host="a,for=192.0.2.66;x=""#, "192.0.2.9"),
            (r#"for=192.0.2.9;host="a\",for=192.0.2.66;x=\"""#, "192.0.2.9"),
            (r#"for=192.0.2.66;host="a\\",for=192.0.2.9"#, "192.0.2.9"),
            (r#"host="a;for=192.0.2.66";for=192.0.2.9"#, "192.0.2.9"),
            (r#"host=";for=192.0.2.66;";for=192.0.2.9"#, "192.0.2.9"),
            ("for=192.0.2.66;for=192.0.2.9", "10.0.0.1"),
            (r#"for="192.0.2.66,for=192.0.2.9;x=""#, "10.0.0.1"),
        ] {
            assert_eq!(seen("10.0.0.1", &[(&FORWARDED, forwarded)]), client, "{forwarded}");
        }
    }

    #[test]
    fn addresses_are_read_in_every_form_that_proxies_write() {
        for (header, client) in [
            ((&FORWARDED, "For=\"[2001:db8::1]:4711\""), "2001:db8::1"),
            ((&FORWARDED, "proto=https;by=10.0.0.1;for=\"192.0.2.9:80\";host=a"), "192.0.2.9"),
            ((&X, "2001:db8::1"), "2001:db8::1"),
            ((&X, "[2001:db8::1]"), "2001:db8::1"),
            ((&X, " [2001:db8::1]:80 "), "2001:db8::1"),
            ((&X, "192.0.2.9:80"), "192.0.2.9"),
            ((&X, "::ffff:192.0.2.9"), "192.0.2.9"),
        ] {
            assert_eq!(seen("10.0.0.1", &[header]), client, "{header:?}");
        }
    }

    #[test]
    fn the_list_is_read_from_its_end_past_the_trusted_proxies_and_no_farther() {
        for (headers, client) in [
            (vec![(&X, "1.2.3.4, 192.0.2.9")], "192.0.2.9"),
            (vec![(&X, "1.2.3.4, 192.0.2.9, 10.9.9.9")], "192.0.2.9"),
            (vec![(&X, "192.0.2.9, 2001:db8:f::1,10.9.9.9")], "192.0.2.9"),
            (vec![(&X, "1.2.3.4"), (&X, "192.0.2.9"), (&X, "10.9.9.9")], "192.0.2.9"),
            (vec![(&X, "10.9.9.8, 10.9.9.9")], "10.9.9.8"),
            (vec![(&FORWARDED, "for=1.2.3.4, for=192.0.2.9;proto=https, for=10.9.9.9")], "192.0.2.9"),
            (vec![(&FORWARDED, "for=1.2.3.4"), (&FORWARDED, "for=192.0.2.9")], "192.0.2.9"),
            (vec![(&X, "\u{e4}, 192.0.2.9")], "192.0.2.9"),
            (vec![(&FORWARDED, "for=\u{e4}, for=192.0.2.9")], "192.0.2.9"),
            // What a client made up, to break the list or to be taken for a proxy's word.
            (vec![(&X, "\"\\, nonsense, 192.0.2.9")], "192.0.2.9"),
            (vec![(&FORWARDED, "for=\", for=192.0.2.9")], "192.0.2.9"),
            (vec![(&FORWARDED, "for=1.2.3.4;x=\", for=192.0.2.9")], "192.0.2.9"),
            // One of the two is the proxy's, and nobody knows which.
            (vec![(&X, "192.0.2.9"), (&FORWARDED, "for=192.0.2.9")], "192.0.2.9"),
            (vec![(&X, "1.2.3.4, 192.0.2.9"), (&FORWARDED, "for=192.0.2.9, for=10.9.9.9")], "192.0.2.9"),
            (vec![(&X, "192.0.2.9"), (&FORWARDED, "for=1.2.3.4")], "10.0.0.1"),
            (vec![(&X, "1.2.3.4"), (&FORWARDED, "for=192.0.2.9")], "10.0.0.1"),
            (vec![(&X, "192.0.2.9"), (&FORWARDED, "for=unknown")], "10.0.0.1"),
            (vec![(&X, "unknown"), (&FORWARDED, "for=unknown")], "10.0.0.1"),
        ] {
            assert_eq!(seen("10.0.0.1", &headers), client, "{headers:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_leaves_the_peer() {
        for header in [
            (&FORWARDED, ""),
            (&FORWARDED, "for=_hidden"),
            (&FORWARDED, "for=\"_hidden:_port\""),
            (&FORWARDED, "proto=https"),
            (&FORWARDED, "192.0.2.9"),
            (&FORWARDED, "for=192.0.2.9,"),
            (&FORWARDED, "for=192.0.2.9, for=nonsense, for=10.9.9.9"),
            (&X, ""),
            (&X, "unknown"),
            (&X, "192.0.2.9,"),
            (&X, "192.0.2.999"),
            (&X, "192.0.2.9, nonsense, 10.9.9.9"),
        ] {
            assert_eq!(seen("10.0.0.1", &[header]), "10.0.0.1", "{header:?}");
        }
    }
}
