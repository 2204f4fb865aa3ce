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

/// The bit in the second half of an account's key that tells a site from a network.
const SITE: u8 = 0x80;

/// From where attempts on an account count in a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountScope {
    /// From everywhere.
    Everywhere,
    /// From one network.
    Network,
    /// From one IPv6 site.
    Site,
}

impl RateLimitKey {
    /// An account, which need not exist.
    pub fn account(email: &Email) -> Self {
        Self::new(account(email), [0; 16])
    }

    /// An account, tried from one network.
    pub fn account_from(email: &Email, network: Network) -> Self {
        let mut network = half("network", &network);
        network[0] &= !SITE;
        Self::new(account(email), network)
    }

    /// An account, tried from one IPv6 site.
    pub fn account_at_site(email: &Email, site: Network) -> Self {
        let mut site = half("network", &site);
        site[0] |= SITE;
        Self::new(account(email), site)
    }

    /// The subject of a key of an account.
    pub fn account_scope(&self) -> AccountScope {
        match self.0.get(16..) {
            Some([0, rest @ ..]) if rest.iter().all(|byte| *byte == 0) => AccountScope::Everywhere,
            Some([first, ..]) if first & SITE != 0 => AccountScope::Site,
            _ => AccountScope::Network,
        }
    }

    /// The half that all keys of one account share.
    pub fn account_half(&self) -> &[u8] {
        &self.0[..16.min(self.0.len())]
    }

    /// The range that contains [`account`](Self::account), every [`account_from`](Self::account_from) and every
    /// [`account_at_site`](Self::account_at_site).
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

    /// Registrations from a network.
    pub fn registrations_from(network: Network) -> Self {
        Self::new(half("registrations from", &network), [0; 16])
    }

    /// Requests to reset a password from a network.
    pub fn resets_from(network: Network) -> Self {
        Self::new(half("resets from", &network), [0; 16])
    }

    /// Requests of a teacher that make accounts or passwords of students.
    pub fn student_accounts_by(owner: UserId) -> Self {
        Self::new(half("student accounts by", &owner), [0; 16])
    }

    /// Files of students of a teacher.
    pub fn student_imports_by(owner: UserId) -> Self {
        Self::new(half("student imports by", &owner), [0; 16])
    }

    /// Mails to an address that any client can cause.
    pub fn mails_to(email: &Email) -> Self {
        Self::new(half("mails to", &email.as_str()), [0; 16])
    }

    /// Mails to an address without an account, which are not sent.
    pub fn pretended_mails_to(email: &Email) -> Self {
        Self::new(half("pretended mails to", &email.as_str()), [0; 16])
    }

    /// Notices of changes to an address.
    pub fn notices_to(email: &Email) -> Self {
        Self::new(half("notices to", &email.as_str()), [0; 16])
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
            RateLimitKey::account_at_site(&email, wide.site()),
            RateLimitKey::account_from(&other, here),
            RateLimitKey::sign_ins_from(here),
            RateLimitKey::spray_from(here),
            RateLimitKey::joins_from(here),
            RateLimitKey::joins_from(there),
            RateLimitKey::sign_ins(0),
            RateLimitKey::sign_ins(1),
            RateLimitKey::joiner(UserId::from_u128(0)),
            RateLimitKey::generated_codes(ClassId::from_u128(0)),
            RateLimitKey::registrations_from(here),
            RateLimitKey::resets_from(here),
            RateLimitKey::student_accounts_by(UserId::from_u128(0)),
            RateLimitKey::student_imports_by(UserId::from_u128(0)),
            RateLimitKey::mails_to(&email),
            RateLimitKey::mails_to(&other),
            RateLimitKey::notices_to(&email),
        ];
        // The same address with three prefix lengths.
        keys.extend(wide.enclosing().into_iter().map(RateLimitKey::sign_ins_from));
        let all = RateLimitKey::all_of(&email);
        let of_account: Vec<_> = (0..keys.len()).filter(|&index| all.contains(&keys[index])).collect();
        assert_eq!(of_account, [0, 2, 3, 4]);
        let scopes: Vec<_> = of_account.iter().map(|&index| keys[index].account_scope()).collect();
        let network = AccountScope::Network;
        assert_eq!(scopes, [AccountScope::Everywhere, network, network, AccountScope::Site]);
        assert!(of_account.iter().all(|&index| keys[index].account_half() == keys[0].account_half()));
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
