//! What failures are counted by: an account, a network, or the one tried from the other. They are digests, so that a
//! table of them tells neither addresses nor who was tried from where.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    ops::RangeInclusive,
};

use aws_lc_rs::digest;
use sea_orm::DeriveValueType;
use uuid::Uuid;

use super::email::Email;

/// The key of a count: two halves of 16 bytes. What belongs to one account has its half in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
pub struct ThrottleKey(Vec<u8>);

super::never_numbered!(ThrottleKey);

/// Where requests come from, as far as one caller can hold addresses: one of IPv4, or the /64 of IPv6 that a subscriber
/// is given (RFC 6177). Connections without an address share a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(Option<IpAddr>);

impl Network {
    /// The network of an address. IPv4 behind IPv6 sockets is IPv4.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        }))
    }
}

impl ThrottleKey {
    /// Parts into which the server's own count is divided, so that not every failure changes the same row.
    pub const SERVER_PARTS: u8 = 16;

    /// An account over all networks. Nobody asks whether there is one.
    pub fn account(email: &Email) -> Self {
        Self::new(account(email), [0; 16])
    }

    /// An account tried from one network.
    pub fn pair(email: &Email, network: Network) -> Self {
        Self::new(account(email), half("network", &network))
    }

    /// Where [`account`](Self::account) and every [`pair`](Self::pair) of it lie.
    pub fn all_of(email: &Email) -> RangeInclusive<Self> {
        Self::account(email)..=Self::new(account(email), [0xFF; 16])
    }

    /// A network over all accounts that sign in.
    pub fn sign_ins_from(network: Network) -> Self {
        Self::new(half("sign-ins from", &network), [0; 16])
    }

    /// One of the [parts](Self::SERVER_PARTS) of the server's count, by its number.
    pub fn server(part: u8) -> Self {
        Self::new(half("server", &(part % Self::SERVER_PARTS)), [0; 16])
    }

    /// A user who joins.
    pub fn joiner(user: Uuid) -> Self {
        Self::new(half("joiner", &user), [0; 16])
    }

    /// A network from which users join.
    pub fn joins_from(network: Network) -> Self {
        Self::new(half("joins from", &network), [0; 16])
    }

    fn new(first: [u8; 16], second: [u8; 16]) -> Self {
        Self([first, second].concat())
    }
}

fn account(email: &Email) -> [u8; 16] {
    half("account", &email.as_str())
}

/// The first half of a SHA-256. The purpose keeps keys of different kinds apart.
fn half(purpose: &str, of: &dyn fmt::Display) -> [u8; 16] {
    let text = format!("homeroom throttle\0{purpose}\0{of}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_ref()[..16]);
    half
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl fmt::Debug for ThrottleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThrottleKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(Some(text.parse().unwrap()))
    }

    #[test]
    fn a_subscribers_addresses_are_one_network() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.8"), network("192.0.2.7"));
        assert_ne!(Network::of(None), network("192.0.2.7"));
    }

    #[test]
    fn keys_of_different_things_differ_and_an_accounts_lie_together() {
        let (here, there) = (network("192.0.2.7"), network("192.0.2.8"));
        let email = Email::parse("user@example.com").unwrap();
        let other = Email::parse("other@example.com").unwrap();
        let keys = [
            ThrottleKey::account(&email),
            ThrottleKey::account(&other),
            ThrottleKey::pair(&email, here),
            ThrottleKey::pair(&email, there),
            ThrottleKey::pair(&other, here),
            ThrottleKey::sign_ins_from(here),
            ThrottleKey::joins_from(here),
            ThrottleKey::joins_from(there),
            ThrottleKey::server(0),
            ThrottleKey::server(1),
            ThrottleKey::joiner(Uuid::nil()),
        ];
        let all = ThrottleKey::all_of(&email);
        let of_account: Vec<_> = (0..keys.len()).filter(|&index| all.contains(&keys[index])).collect();
        assert_eq!(of_account, [0, 2, 3]);
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
