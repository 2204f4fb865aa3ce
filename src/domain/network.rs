//! Networks: the addresses that one subscriber can send requests from.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// A network of clients: one IPv4 address, or an IPv6 prefix. Connections without an address share one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(Option<(IpAddr, u8)>);

impl Network {
    /// The network of a client's address: the IPv4 address itself, or the IPv6 /64 that contains it (RFC 6177). An IPv4-mapped IPv6
    /// address counts as IPv4.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => (address.into(), 32),
            IpAddr::V6(address) => prefix(address, 64),
        }))
    }

    /// The networks that may belong to the same subscriber, the narrowest first: this one, and for IPv6 the /56 and the /48 that
    /// providers delegate (RFC 6177).
    pub fn enclosing(self) -> Vec<Self> {
        match self.0 {
            Some((IpAddr::V6(address), _)) => {
                vec![self, Self(Some(prefix(address, 56))), Self(Some(prefix(address, 48)))]
            }
            _ => vec![self],
        }
    }

    /// The widest network of one subscriber: the address for IPv4, the /48 for IPv6.
    #[must_use]
    pub fn site(self) -> Self {
        match self.0 {
            Some((IpAddr::V6(address), _)) => Self(Some(prefix(address, 48))),
            _ => self,
        }
    }
}

fn prefix(address: Ipv6Addr, length: u8) -> (IpAddr, u8) {
    let host = 128 - u32::from(length);
    (Ipv6Addr::from_bits(address.to_bits() >> host << host).into(), length)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((address, length)) => write!(f, "{address}/{length}"),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(Some(text.parse().unwrap()))
    }

    #[test]
    fn networks_of_addresses_in_one_64_are_equal() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.8"), network("192.0.2.7"));
        assert_ne!(Network::of(None), network("192.0.2.7"));
    }

    #[test]
    fn enclosing_networks_of_ipv6_are_the_64_56_and_48() {
        let texts =
            |address| network(address).enclosing().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts("2001:db8:1:2ff::9"),
            ["2001:db8:1:2ff::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"]
        );
        assert_eq!(texts("192.0.2.7"), ["192.0.2.7/32"]);
        assert_eq!(network("2001:db8:1:2::1").site(), network("2001:db8:1:ffff::").site());
        assert_ne!(network("2001:db8:1:2::1").site(), network("2001:db8:2:2::1").site());
    }
}
