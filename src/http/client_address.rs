//! The address of the client that sent a request.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use poem::{
    FromRequest, Request, RequestBody, Result,
    http::{HeaderMap, HeaderName},
};

/// The reverse proxies whose `Forwarded` and `X-Forwarded-For` headers are trusted.
#[derive(Debug, Clone)]
pub struct TrustedProxies(Arc<[IpNet]>);

/// The address of the client, if the connection has one.
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
    /// Trusts the proxies in these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// The client of a request with these headers from `peer`.
    ///
    /// A proxy appends the address of its own peer to the list. So the list is read from its end, past the trusted proxies, and
    /// the first other address is the client. Everything before it comes from the client and is ignored. If the list cannot be
    /// read that far, the result is the peer.
    ///
    /// Most proxies write either `Forwarded` (RFC 7239) or `X-Forwarded-For`, and forward the other header as the client sent
    /// it. So if both are present, they count only if they name the same client.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let forwarded = || self.first_untrusted(elements(headers, "forwarded").map(forwarded_for));
        let x_forwarded_for = || self.first_untrusted(elements(headers, "x-forwarded-for").map(address));
        let client = match ["forwarded", "x-forwarded-for"].map(|name| headers.contains_key(name)) {
            [true, true] => forwarded().filter(|client| x_forwarded_for() == Some(*client)),
            [true, false] => forwarded(),
            [false, _] => x_forwarded_for(),
        };
        client.unwrap_or(peer)
    }

    /// The first address that is not a trusted proxy, or the last one if all are. None if an address cannot be read.
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

/// The elements of a list header (RFC 9110 section 5.6.1), from the last to the first.
fn elements<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let lines: Vec<_> = headers.get_all(HeaderName::from_static(name)).iter().collect();
    let elements = lines.into_iter().rev().flat_map(|line| split(line.as_bytes(), b','));
    // An element that is not UTF-8 becomes an empty one, which is not an address. Other elements of its line stay readable.
    elements.map(|element| str::from_utf8(element).unwrap_or_default())
}

/// Splits a list at its separators, from the last to the first. Separators within a quoted string (RFC 9110 section 5.6.4) do
/// not count. The list is read from its end, so that an unclosed quote of the client hides nothing that a proxy appended.
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

/// The address in the `for` parameter of an element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = split(element.as_bytes(), b';')
        .into_iter()
        .filter_map(|pair| str::from_utf8(pair).ok()?.split_once('='));
    let named: Vec<_> = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).collect();
    let [(_, node)] = named.as_slice() else { return None };
    let node = node.trim();
    address(node.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or(node))
}

/// An address in `X-Forwarded-For`. Some proxies append the port.
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
    fn header_of_an_untrusted_peer_is_ignored_and_of_a_trusted_proxy_is_used() {
        for header in [(&FORWARDED, "for=192.0.2.9"), (&X, "192.0.2.9")] {
            assert_eq!(seen("192.0.2.1", &[header]), "192.0.2.1");
            assert_eq!(seen("::ffff:192.0.2.1", &[header]), "192.0.2.1");
            assert_eq!(seen("10.0.0.1", &[header]), "192.0.2.9");
            assert_eq!(seen("::ffff:10.0.0.1", &[header]), "192.0.2.9");
        }
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn separators_within_a_quoted_string_of_the_client_are_ignored() {
        // The first is the `Host` of a client, which a proxy forwards.
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
    fn address_is_parsed_in_every_form_that_proxies_write() {
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
    fn list_is_read_from_its_end_to_the_first_untrusted_address() {
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
            // The client's part of the list: it tries to break the list, or to look like the proxy's part.
            (vec![(&X, "\"\\, nonsense, 192.0.2.9")], "192.0.2.9"),
            (vec![(&FORWARDED, "for=\", for=192.0.2.9")], "192.0.2.9"),
            (vec![(&FORWARDED, "for=1.2.3.4;x=\", for=192.0.2.9")], "192.0.2.9"),
            // One of the two headers is the proxy's, and the server cannot know which one.
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
    fn unreadable_header_leaves_the_address_of_the_peer() {
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
