//! The job that sends the mails of the outbox.
//!
//! A worker claims a mail by a guarded update, so that one node sends it. The claim is a lease: if the node dies, another one, or
//! the next start, sends the mail after it. While an attempt lasts, its worker renews the lease.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use sea_orm::DbErr;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{Delivery, Failure, MailFrom, Outbox};
use crate::{
    clock::Clock,
    db::{Db, causes},
    entity::outgoing_mail::{Attempt, Entity, Model, Outcome},
    jobs::{Job, Runner},
    metrics::{MAIL_FAILURES, MAILS_DEAD, MAILS_SENT, MAILS_WAITING},
};

/// Mails that a node sends at the same time, so that one slow answer does not delay all.
const WORKERS: usize = 4;
/// The period in which a node looks for mails of other nodes, and for those whose wait is over.
const POLL: Duration = Duration::from_secs(5);
/// The period in which the gauges are updated.
const MEASURE: Duration = Duration::from_mins(1);
/// The time for which a claim lasts unless it is renewed.
const LEASE: TimeDelta = TimeDelta::minutes(1);
/// The period in which a claim is renewed.
const RENEWAL: Duration = Duration::from_secs(20);
/// Mails among which a worker looks for one that no other worker claims first.
const CANDIDATES: u64 = 8;
/// The wait after the first failure. It doubles with each further one.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(1);
/// The longest wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// Tries to store the outcome of an attempt. A mail whose acceptance is not stored is sent again.
const TRIES: usize = 10;
/// The wait between these tries.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Sends the mails of the outbox.
#[derive(Clone)]
pub struct Sender {
    db: Db,
    clock: Arc<dyn Clock>,
    from: MailFrom,
    delivery: Delivery,
    new_mail: Arc<Notify>,
    stopping: Arc<AtomicBool>,
}

impl Sender {
    /// A sender that claims no mail once `stopping` is set.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        from: MailFrom,
        delivery: Delivery,
        outbox: &Outbox,
        stopping: Arc<AtomicBool>,
    ) -> Self {
        Self { db, clock, from, delivery, new_mail: outbox.new_mail.clone(), stopping }
    }

    /// Starts the workers.
    pub fn start(&self, runner: &mut Runner) {
        for _ in 0..WORKERS {
            // All of them poll, because one can wait for a slow server for minutes.
            runner.spawn(self.clone().work());
        }
        runner.every(MEASURE, self.clone());
    }

    async fn work(self) {
        let mut failing = false;
        loop {
            match self.send_due().await {
                Ok(_) => failing = false,
                // A database that is down for an hour is one line.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = causes(&error), "the outbox could not be read");
                }
                Err(_) => {}
            }
            _ = timeout(POLL, self.new_mail.notified()).await;
        }
    }

    /// Sends all mails that are due, one after the other, and returns the number of attempts.
    pub async fn send_due(&self) -> Result<usize, DbErr> {
        let mut attempts = 0;
        while !self.stopping.load(Ordering::Relaxed)
            && let Some((mail, attempt)) = self.claim().await?
        {
            self.new_mail.notify_one();
            self.attempt(&mail, attempt).await;
            attempts += 1;
        }
        Ok(attempts)
    }

    /// Claims a mail that is due.
    async fn claim(&self) -> Result<Option<(Model, Attempt)>, DbErr> {
        let now = self.clock.now();
        for due in Entity::due(self.db.read(), now, CANDIDATES).await? {
            let claim = (due, now + LEASE);
            let claim = self.db.write(claim, |db, &(due, until)| Box::pin(Entity::claim(db, due, until)));
            if let Some(attempt) = claim.await?
                && let Some(mail) = Entity::find_claimed(self.db.read(), attempt).await?
            {
                return Ok(Some((mail, attempt)));
            }
        }
        Ok(None)
    }

    /// Makes an attempt, and stores its outcome.
    async fn attempt(&self, mail: &Model, attempt: Attempt) {
        let delivered = if mail.expires_at <= self.clock.now() {
            Err(Failure::permanent("waiting", mail.last_error.as_deref().unwrap_or("its time is over")))
        } else {
            self.deliver(mail, attempt).await
        };
        let outcome = match delivered {
            Ok(()) => Outcome::Sent,
            Err(failure) => self.failed(mail, &failure),
        };
        if outcome == Outcome::Sent {
            metrics::counter!(MAILS_SENT).increment(1);
            tracing::info!(mail = %mail.id, kind = mail.kind, attempt = mail.attempts, "mail sent");
        }
        if let Err(error) = self.store(attempt, outcome).await {
            tracing::warn!(mail = %mail.id, error = causes(&error), "the outcome of a mail could not be stored");
        }
    }

    /// The outcome of a failure, which is tried again unless the mail would be useless by then.
    fn failed(&self, mail: &Model, failure: &Failure) -> Outcome {
        metrics::counter!(MAIL_FAILURES).increment(1);
        let (now, error) = (self.clock.now(), shown(failure));
        let next = now + wait(mail.attempts);
        let is_dead = failure.is_permanent || next >= mail.expires_at;
        tracing::warn!(
            mail = %mail.id, kind = mail.kind, attempt = mail.attempts,
            step = failure.step, code = failure.code, dead = is_dead, "mail not sent"
        );
        if is_dead { Outcome::Dead { now, error } } else { Outcome::Failed { next, error } }
    }

    /// Delivers a mail, and renews the lease meanwhile.
    async fn deliver(&self, mail: &Model, attempt: Attempt) -> Result<(), Failure> {
        let mut delivery = pin!(self.delivery.deliver(mail, &self.from));
        loop {
            if let Ok(outcome) = timeout(RENEWAL, &mut delivery).await {
                return outcome;
            }
            let renewed = (attempt, self.clock.now() + LEASE);
            let renewal =
                self.db.write(renewed, |db, &(attempt, until)| Box::pin(Entity::renew(db, attempt, until)));
            if let Err(error) = renewal.await {
                tracing::warn!(mail = %mail.id, error = causes(&error), "a lease could not be renewed");
            }
        }
    }

    /// Stores an outcome. Repeats the write if the database does not respond.
    async fn store(&self, attempt: Attempt, outcome: Outcome) -> Result<(), DbErr> {
        let write = || {
            let data = (attempt, outcome.clone());
            self.db.write(data, |db, (attempt, outcome)| Box::pin(Entity::end(db, *attempt, outcome)))
        };
        for _ in 1..TRIES {
            if write().await.is_ok() {
                return Ok(());
            }
            sleep(BETWEEN_TRIES).await;
        }
        write().await
    }
}

/// The wait after this number of attempts.
fn wait(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(6);
    (FIRST_WAIT * 2_i32.pow(doublings)).min(LONGEST_WAIT)
}

/// The error as the table keeps it: one line of at most 300 characters. The answer of a server can be long.
fn shown(failure: &Failure) -> String {
    let one_line = |character: char| if character.is_control() { ' ' } else { character };
    failure.to_string().chars().map(one_line).take(300).collect()
}

/// Updates the gauges of the outbox.
impl Job for Sender {
    async fn run(&mut self) {
        match Entity::counts(self.db.read()).await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            Ok(counts) => {
                metrics::gauge!(MAILS_WAITING).set(counts.waiting as f64);
                metrics::gauge!(MAILS_DEAD).set(counts.dead as f64);
            }
            Err(error) => tracing::warn!(error = causes(&error), "the mails could not be counted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_doubles_from_a_minute_to_an_hour() {
        let minutes: Vec<_> =
            [0, 1, 2, 3, 6, 7, 8, i32::MAX].map(|attempts| wait(attempts).num_minutes()).into();
        assert_eq!(minutes, [1, 1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn shown_failure_is_one_short_line() {
        let failure = Failure::temporary("RCPT TO", format!("no\r\nwhere{}", "x".repeat(1000)));
        let shown = shown(&failure);
        assert!(shown.starts_with("RCPT TO: no  wherex") && shown.chars().count() == 300, "{shown}");
    }
}
