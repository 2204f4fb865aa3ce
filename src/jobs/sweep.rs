//! Deletes expired rows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;

use super::Job;
use crate::{
    clock::{Clock, JumpDetector},
    db::{Db, causes},
    entity::{
        audit_event, authorization_code, outgoing_mail, password_reset, rate_limit, registration, session,
    },
};

/// The time for which an expired code is kept if it was not redeemed. It exceeds the largest difference between the clocks of two
/// nodes at which a node sweeps, so that a node whose clock is ahead deletes no code that another node could redeem.
pub const KEEP_CODES: TimeDelta = TimeDelta::minutes(5);
/// The time for which a redeemed code is kept after its expiry, so that a second use ends the session that the first one began.
pub const KEEP_REDEEMED_CODES: TimeDelta = TimeDelta::days(1);
/// The time for which a session is kept after its end, for the same reason as [`KEEP_CODES`].
pub const KEEP_SESSIONS: TimeDelta = KEEP_CODES;
/// The time for which a registration or a password reset is kept after its expiry, for the same reason.
pub const KEEP_LINKS: TimeDelta = KEEP_CODES;
/// The time for which a count without effect is kept. It is longer than [`KEEP_CODES`], because a node whose
/// clock is wrong by an hour may still need the count.
pub const KEEP_COUNTS: TimeDelta = TimeDelta::hours(2);
/// The time for which a mail that could not be sent is shown to the operator.
pub const KEEP_DEAD_MAILS: TimeDelta = TimeDelta::days(30);
/// The largest difference between this clock and the database's at which rows are deleted.
const MAX_CLOCK_DIFFERENCE: TimeDelta = TimeDelta::minutes(1);
/// The minimum time since the start or the last clock jump before rows are deleted. A machine may start with a wrong clock.
const CLOCK_SETTLED: Duration = Duration::from_mins(5);
/// Rows per statement, so that no other write waits long.
const BATCH: u64 = 500;

/// The job that deletes expired rows.
pub struct Sweep {
    db: Db,
    clock: Arc<dyn Clock>,
    jumps: JumpDetector,
    audit_retention: Option<TimeDelta>,
}

impl Sweep {
    /// A sweep of this database. Its first run deletes nothing, as the clock may not have settled. Without an `audit_retention` it
    /// deletes no event of the audit trail.
    pub fn new(db: Db, clock: Arc<dyn Clock>, audit_retention: Option<TimeDelta>) -> Self {
        let jumps = JumpDetector::new(clock.now(), Instant::now());
        Self { db, clock, jumps, audit_retention }
    }
}

impl Job for Sweep {
    async fn run(&mut self) {
        let now = self.clock.now();
        if self.jumps.time_since_jump(now, Instant::now()) < CLOCK_SETTLED {
            tracing::debug!("expired rows are kept for now: the clock may have jumped");
            return;
        }
        if let Err(error) = delete_expired_if_clocks_agree(&self.db, now, self.audit_retention).await {
            tracing::warn!(error = causes(&error), "expired rows could not be deleted");
        }
    }
}

/// Deletes expired rows, unless this clock and the database's differ. Then one of them is wrong, and the rows may be in use.
pub async fn delete_expired_if_clocks_agree(
    db: &Db,
    now: DateTime<Utc>,
    audit_retention: Option<TimeDelta>,
) -> Result<(), DbErr> {
    let ahead = now - db.clock().await?;
    if ahead.abs() > MAX_CLOCK_DIFFERENCE {
        let seconds = ahead.num_seconds();
        tracing::warn!(
            seconds,
            "expired rows are kept, because this clock and the clock of the database differ"
        );
        return Ok(());
    }
    delete_expired(db, now).await?;
    match audit_retention {
        Some(retention) => delete_old_events(db, now - retention).await,
        None => Ok(()),
    }
}

/// Deletes the events of the audit trail from before `before`.
pub async fn delete_old_events(db: &Db, before: DateTime<Utc>) -> Result<(), DbErr> {
    in_batches(|| db.write((), move |db, ()| Box::pin(audit_event::Entity::sweep(db, before, BATCH)))).await
}

/// Deletes each kind of expired row after the time for which it is kept.
pub async fn delete_expired(db: &Db, now: DateTime<Utc>) -> Result<(), DbErr> {
    in_batches(|| delete_codes(db, now)).await?;
    let ended = now - KEEP_SESSIONS;
    in_batches(|| db.write((), move |db, ()| Box::pin(session::Entity::sweep(db, ended, BATCH)))).await?;
    let before = now - KEEP_LINKS;
    in_batches(|| db.write((), move |db, ()| Box::pin(registration::Entity::sweep(db, before, BATCH))))
        .await?;
    in_batches(|| db.write((), move |db, ()| Box::pin(password_reset::Entity::sweep(db, before, BATCH))))
        .await?;
    let before = (now - KEEP_COUNTS).timestamp_millis();
    in_batches(|| db.write((), move |db, ()| Box::pin(rate_limit::Entity::sweep(db, before, BATCH)))).await?;
    let dead = now - KEEP_DEAD_MAILS;
    in_batches(|| db.write((), move |db, ()| Box::pin(outgoing_mail::Entity::sweep(db, dead, BATCH)))).await
}

async fn delete_codes(db: &Db, now: DateTime<Utc>) -> Result<u64, DbErr> {
    let (abandoned, reusable) = (now - KEEP_CODES, now - KEEP_REDEEMED_CODES);
    let sweep = db
        .write((), move |db, ()| Box::pin(authorization_code::Entity::sweep(db, abandoned, reusable, BATCH)));
    let deleted = sweep.await?;
    metrics::counter!(crate::metrics::CODES_EXPIRED).increment(deleted);
    Ok(deleted)
}

/// Repeats a deletion of up to [`BATCH`] rows until there are no more.
async fn in_batches<F: Future<Output = Result<u64, DbErr>>>(delete: impl Fn() -> F) -> Result<(), DbErr> {
    while delete().await? == BATCH {
        tokio::task::yield_now().await;
    }
    Ok(())
}
