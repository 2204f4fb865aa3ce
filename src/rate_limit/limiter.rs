//! Holding attempts against the counts of [`policies`](super::policies). Decisions are made here; the statements only db.
//!
//! An attempt is [checked](Limiter::check) first, which reads and changes nothing. An attempt that passes is
//! [reserved](Limiter::reserve) before its secret is looked at. Afterwards its reservation [fails](Reservation::fail),
//! [succeeds](Reservation::succeeding), or is [released](Reservation::release) if the secret was not judged. A reservation that
//! is dropped is released.

use std::{collections::HashMap, panic::resume_unwind};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::{runtime::Handle, sync::Semaphore};
use tracing::Instrument;

use super::policies::{Count, Refuses, Scope};
use crate::{
    db::{self, Db},
    domain::{email::Email, rate_limit_key::RateLimitKey},
    entity::rate_limit::{self, Failure},
};

/// For how long an account is known in a network after a success from there.
pub const KNOWN: TimeDelta = TimeDelta::days(90);
/// The longest wait after a failure, in milliseconds.
const LONGEST_WAIT: i64 = 900_000;
/// The wait of an attempt that only other attempts under way keep out, in milliseconds.
const UNDER_WAY_WAIT: i64 = 1_000;
/// How often a reservation is tried that other attempts overtake.
const TRIES: u32 = 4;
/// Upper bound on concurrent reservations, so that disconnecting clients cannot pile them up.
static RESERVING: Semaphore = Semaphore::const_new(256);

/// Why an attempt is not made.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There were too many failures before it.
    #[error("too many failures")]
    RateLimited {
        /// In how many seconds the same attempt will be let through, if nothing else fails until then. At least 1.
        retry_after_seconds: u64,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Which secret is guessed, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// A password.
    Password,
    /// A join code.
    JoinCode,
}

/// Holds attempts against counts in the database.
#[derive(Clone)]
pub struct Limiter {
    db: Db,
}

/// An attempt that its counts allow, as far as they were read.
#[derive(Debug)]
pub struct Attempt {
    secret: Secret,
    counts: Vec<Count>,
    /// The row of each count.
    rows: Vec<rate_limit::Model>,
    at: i64,
}

impl Limiter {
    /// A limiter over the counts of this database.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Reads the counts, and refuses the attempt if one of them does. Nothing is changed.
    pub async fn check(
        &self,
        secret: Secret,
        counts: Vec<Count>,
        now: DateTime<Utc>,
    ) -> Result<Attempt, Refusal> {
        let attempt = Attempt { secret, counts, rows: Vec::new(), at: now.timestamp_millis() };
        self.read(attempt).await
    }

    async fn read(&self, mut attempt: Attempt) -> Result<Attempt, Refusal> {
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
            Some(wait) => Err(refused(attempt.secret.label(), wait)),
            None => Ok(attempt),
        }
    }

    /// Counts an event, unless its count is full. Without a count there is no limit.
    pub async fn count(&self, count: Option<Count>, now: DateTime<Utc>) -> Result<(), Refusal> {
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
        Err(refused("generate", wait.unwrap_or_default()))
    }

    /// Reserves an attempt in the counts that are its own.
    ///
    /// The reservation runs to its end even if the client hangs up, so that it is known what to release.
    pub async fn reserve(&self, attempt: Attempt) -> Result<Reservation, Refusal> {
        // A client that hangs up while it waits here leaves nothing behind.
        let permit = RESERVING.acquire().await;
        let limiter = self.clone();
        let reserve = async move {
            let _permit = permit;
            limiter.try_to_reserve(attempt).await
        };
        match tokio::spawn(reserve.in_current_span()).await {
            Ok(reserved) => reserved,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed).into()),
            },
        }
    }

    async fn try_to_reserve(&self, mut attempt: Attempt) -> Result<Reservation, Refusal> {
        for _ in 0..TRIES {
            let mut reservation = Reservation {
                db: self.db.clone(),
                reserved: Vec::new(),
                failures: attempt.failures(),
                at: attempt.at,
            };
            let mut overtaken = false;
            for (count, row) in attempt.held() {
                let Some(at_once) = count.at_once else { continue };
                let room = count.room(row, at_once, attempt.at);
                let at = attempt.at;
                let reserve = self.db.write(row.clone(), move |db, row| {
                    Box::pin(rate_limit::Entity::reserve(db, row, room, at))
                });
                if !reserve.await? {
                    overtaken = true;
                    break;
                }
                reservation.reserved.push(count.key.clone());
            }
            if !overtaken {
                return Ok(reservation);
            }
            reservation.release().await;
            attempt = self.read(attempt).await?;
            if attempt.is_full() {
                break;
            }
        }
        Err(refused(attempt.secret.label(), UNDER_WAY_WAIT))
    }

    /// Forgets the failures of an account, wherever they came from.
    pub async fn forget_account(&self, email: &Email) -> Result<(), DbErr> {
        let keys = RateLimitKey::all_of(email);
        self.db.write(keys, |db, keys| Box::pin(rate_limit::Entity::forget(db, keys.clone()))).await
    }

    /// Deletes up to `limit` counts that have meant nothing since `before`, and says how many it were.
    pub async fn sweep(&self, before: DateTime<Utc>, limit: u64) -> Result<u64, DbErr> {
        let before = before.timestamp_millis();
        self.db.write((), move |db, ()| Box::pin(rate_limit::Entity::sweep(db, before, limit))).await
    }
}

impl Attempt {
    /// Whether the account signed in from this network lately.
    fn is_known(&self) -> bool {
        self.rows.first().is_some_and(|row| row.known_until > self.at)
    }

    /// Whether the attempt's own count holds so many failures that the attempt counts as repeated.
    fn is_repeated(&self) -> bool {
        let own = self.counts.iter().zip(&self.rows).next();
        let failures = own.map_or(0, |(count, row)| row.failures(count.drain, self.at));
        failures > i64::from(self.is_known())
    }

    /// The counts that the attempt is held against and adds to, with their rows. A known account is spared the counts of its
    /// failures elsewhere, and leaves them alone.
    fn held(&self) -> impl Iterator<Item = (&Count, &rate_limit::Model)> {
        let known = self.is_known();
        self.counts.iter().zip(&self.rows).filter(move |(count, _)| !known || count.scope != Scope::Account)
    }

    /// For how many milliseconds the attempt is refused, if it is.
    fn wait(&self) -> Option<i64> {
        let (known, repeated) = (self.is_known(), self.is_repeated());
        let waits = self.held().filter_map(|(count, row)| {
            let spared = match count.refuses {
                Refuses::BackOff | Refuses::EveryAttempt => false,
                Refuses::Repeated => !repeated,
                Refuses::Unknown => known,
            };
            if spared { None } else { count.wait(row, self.at) }
        });
        waits.max()
    }

    /// Whether attempts under way leave no room in one of the attempt's own counts.
    fn is_full(&self) -> bool {
        self.held().any(|(count, row)| {
            let room = count.at_once.map(|at_once| count.room(row, at_once, self.at));
            room.is_some_and(|room| row.attempts_under_way(self.at) >= room)
        })
    }

    /// What a failure adds to. A count that strangers share and that is full stays as it is, so that it is empty again in its
    /// time.
    fn failures(&self) -> Vec<Failure> {
        let adds = |(count, row): &(&Count, &rate_limit::Model)| {
            count.scope != Scope::Shared || row.failures(count.drain, self.at) < count.limit
        };
        self.held().filter(adds).map(|(count, _)| (count.key.clone(), count.drain)).collect()
    }
}

impl Count {
    /// For how many milliseconds this count refuses attempts, if it does.
    fn wait(&self, row: &rate_limit::Model, at: i64) -> Option<i64> {
        if row.failures(self.drain, at) == 0 {
            return None;
        }
        let wait = match self.refuses {
            // 1, 2, 4, ... s after the last failure, by the failures that there were then.
            Refuses::BackOff => {
                let beyond = row.failures(self.drain, row.failed_at) - self.limit;
                let seconds = if beyond < 0 { 0 } else { 1 << beyond.min(10) };
                row.failed_at + LONGEST_WAIT.min(1_000 * seconds) - at
            }
            Refuses::EveryAttempt | Refuses::Repeated | Refuses::Unknown => {
                row.drained_at - at - (self.limit - 1) * self.drain
            }
        };
        (wait > 0).then_some(wait)
    }

    /// How many attempts may be judged at the same time: no more than may fail before there is a wait.
    fn room(&self, row: &rate_limit::Model, at_once: i64, at: i64) -> i64 {
        at_once.min(self.limit - row.failures(self.drain, at)).max(1)
    }
}

impl Secret {
    fn label(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::JoinCode => "join",
        }
    }
}

fn refused(kind: &'static str, milliseconds: i64) -> Refusal {
    metrics::counter!(crate::metrics::THROTTLED, "kind" => kind).increment(1);
    let milliseconds = u64::try_from(milliseconds).unwrap_or_default();
    Refusal::RateLimited { retry_after_seconds: milliseconds.div_ceil(1000).max(1) }
}

/// An attempt that is being judged.
#[must_use]
pub struct Reservation {
    db: Db,
    /// The counts in which the attempt is under way.
    reserved: Vec<RateLimitKey>,
    failures: Vec<Failure>,
    at: i64,
}

impl Reservation {
    /// The secret was wrong.
    ///
    /// The failure is on record before the client is answered, even if it hangs up. If the database fails, the client
    /// must not be told what was wrong.
    pub async fn fail(mut self) -> Result<(), DbErr> {
        self.reserved.clear();
        let (failures, at) = (std::mem::take(&mut self.failures), self.at);
        if failures.is_empty() {
            return Ok(());
        }
        let fail =
            self.db.write(failures, move |db, failures| Box::pin(rate_limit::Entity::fail(db, failures, at)));
        fail.await
    }

    /// The secret was right: what to write together with the consequence. The first of the attempt's counts forgets its
    /// failures, and its account is known in this network from now on. Call [`settled`](Self::settled) once it is written.
    pub fn succeeding(&self, backend: DbBackend) -> Vec<Statement> {
        let known_until = self.at + KNOWN.num_milliseconds();
        let statement = |(place, key): (usize, &RateLimitKey)| match place {
            0 => rate_limit::Entity::succeeding(backend, key.clone(), known_until),
            _ => rate_limit::Entity::releasing(backend, key.clone()),
        };
        self.reserved.iter().enumerate().map(statement).collect()
    }

    /// The statements of [`succeeding`](Self::succeeding) are written.
    pub fn settled(mut self) {
        self.reserved.clear();
    }

    /// The secret was not judged, or was right without further consequence.
    pub async fn release(mut self) {
        release(&self.db, std::mem::take(&mut self.reserved)).await;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let reserved = std::mem::take(&mut self.reserved);
        if reserved.is_empty() {
            return;
        }
        // Without a runtime the process ends. Then the reservation is forgotten by itself.
        if let Ok(runtime) = Handle::try_current() {
            let db = self.db.clone();
            drop(runtime.spawn(async move { release(&db, reserved).await }.in_current_span()));
        }
    }
}

/// Ends reservations, one statement each, so that rows are locked one at a time. What fails is forgotten by itself soon.
async fn release(db: &Db, reserved: Vec<RateLimitKey>) {
    for key in reserved {
        let releasing = rate_limit::Entity::releasing(db.backend(), key);
        let release = db.write(releasing, |db, releasing| Box::pin(db.execute_raw(releasing.clone())));
        if let Err(error) = release.await {
            tracing::debug!(
                error = db::causes(&error),
                "a reservation was not released, and will be forgotten"
            );
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("reserved", &self.reserved.len()).finish_non_exhaustive()
    }
}
