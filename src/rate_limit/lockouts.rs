//! The accounts whose sign-ins are refused, for operators.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use super::policies::PasswordLimits;
use crate::{
    db::Db,
    domain::{
        email::Email,
        rate_limit_key::{AccountScope, RateLimitKey},
    },
    entity::rate_limit,
};

/// A full count of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockout {
    /// The addresses from which sign-ins are refused.
    pub from: LockedAddresses,
    /// The time until which they are refused, if there is no further failure.
    pub until: DateTime<Utc>,
}

/// The addresses from which sign-ins to an account are refused. The counts contain digests, so no address is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockedAddresses {
    /// One address, or one IPv6 site.
    One,
    /// All addresses where the account did not sign in within 90 days.
    Unknown,
}

/// The lockouts of all accounts at one time.
#[derive(Debug, Default)]
pub struct Lockouts(HashMap<Vec<u8>, Vec<Lockout>>);

impl Lockouts {
    /// Reads the counts. The limits must be those of the server.
    pub async fn read(db: &Db, limits: PasswordLimits, now: DateTime<Utc>) -> Result<Self, DbErr> {
        let at = now.timestamp_millis();
        let mut lockouts: HashMap<Vec<u8>, Vec<Lockout>> = HashMap::new();
        for row in rate_limit::Entity::with_failures(db.read(), at).await? {
            // Counts of networks and users have other first halves, so no account is looked up with them.
            let Some(count) = limits.count_of_account(&row.key) else { continue };
            let Some(until) = count
                .wait(&row, at)
                .and_then(|wait| DateTime::from_timestamp_millis(at.saturating_add(wait)))
            else {
                continue;
            };
            let from = match row.key.account_scope() {
                AccountScope::Everywhere => LockedAddresses::Unknown,
                AccountScope::Network | AccountScope::Site => LockedAddresses::One,
            };
            lockouts.entry(row.key.account_half().to_vec()).or_default().push(Lockout { from, until });
        }
        for lockouts in lockouts.values_mut() {
            lockouts.sort_by_key(|lockout| (lockout.from, lockout.until));
        }
        Ok(Self(lockouts))
    }

    /// The lockouts of an account.
    pub fn of(&self, email: &Email) -> &[Lockout] {
        self.0.get(RateLimitKey::account(email).account_half()).map_or(&[], Vec::as_slice)
    }
}
