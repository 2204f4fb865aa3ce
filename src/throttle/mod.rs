//! GROUND: the limits on guessing. Both rooms hold attempts against them; the counts are in the database, so that every
//! node knows them and a restart forgets none.
//!
//! Only failures count, and nobody is told whether an account exists: an address that has none is counted as one that
//! has. What is counted, and how an attempt is held against several counts at once, is in
//! [`entity::throttle`](crate::entity::throttle); here are the rules.

mod deposit;
pub mod joins;
pub mod passwords;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;

use crate::{
    domain::{email::Email, throttle_key::ThrottleKey},
    entity::throttle::{self, Attempt, Limit},
    metric,
    store::Store,
};

/// How long the windows are in which failures are counted.
pub const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// Why an attempt was not let through.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There were too many failures before it.
    #[error("too many failures")]
    Throttled {
        /// In how many seconds the same attempt will be let through, if nothing else fails until then. At least 1.
        retry_after_seconds: u64,
    },
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] DbErr),
}

/// Forgets the failures on an account, wherever they came from.
pub async fn unlock(store: &Store, email: &Email) -> Result<(), DbErr> {
    throttle::Entity::reset(store.writer(), ThrottleKey::all_of(email)).await
}

/// Clears away up to `limit` counts that mean nothing any more, and says how many it were.
pub async fn sweep(store: &Store, now: DateTime<Utc>, limit: u64) -> Result<u64, DbErr> {
    throttle::Entity::sweep(store.writer(), now.timestamp_millis(), limit).await
}

/// How many failures a setting allows: 0 sets no limit.
fn allowed(setting: u32) -> i64 {
    if setting == 0 { i64::MAX } else { setting.into() }
}

/// A count in windows of time, one of which begins now unless one is running. None if nothing limits it.
fn in_window(key: ThrottleKey, allowed: i64, allowed_again: i64, now: DateTime<Utc>) -> Option<Limit> {
    let limited = allowed.min(allowed_again) < i64::MAX;
    limited.then(|| Limit { key, allowed, allowed_again, window_ends: (now + WINDOW).timestamp_millis() })
}

/// Refuses an attempt, with the time that its counts ask for.
async fn refusal(store: &Store, kind: &'static str, attempt: &Attempt) -> Refusal {
    match throttle::Entity::refusal(store.reader(), attempt).await {
        Ok(wait) => throttled(kind, wait.unwrap_or_default()),
        Err(error) => error.into(),
    }
}

fn throttled(kind: &'static str, milliseconds: i64) -> Refusal {
    metrics::counter!(metric::THROTTLED, "kind" => kind).increment(1);
    let milliseconds = u64::try_from(milliseconds).unwrap_or_default();
    Refusal::Throttled { retry_after_seconds: milliseconds.div_ceil(1000).max(1) }
}
