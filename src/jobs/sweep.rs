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
    entity::{authorization_code, outgoing_mail, rate_limit},
};

/// The time for which an expired code is kept if it was not redeemed. It exceeds the largest difference between the clocks of two
/// nodes at which a node sweeps, so that a node whose clock is ahead deletes no code that another node could redeem.
pub const KEEP_CODES: TimeDelta = TimeDelta::minutes(5);
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
}

impl Sweep {
    /// A sweep of this database. Its first run deletes nothing, as the clock may not have settled.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        let jumps = JumpDetector::new(clock.now(), Instant::now());
        Self { db, clock, jumps }
    }
}

impl Job for Sweep {
    async fn run(&mut self) {
        let now = self.clock.now();
        if self.jumps.time_since_jump(now, Instant::now()) < CLOCK_SETTLED {
            tracing::debug!("expired rows are kept for now: the clock may have jumped");
            return;
        }
        if let Err(error) = delete_expired_if_clocks_agree(&self.db, now).await {
            tracing::warn!(error = causes(&error), "expired rows could not be deleted");
        }
    }
}

/// Deletes expired rows, unless this clock and the database's differ. Then one of them is wrong, and the rows may be in use.
pub async fn delete_expired_if_clocks_agree(db: &Db, now: DateTime<Utc>) -> Result<(), DbErr> {
    let ahead = now - db.clock().await?;
    if ahead.abs() > MAX_CLOCK_DIFFERENCE {
        let seconds = ahead.num_seconds();
        tracing::warn!(
            seconds,
            "expired rows are kept, because this clock and the clock of the database differ"
        );
        return Ok(());
    }
    delete_expired(db, now).await
}

/// Deletes redeemed codes once they have expired, other codes after [`KEEP_CODES`], counts after [`KEEP_COUNTS`], and dead mails
/// after [`KEEP_DEAD_MAILS`].
pub async fn delete_expired(db: &Db, now: DateTime<Utc>) -> Result<(), DbErr> {
    loop {
        let sweep = db.write((), move |db, ()| {
            Box::pin(authorization_code::Entity::sweep(db, now, now - KEEP_CODES, BATCH))
        });
        let deleted = sweep.await?;
        metrics::counter!(crate::metrics::CODES_EXPIRED).increment(deleted);
        if deleted < BATCH {
            break;
        }
        tokio::task::yield_now().await;
    }
    let before = (now - KEEP_COUNTS).timestamp_millis();
    loop {
        let sweep = db.write((), move |db, ()| Box::pin(rate_limit::Entity::sweep(db, before, BATCH)));
        if sweep.await? < BATCH {
            break;
        }
        tokio::task::yield_now().await;
    }
    let before = now - KEEP_DEAD_MAILS;
    loop {
        let sweep = db.write((), move |db, ()| Box::pin(outgoing_mail::Entity::sweep(db, before, BATCH)));
        if sweep.await? < BATCH {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}
