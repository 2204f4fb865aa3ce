//! Guessing join codes.
//!
//! A try is held against the user who makes it, and charged to them before its code is looked at, so that tries at the
//! same time cannot outrun the count; it is given back unless the code admits nobody. And it is held against the network it
//! comes from, which is charged when it has failed. Past its limit a network refuses users who have failed lately, so that
//! a class behind one address gets in beside somebody who guesses there.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{Refusal, WINDOW, allowed, deposit::Deposit, in_window, refusal};
use crate::{
    domain::throttle_key::{Network, ThrottleKey},
    entity::throttle::{self, Attempt, Limit},
    store::Store,
};

/// What refusals are counted as.
const KIND: &str = "join";

/// What an operator decides of guessing join codes. 0 sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failed tries of a user in a window.
    pub user: u32,
    /// Failed tries of a network in a window, before it refuses users who have failed in this window.
    pub network: u32,
}

impl Limits {
    /// Unless an operator says otherwise.
    pub const DEFAULT: Self = Self { user: 10, network: 300 };
    /// Nothing is counted.
    pub const NONE: Self = Self { user: 0, network: 0 };

    /// Charges a try that `user` is about to make, or refuses it.
    pub async fn charge(
        &self,
        store: &Store,
        user: Uuid,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<Try, Refusal> {
        if *self == Self::NONE {
            return Ok(Try { deposit: None, network: None });
        }
        // The user's own count is kept for the network's sake, if for nothing else.
        let own = Limit {
            key: ThrottleKey::joiner(user),
            allowed: allowed(self.user),
            allowed_again: allowed(self.user),
            window_ends: (now + WINDOW).timestamp_millis(),
        };
        let network = ThrottleKey::joins_from(Network::of(from));
        let network = in_window(network, i64::MAX, allowed(self.network), now);
        let limits = std::iter::once(own).chain(network.clone()).collect();
        let at = now.timestamp_millis();
        let attempt = Attempt { at, limits, charged: 1, own: 1, free: i64::MAX };
        let (deposit, attempt) =
            Deposit::make(attempt, store.repeatable().clone(), store.writer().clone()).await?;
        if deposit.charged().is_empty() {
            return Err(refusal(store, KIND, &attempt).await);
        }
        let network =
            network.map(|limit| Attempt { at, limits: vec![limit], charged: 1, own: 0, free: i64::MAX });
        Ok(Try { deposit: Some(deposit), network })
    }
}

/// A try at a join code. Left alone, it is given back.
#[derive(Debug)]
#[must_use]
pub struct Try {
    /// None if nothing is counted.
    deposit: Option<Deposit>,
    /// What the network is charged if the try fails.
    network: Option<Attempt>,
}

impl Try {
    /// The code admits nobody.
    pub async fn fail(self, store: &Store) -> Result<(), DbErr> {
        if let Some(mut deposit) = self.deposit {
            deposit.judge();
        }
        if let Some(network) = self.network {
            // If that is full, one more says nothing more.
            throttle::Entity::charge(store.repeatable(), &network).await?;
        }
        Ok(())
    }

    /// The code was no guess, or was never judged.
    pub async fn give_back(self) {
        if let Some(deposit) = self.deposit {
            deposit.give_back().await;
        }
    }
}
