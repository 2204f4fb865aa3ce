//! SQLite's writer: one task that makes all changes of this process.
//!
//! SQLite allows one writer at a time, and a durable commit takes longer than the change itself. The task takes all queued
//! jobs, runs them in one transaction, commits once, and then answers. Meanwhile the next batch collects in the queue.

use std::{mem, panic::AssertUnwindSafe};

use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::{Atomicity, ErrorKind, Job, closed, kind, sqlite};

/// Upper bound on the jobs of one batch. With this many, the commit is a small part of the work.
const BATCH: usize = 64;
/// Upper bound on queued jobs. Further jobs are refused. Each job belongs to a request, and the listener limits those.
const QUEUE: usize = 1024;

/// The sending side of the task's queue. The task ends when it is dropped.
pub(super) struct Writer(mpsc::Sender<Message>);

enum Message {
    Job(Box<dyn Queued>),
    /// Answered once all earlier jobs are done.
    Drain(oneshot::Sender<()>),
}

/// A job in the queue. The trait hides the type of its result.
trait Queued: Send {
    /// Runs the job in the batch's transaction. An error means that the whole batch fails.
    fn run<'a>(&'a mut self, transaction: &'a DatabaseTransaction) -> BoxFuture<'a, Result<(), DbErr>>;
    /// Sends the job's result, after the batch was committed or failed.
    fn answer(self: Box<Self>, batch: Result<(), DbErr>);
}

struct QueuedJob<D, T, J> {
    atomicity: Atomicity,
    data: D,
    job: J,
    result: Result<T, DbErr>,
    answer: oneshot::Sender<Result<T, DbErr>>,
}

impl Writer {
    pub(super) fn start(connection: DatabaseConnection) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_batches(connection, receiver));
        Self(sender)
    }

    /// Runs a job, and returns once it is committed.
    pub(super) async fn run<D, T>(
        &self,
        atomicity: Atomicity,
        data: D,
        job: impl Job<D, T>,
    ) -> Result<T, DbErr>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let queued = QueuedJob { atomicity, data, job, result: Err(closed()), answer };
        let full = |_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        self.0.try_send(Message::Job(Box::new(queued))).map_err(full)?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Waits for the queued jobs.
    pub(super) async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        if self.0.send(Message::Drain(done)).await.is_ok() {
            _ = drained.await;
        }
    }
}

async fn write_batches(connection: DatabaseConnection, mut receiver: mpsc::Receiver<Message>) {
    let mut messages = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut messages, BATCH).await > 0 {
        let (mut batch, mut drained) = (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Job(job) => batch.push(job),
                Message::Drain(done) => drained.push(done),
            }
        }
        if !batch.is_empty() {
            let size = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            metrics::histogram!(crate::metrics::BATCH_SIZE).record(size);
            // A panic fails the jobs of its batch, and no others.
            _ = AssertUnwindSafe(write_batch(&connection, batch)).catch_unwind().await;
        }
        for done in drained {
            _ = done.send(());
        }
    }
}

async fn write_batch(connection: &DatabaseConnection, mut batch: Vec<Box<dyn Queued>>) {
    let committed = commit(connection, &mut batch).await;
    if committed.is_err() {
        sqlite::close_writer(connection).await;
    }
    for job in batch {
        job.answer(committed.clone());
    }
}

async fn commit(connection: &DatabaseConnection, batch: &mut [Box<dyn Queued>]) -> Result<(), DbErr> {
    let transaction = connection.begin_with_options(immediate()).await?;
    for job in batch {
        job.run(&transaction).await?;
    }
    transaction.commit().await
}

/// A deferred transaction begins as a reader, and SQLite cannot always upgrade it to a writer.
pub(super) fn immediate() -> TransactionOptions {
    let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
    TransactionOptions { sqlite_transaction_mode, ..Default::default() }
}

impl<D, T, J> Queued for QueuedJob<D, T, J>
where
    D: Send + Sync + 'static,
    T: Send + 'static,
    J: Job<D, T>,
{
    fn run<'a>(&'a mut self, transaction: &'a DatabaseTransaction) -> BoxFuture<'a, Result<(), DbErr>> {
        let run = async move {
            self.result = match self.atomicity {
                Atomicity::Statement => (self.job)(&transaction.into(), &self.data).await,
                Atomicity::Transaction => in_savepoint(transaction, &self.data, &self.job).await,
            };
            match &self.result {
                // SQLite rolls the whole transaction back if the disk is full or fails.
                Err(error) if kind(error) == ErrorKind::Unavailable => Err(error.clone()),
                _ => Ok(()),
            }
        };
        Box::pin(run)
    }

    fn answer(mut self: Box<Self>, batch: Result<(), DbErr>) {
        let result = mem::replace(&mut self.result, Err(closed()));
        // The client may have disconnected.
        _ = self.answer.send(batch.and(result));
    }
}

async fn in_savepoint<D, T>(
    transaction: &DatabaseTransaction,
    data: &D,
    job: &impl Job<D, T>,
) -> Result<T, DbErr> {
    let savepoint = transaction.begin().await?;
    let value = job(&(&savepoint).into(), data).await?;
    savepoint.commit().await?;
    Ok(value)
}
