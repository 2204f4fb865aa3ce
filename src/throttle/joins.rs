//! Guessing join codes.
//!
//! A try is held against the user who makes it and against the network it comes from, and is charged when its code
//! admits nobody. Past its limit a network refuses users who have failed lately, so that a class behind one address gets
//! in beside somebody who guesses there.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Refusal, WINDOW, allowed, in_window, refusal, throttled};
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

    /// A try that `user` is about to make, if it is not refused.
    pub async fn admit(
        &self,
        store: &Store,
        user: Uuid,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<Try, Refusal> {
        if *self == Self::NONE {
            return Ok(Try(None));
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
        let limits = std::iter::once(own).chain(network).collect();
        let attempt = Attempt { at: now.timestamp_millis(), limits, free: i64::MAX };
        match throttle::Entity::refusal(store.reader(), &attempt).await? {
            Some(wait) => Err(throttled(KIND, wait)),
            None => Ok(Try(Some(attempt))),
        }
    }
}

/// A try at a join code. Left alone, it costs nothing.
#[derive(Debug)]
pub struct Try(Option<Attempt>);

impl Try {
    /// The code admits nobody. Whoever made more tries at once than they had is refused here.
    pub async fn fail(self, store: &Store) -> Result<(), Refusal> {
        let Some(attempt) = self.0 else { return Ok(()) };
        let charged = throttle::Entity::charge(store.replacing(), &attempt).await?;
        if charged.len() == attempt.limits.len() { Ok(()) } else { Err(refusal(store, KIND, &attempt).await) }
    }
}
