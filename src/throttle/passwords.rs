//! Guessing passwords.
//!
//! An attempt is charged before its password is looked at, and given back when it succeeds or nobody has judged it. It is
//! held against
//!
//! 1. the *pair* of account and network: the first failures in a row are free, then each doubles the delay before the next
//!    attempt, and after the last one the pair waits for an operator;
//! 2. the *account* over all networks, for as many failures in a row (NIST SP 800-63B-4 section 3.2.2 allows 100);
//! 3. the *network*: past its first limit it refuses pairs that have failed before, so that a school behind one address
//!    gets in beside somebody who guesses there; past its second limit it refuses every pair (spraying: one password on
//!    many accounts);
//! 4. the *server*, for spraying from many networks.
//!
//! A pair that signed in lately is *known*, and is held against its own count alone: no stranger keeps an owner out.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{DbBackend, Statement};

use super::{Refusal, allowed, deposit::Deposit, in_window, refusal};
use crate::{
    domain::{
        email::Email,
        throttle_key::{Network, ThrottleKey},
    },
    entity::throttle::{self, Attempt, Limit},
    store::Store,
};

/// What refusals are counted as.
const KIND: &str = "password";
/// How long a pair is known for after it has signed in.
pub const KNOWN: TimeDelta = TimeDelta::days(90);

/// What an operator decides of guessing passwords. 0 sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures in a row of a pair before there is a delay.
    pub free: u32,
    /// Failures in a row of a pair, and of an account over all networks.
    pub account: u32,
    /// Failures of a network in a window, before it refuses pairs that have failed before.
    pub network: u32,
    /// Failures of a network in a window, before it refuses every pair that is not known.
    pub network_spray: u32,
    /// Failures of all networks in a window, before every pair is refused that is not known.
    pub server_spray: u32,
}

impl Limits {
    /// Unless an operator says otherwise.
    pub const DEFAULT: Self =
        Self { free: 4, account: 100, network: 100, network_spray: 1_000, server_spray: 10_000 };
    /// Nothing is counted.
    pub const NONE: Self = Self { free: 0, account: 0, network: 0, network_spray: 0, server_spray: 0 };

    /// Charges an attempt on an account, be there one or not, or refuses it. It may wait for as long as `patience` for
    /// others to be charged with it.
    pub async fn charge(
        &self,
        store: &Store,
        email: &Email,
        from: Option<IpAddr>,
        patience: Duration,
        now: DateTime<Utc>,
    ) -> Result<Charge, Refusal> {
        let network = Network::of(from);
        let pair = ThrottleKey::pair(email, network);
        let account = ThrottleKey::account(email);
        if *self == Self::NONE {
            return Ok(Charge { pair, account, deposit: None });
        }
        let attempt = self.attempt(pair.clone(), account.clone(), network, now);
        let charging = store.repeatable().within(patience);
        let (deposit, attempt) = Deposit::make(attempt, charging, store.writer().clone()).await?;
        let charged = deposit.charged();
        let known = charged.first().is_some_and(|first| first.known_until > attempt.at);
        let all = if known { 1 } else { attempt.limits.len() };
        if charged.len() >= all && charged.first().is_some_and(|first| first.key == pair) {
            return Ok(Charge { pair, account, deposit: Some(deposit) });
        }
        deposit.give_back().await;
        Err(refusal(store, KIND, &attempt).await)
    }

    /// The counts, in the order in which they are changed: those that many share come last.
    fn attempt(
        &self,
        pair: ThrottleKey,
        account: ThrottleKey,
        network: Network,
        now: DateTime<Utc>,
    ) -> Attempt {
        let in_a_row = |key| {
            let allowed = allowed(self.account);
            Limit { key, allowed, allowed_again: allowed, window_ends: 0 }
        };
        let spray = allowed(self.network_spray);
        let from = ThrottleKey::sign_ins_from(network);
        let from = in_window(from, spray, spray.min(allowed(self.network)), now);
        let part = allowed(self.server_spray.div_ceil(ThrottleKey::SERVER_PARTS.into()));
        // By chance, and not by who asks: nobody can choose whom they keep out by filling one.
        let server = ThrottleKey::server(fastrand::u8(..ThrottleKey::SERVER_PARTS));
        let server = in_window(server, part, part, now);
        let limits: Vec<_> =
            [in_a_row(pair), in_a_row(account)].into_iter().chain(from).chain(server).collect();
        Attempt {
            at: now.timestamp_millis(),
            charged: limits.len(),
            own: 2,
            limits,
            free: allowed(self.free),
        }
    }
}

/// What an attempt was charged to. Left alone, its account has it back.
#[derive(Debug)]
#[must_use]
pub struct Charge {
    pair: ThrottleKey,
    account: ThrottleKey,
    /// None if nothing is counted.
    deposit: Option<Deposit>,
}

impl Charge {
    /// The attempt succeeded: its pair and its account have no failures in a row any more, the pair is known, and network
    /// and server get this one back. Nothing, if nothing was counted.
    pub fn succeeding(&self, backend: DbBackend, now: DateTime<Utc>) -> Option<Statement> {
        let Self { pair, account, deposit } = self;
        let known_until = (now + KNOWN).timestamp_millis();
        let charged = deposit.as_ref()?.charged().iter();
        let others = charged.filter(|charged| charged.key != *pair && charged.key != *account);
        let at = now.timestamp_millis();
        Some(throttle::Entity::settling(backend, [pair, account], others, at, known_until))
    }

    /// The attempt is judged: from now on it stays charged, unless it is said otherwise.
    pub fn judge(&mut self) {
        if let Some(deposit) = &mut self.deposit {
            deposit.judge();
        }
    }

    /// The attempt was no guess, or was never judged.
    pub async fn give_back(self) {
        if let Some(deposit) = self.deposit {
            deposit.give_back().await;
        }
    }
}
