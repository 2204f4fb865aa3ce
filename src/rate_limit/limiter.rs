//! The algorithm behind the limits of [`policies`](super::policies). Rust decides, the database stores.
//!
//! An attempt is [checked](Limiter::check) first, which only reads. Then it is [reserved](Limiter::reserve), before its secret
//! is compared. A wrong secret [commits](Reservation::commit) the reservation, which counts a failure. A right secret
//! is a [success](Reservation::success). Anything else [releases](Reservation::release) the reservation, and so does dropping it.

use std::{collections::HashMap, panic::resume_unwind, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnAcquireErr, ConnectionTrait, DbErr};
use tokio::{runtime::Handle, sync::Semaphore};
use tracing::Instrument;

use super::policies::{Count, Exempt, Scope, Wait};
use crate::{
    db::{self, Db},
    domain::{email::Email, rate_limit_key::RateLimitKey, retry_after::RetryAfter},
    entity::{
        audit_event,
        rate_limit::{self, Failure},
    },
};

/// The time for which an account is known in a network after a success from there.
pub const KNOWN: TimeDelta = TimeDelta::days(90);
/// The longest back-off, in milliseconds.
const MAX_BACK_OFF: i64 = 900_000;
/// The wait of an attempt that is refused only because of concurrent attempts, in milliseconds.
const CONCURRENCY_WAIT: i64 = 1_000;
/// The number of times that a reservation is tried while concurrent attempts change its counts.
const TRIES: u32 = 4;
/// Upper bound on concurrent reservations, so that disconnecting clients cannot pile them up.
static RESERVING: Semaphore = Semaphore::const_new(256);

/// Why an attempt is refused.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Too many failures before this attempt. After the given time the same attempt is allowed, if there is no further failure.
    #[error("too many failures")]
    RateLimited(RetryAfter),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The limited action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A sign-in with a password.
    SignIn,
    /// A join with a join code.
    Join,
    /// The generation of a join code.
    GenerateJoinCode,
    /// A registration.
    Register,
    /// A request to reset a password.
    RequestReset,
    /// A request that makes accounts or passwords of students.
    MakeStudentAccounts,
    /// A file of students.
    ImportStudents,
}

impl Action {
    /// The value of the label `kind` in metrics.
    fn label(self) -> &'static str {
        match self {
            Self::SignIn => "password",
            Self::Join => "join",
            Self::GenerateJoinCode => "generate",
            Self::Register => "register",
            Self::RequestReset => "reset",
            Self::MakeStudentAccounts => "student",
            Self::ImportStudents => "import",
        }
    }
}

/// Applies limits to attempts.
#[derive(Clone)]
pub struct Limiter {
    db: Db,
}

/// An attempt that the limits allow, as of the last read.
#[derive(Debug)]
pub struct Attempt {
    action: Action,
    counts: Vec<Count>,
    /// The row of each count.
    rows: Vec<rate_limit::Model>,
    /// The time of the attempt, in milliseconds since 1970.
    at: i64,
}

impl Limiter {
    /// A limiter over the counts of this database.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Reads the counts, and refuses the attempt if one of them is full. Writes nothing.
    pub async fn check(
        &self,
        action: Action,
        counts: Vec<Count>,
        now: DateTime<Utc>,
    ) -> Result<Attempt, LimitError> {
        let attempt = Attempt { action, counts, rows: Vec::new(), at: now.timestamp_millis() };
        self.read(attempt).await
    }

    async fn read(&self, mut attempt: Attempt) -> Result<Attempt, LimitError> {
        if attempt.counts.is_empty() {
            return Ok(attempt);
        }
        let keys = attempt.counts.iter().map(|count| count.key.clone());
        let rows = rate_limit::Entity::find_by_keys(self.db.read(), keys).await?;
        let mut rows: HashMap<RateLimitKey, _> = rows.into_iter().map(|row| (row.key.clone(), row)).collect();
        let row = |count: &Count| {
            rows.remove(&count.key).unwrap_or_else(|| rate_limit::Model::empty(count.key.clone()))
        };
        attempt.rows = attempt.counts.iter().map(row).collect();
        match attempt.wait() {
            Some(wait) => Err(rate_limited(attempt.action, wait)),
            None => Ok(attempt),
        }
    }

    /// Counts an event, unless its count is full. Without a count there is no limit.
    pub async fn count(
        &self,
        action: Action,
        count: Option<Count>,
        now: DateTime<Utc>,
    ) -> Result<(), LimitError> {
        let Some(count) = count else { return Ok(()) };
        let at = now.timestamp_millis();
        let counted = self.db.write(count.clone(), move |db, count| {
            Box::pin(rate_limit::Entity::count(db, &count.key, count.limit, count.drain, at))
        });
        if counted.await? {
            return Ok(());
        }
        let rows = rate_limit::Entity::find_by_keys(self.db.read(), [count.key.clone()]).await?;
        let wait = rows.first().and_then(|row| count.wait(row, at));
        Err(rate_limited(action, wait.unwrap_or_default()))
    }

    /// Reserves an attempt in its own counts.
    ///
    /// The reservation runs to its end even if the client disconnects, so that the reserved rows are known and released.
    pub async fn reserve(&self, attempt: Attempt) -> Result<Reservation, LimitError> {
        // Cancelling the request at this point leaves nothing to release.
        let permit = RESERVING.acquire().await;
        let limiter = self.clone();
        let reserve = async move {
            let _permit = permit;
            limiter.try_reserve(attempt).await
        };
        match tokio::spawn(reserve.in_current_span()).await {
            Ok(reserved) => reserved,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed).into()),
            },
        }
    }

    async fn try_reserve(&self, mut attempt: Attempt) -> Result<Reservation, LimitError> {
        for _ in 0..TRIES {
            let mut reservation = Reservation {
                db: self.db.clone(),
                reserved: Vec::new(),
                failures: attempt.failures(),
                at: attempt.at,
            };
            let mut changed = false;
            for (count, row) in attempt.applicable() {
                let Some(concurrency) = count.concurrency else { continue };
                let capacity = count.capacity(row, concurrency, attempt.at);
                let at = attempt.at;
                let reserve = self.db.write(row.clone(), move |db, row| {
                    Box::pin(rate_limit::Entity::reserve(db, row, capacity, at))
                });
                if !reserve.await? {
                    changed = true;
                    break;
                }
                reservation.reserved.push(count.key.clone());
            }
            if !changed {
                return Ok(reservation);
            }
            reservation.release().await;
            attempt = self.read(attempt).await?;
            if attempt.exceeds_concurrency() {
                break;
            }
        }
        Err(rate_limited(attempt.action, CONCURRENCY_WAIT))
    }

    /// Resets all failures of an account, from every network.
    pub async fn forget_account(&self, email: &Email) -> Result<(), DbErr> {
        let keys = RateLimitKey::all_of(email);
        self.db.write(keys, |db, keys| Box::pin(rate_limit::Entity::forget(db, keys.clone()))).await
    }
}

impl Attempt {
    /// Whether the account signed in from this network recently.
    fn is_known(&self) -> bool {
        self.rows.first().is_some_and(|row| row.known_until > self.at)
    }

    /// Whether the attempt's own count has too many failures for [`Exempt::First`].
    fn is_repeated(&self) -> bool {
        let own = self.counts.iter().zip(&self.rows).next();
        let failures = own.map_or(0, |(count, row)| row.failures(count.drain, self.at));
        failures > i64::from(self.is_known())
    }

    /// The counts that apply to the attempt, with their rows. Failures of a known account from other networks neither limit it
    /// nor increase with it.
    fn applicable(&self) -> impl Iterator<Item = (&Count, &rate_limit::Model)> {
        let known = self.is_known();
        self.counts.iter().zip(&self.rows).filter(move |(count, _)| !known || count.scope != Scope::Account)
    }

    /// The milliseconds for which the attempt is refused, if it is.
    fn wait(&self) -> Option<i64> {
        let (known, repeated) = (self.is_known(), self.is_repeated());
        let waits = self.applicable().filter_map(|(count, row)| {
            let exempt = match count.exempt {
                Exempt::Nothing => false,
                Exempt::First => !repeated,
                Exempt::Known => known,
            };
            if exempt { None } else { count.wait(row, self.at) }
        });
        waits.max()
    }

    /// Whether concurrent attempts exhaust one of the attempt's own counts.
    fn exceeds_concurrency(&self) -> bool {
        self.applicable().any(|(count, row)| {
            let capacity = count.concurrency.map(|concurrency| count.capacity(row, concurrency, self.at));
            capacity.is_some_and(|capacity| row.attempts_in_progress(self.at) >= capacity)
        })
    }

    /// The counts that a failure increases. A full shared count stays as it is, so that it empties within its window.
    fn failures(&self) -> Vec<Failure> {
        let increases = |(count, row): &(&Count, &rate_limit::Model)| {
            count.scope != Scope::Shared || row.failures(count.drain, self.at) < count.limit
        };
        self.applicable().filter(increases).map(|(count, _)| (count.key.clone(), count.drain)).collect()
    }
}

impl Count {
    /// The milliseconds for which this count refuses attempts, if it does.
    pub(super) fn wait(&self, row: &rate_limit::Model, at: i64) -> Option<i64> {
        if row.failures(self.drain, at) == 0 {
            return None;
        }
        let wait = match self.wait {
            // The failures are those at the time of the last one, so that the wait does not shrink while it runs.
            Wait::BackOff => {
                let beyond = row.failures(self.drain, row.failed_at) - self.limit;
                let seconds = if beyond < 0 { 0 } else { 1 << beyond.min(10) };
                row.failed_at + MAX_BACK_OFF.min(1_000 * seconds) - at
            }
            Wait::UntilForgotten => row.drained_at - at - (self.limit - 1) * self.drain,
        };
        (wait > 0).then_some(wait)
    }

    /// The number of concurrent attempts: at most as many as may fail before there is a wait, and at least one.
    fn capacity(&self, row: &rate_limit::Model, concurrency: i64, at: i64) -> i64 {
        concurrency.min(self.limit - row.failures(self.drain, at)).max(1)
    }
}

fn rate_limited(action: Action, milliseconds: i64) -> LimitError {
    metrics::counter!(crate::metrics::THROTTLED, "kind" => action.label()).increment(1);
    let wait = Duration::from_millis(milliseconds.try_into().unwrap_or_default());
    LimitError::RateLimited(RetryAfter::from_duration(wait))
}

/// An attempt in progress.
#[must_use]
pub struct Reservation {
    db: Db,
    /// The keys of the rows that count the attempt as in progress.
    reserved: Vec<RateLimitKey>,
    failures: Vec<Failure>,
    at: i64,
}

impl Reservation {
    /// Counts a failure: the secret was wrong.
    ///
    /// The failure is stored before the client is answered, even if the client disconnects. If the database fails, the client
    /// must not learn that the secret was wrong.
    pub async fn commit(mut self) -> Result<(), DbErr> {
        let (failures, at) = self.take_failures();
        let fail =
            self.db.write(failures, move |db, failures| Box::pin(rate_limit::Entity::fail(db, failures, at)));
        fail.await
    }

    /// Counts a failure like [`commit`](Self::commit), and records it in the audit trail in the same transaction.
    pub async fn commit_with(mut self, event: audit_event::Model) -> Result<(), DbErr> {
        let (failures, at) = self.take_failures();
        let fail = self.db.transaction((event, failures), move |db, (event, failures)| {
            Box::pin(async move {
                audit_event::Entity::record(db, event.clone()).await?;
                // Last, because concurrent attempts may wait for these rows.
                rate_limit::Entity::fail(db, failures, at).await
            })
        });
        fail.await
    }

    /// Ends the reservation: a failure increases its rows, which also ends their attempts in progress.
    fn take_failures(&mut self) -> (Vec<Failure>, i64) {
        self.reserved.clear();
        (std::mem::take(&mut self.failures), self.at)
    }

    /// The success of the attempt, to be [recorded](Success::record) together with its consequence. Call
    /// [`succeeded`](Self::succeeded) afterwards.
    pub fn success(&self) -> Success {
        Success { reserved: self.reserved.clone(), known_until: self.at + KNOWN.num_milliseconds() }
    }

    /// Ends the reservation after its [`success`](Self::success) was recorded.
    pub fn succeeded(mut self) {
        self.reserved.clear();
    }

    /// Ends the reservation without counting: the secret was not compared, or was right without further consequence.
    pub async fn release(mut self) {
        release(&self.db, std::mem::take(&mut self.reserved)).await;
    }
}

/// The success of an attempt.
#[derive(Clone)]
pub struct Success {
    reserved: Vec<RateLimitKey>,
    known_until: i64,
}

impl Success {
    /// Ends the reservation, resets the attempt's own count, and makes its account known in its network.
    pub async fn record(&self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        let Some((own, others)) = self.reserved.split_first() else { return Ok(()) };
        rate_limit::Entity::succeed(db, own.clone(), self.known_until).await?;
        for key in others {
            rate_limit::Entity::release(db, key.clone()).await?;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let reserved = std::mem::take(&mut self.reserved);
        if reserved.is_empty() {
            return;
        }
        // Without a runtime, the process is ending. The reservation expires.
        if let Ok(runtime) = Handle::try_current() {
            let db = self.db.clone();
            drop(runtime.spawn(async move { release(&db, reserved).await }.in_current_span()));
        }
    }
}

/// Releases one row per statement, so that no statement waits for a row while it has another one locked.
async fn release(db: &Db, reserved: Vec<RateLimitKey>) {
    for key in reserved {
        let release = db.write(key, |db, key| Box::pin(rate_limit::Entity::release(db, key.clone())));
        if let Err(error) = release.await {
            tracing::debug!(error = db::causes(&error), "a reservation was not released and will expire");
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("reserved", &self.reserved.len()).finish_non_exhaustive()
    }
}
