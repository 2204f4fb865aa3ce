//! Keys of the counts of the rate limiter. They are digests, so that the table shows neither addresses nor accounts.

use std::{fmt, ops::RangeInclusive};

use aws_lc_rs::digest;
use sea_orm::DeriveValueType;

use super::{
    email::Email,
    id::{ClassId, UserId},
    network::Network,
};

/// A key of two halves of 16 bytes. All counts of one account share the first half.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct RateLimitKey(Vec<u8>);

super::not_auto_increment!(RateLimitKey);
super::redacted_debug!(RateLimitKey);

impl RateLimitKey {
    /// An account, which need not exist.
    pub fn account(email: &Email) -> Self {
        Self::new(account(email), [0; 16])
    }

    /// An account, tried from one network.
    pub fn account_from(email: &Email, network: Network) -> Self {
        Self::new(account(email), half("network", &network))
    }

    /// The range that contains [`account`](Self::account) and every [`account_from`](Self::account_from).
    pub fn all_of(email: &Email) -> RangeInclusive<Self> {
        Self::account(email)..=Self::new(account(email), [0xFF; 16])
    }

    /// Repeated failures to sign in from a network.
    pub fn sign_ins_from(network: Network) -> Self {
        Self::new(half("sign-ins from", &network), [0; 16])
    }

    /// Failures to sign in from a network, counted against password spraying.
    pub fn spray_from(network: Network) -> Self {
        Self::new(half("spray from", &network), [0; 16])
    }

    /// One shard of the count of the whole server.
    pub fn sign_ins(shard: u32) -> Self {
        Self::new(half("sign-ins", &shard), [0; 16])
    }

    /// A user who joins classes.
    pub fn joiner(user: UserId) -> Self {
        Self::new(half("joiner", &user), [0; 16])
    }

    /// Joins from a network.
    pub fn joins_from(network: Network) -> Self {
        Self::new(half("joins from", &network), [0; 16])
    }

    /// Join codes generated for a class.
    pub fn generated_codes(class: ClassId) -> Self {
        Self::new(half("generated codes", &class), [0; 16])
    }

    fn new(first: [u8; 16], second: [u8; 16]) -> Self {
        Self([first, second].concat())
    }
}

fn account(email: &Email) -> [u8; 16] {
    half("account", &email.as_str())
}

/// The first half of a SHA-256. The purpose separates keys of different kinds.
fn half(purpose: &str, of: &dyn fmt::Display) -> [u8; 16] {
    let text = format!("homeroom rate limit\0{purpose}\0{of}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_ref()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_subjects_differ_and_an_accounts_keys_form_one_range() {
        let [here, there] =
            ["192.0.2.7", "192.0.2.8"].map(|address| Network::of(Some(address.parse().unwrap())));
        let wide = Network::of(Some("2001:db8::".parse().unwrap()));
        let [email, other] =
            ["user@example.com", "other@example.com"].map(|address| Email::parse(address).unwrap());
        let mut keys = vec![
            RateLimitKey::account(&email),
            RateLimitKey::account(&other),
            RateLimitKey::account_from(&email, here),
            RateLimitKey::account_from(&email, there),
            RateLimitKey::account_from(&other, here),
            RateLimitKey::sign_ins_from(here),
            RateLimitKey::spray_from(here),
            RateLimitKey::joins_from(here),
            RateLimitKey::joins_from(there),
            RateLimitKey::sign_ins(0),
            RateLimitKey::sign_ins(1),
            RateLimitKey::joiner(UserId::from_u128(0)),
            RateLimitKey::generated_codes(ClassId::from_u128(0)),
        ];
        // The same address with three prefix lengths.
        keys.extend(wide.enclosing().into_iter().map(RateLimitKey::sign_ins_from));
        let all = RateLimitKey::all_of(&email);
        let of_account: Vec<_> = (0..keys.len()).filter(|&index| all.contains(&keys[index])).collect();
        assert_eq!(of_account, [0, 2, 3]);
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
