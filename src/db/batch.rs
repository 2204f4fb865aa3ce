//! Writes that share a commit: a bounded queue, and one task that takes whatever waits in it.
//!
//! A commit takes longer than the change that it makes durable, and one commit is enough for all that is waiting. While
//! one batch is being written the next one gathers, so that no request waits for a batch to fill: a lone one is written at once.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sea_orm::DbErr;
use tokio::sync::{Notify, oneshot};

use super::failure::{self, ErrorKind};

/// The most requests in one batch: by then the commit is a small part of the work, and whoever comes next has not
/// waited long.
pub const LARGEST: usize = 64;

/// What is written in batches. A room says what.
pub trait Statement: Send + Sync + 'static {
    /// What somebody asks for.
    type Request: Send + Sync + 'static;
    /// What came of it.
    type Answer: Send + 'static;

    /// Writes a batch, at most [`LARGEST`] requests in the order in which they came, and answers each in its place. All
    /// that is answered is committed. What cannot be told of many together is `None`: it is then written by itself, and
    /// there it has an answer.
    ///
    /// An error means that nothing of the batch was written.
    fn write(
        &self,
        batch: &[Self::Request],
    ) -> impl Future<Output = Result<Vec<Option<Self::Answer>>, DbErr>> + Send;
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The queue is full.
    #[error("too many writes are waiting")]
    Busy {
        /// How long it takes to empty at the pace of late, in whole seconds, at least one.
        retry_after_seconds: u64,
    },
    /// The writer is gone, or stumbled over the batch.
    #[error("the writer ended before it answered")]
    Ended,
    /// The database failed.
    #[error("the database failed")]
    Failed(#[from] DbErr),
}

/// A handle to the task that writes. When it is dropped the task finishes what it was given, and ends.
pub struct Batcher<S: Statement>(Arc<Queue<S>>);

impl<S: Statement> Batcher<S> {
    /// Starts the task, on the runtime that this is called on. `capacity` requests may wait, beside those that are
    /// being written.
    pub fn start(statement: S, capacity: usize) -> Self {
        let queue = Arc::new(Queue::new(capacity));
        tokio::spawn(run(statement, queue.clone()));
        Self(queue)
    }

    /// Has a request written at once. Whoever stops waiting for the answer before the request's batch is made has asked
    /// for nothing.
    pub async fn ask(&self, request: S::Request) -> Result<S::Answer, BatchError> {
        let (answer, answered) = oneshot::channel();
        self.0.push(Waiting { request, answer })?;
        answered.await.unwrap_or(Err(BatchError::Ended))
    }
}

impl<S: Statement> Drop for Batcher<S> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

/// A request, and where its asker waits: closed once nobody does.
struct Waiting<S: Statement> {
    request: S::Request,
    answer: Answer<S>,
}

type Answer<S> = oneshot::Sender<Result<<S as Statement>::Answer, BatchError>>;

/// Requests, first come first served.
struct Queue<S: Statement> {
    capacity: usize,
    state: Mutex<State<S>>,
    changed: Notify,
}

struct State<S: Statement> {
    waiting: VecDeque<Waiting<S>>,
    /// How long a batch takes of late.
    batch_time: Duration,
    /// Since when the batch is on its way that is being written, if any.
    begun: Option<Instant>,
    closed: bool,
}

impl<S: Statement> Queue<S> {
    fn new(capacity: usize) -> Self {
        let state =
            State { waiting: VecDeque::new(), batch_time: Duration::ZERO, begun: None, closed: false };
        Self { capacity, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Takes a request in, or tells when to come again.
    fn push(&self, waiting: Waiting<S>) -> Result<(), BatchError> {
        let mut state = self.lock();
        if state.closed {
            return Err(BatchError::Ended);
        }
        if state.waiting.len() >= self.capacity {
            // Whoever hung up leaves a place.
            state.waiting.retain(|waiting| !waiting.answer.is_closed());
        }
        if state.waiting.len() >= self.capacity {
            return Err(BatchError::Busy { retry_after_seconds: state.seconds_to_drain() });
        }
        state.waiting.push_back(waiting);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next batch of requests that somebody waits for; none once the queue is closed and empty.
    async fn next(&self) -> Option<Vec<Waiting<S>>> {
        loop {
            {
                let mut state = self.lock();
                let batch = state.take();
                if !batch.is_empty() {
                    state.begun = Some(Instant::now());
                    return Some(batch);
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Learns how long the batch took.
    fn written(&self) {
        let mut state = self.lock();
        if let Some(begun) = state.begun.take() {
            state.batch_time = (state.batch_time * 7 + begun.elapsed()) / 8;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // Every change is a single step, so that a panic elsewhere cannot have left half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Statement> State<S> {
    /// Whoever waits first, as many as fit a batch.
    fn take(&mut self) -> Vec<Waiting<S>> {
        let mut batch = Vec::new();
        while batch.len() < LARGEST {
            match self.waiting.pop_front() {
                Some(waiting) if waiting.answer.is_closed() => {}
                Some(waiting) => batch.push(waiting),
                None => break,
            }
        }
        batch
    }

    fn seconds_to_drain(&self) -> u64 {
        // A batch that takes longer than those before it says more than they do.
        let batch_time = self.begun.map_or(self.batch_time, |begun| self.batch_time.max(begun.elapsed()));
        let batches = u32::try_from(1 + self.waiting.len() / LARGEST).unwrap_or(u32::MAX);
        let wait = batch_time.saturating_mul(batches);
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }
}

/// However the task ends, nobody is left waiting: not for an answer, and not for a place.
struct Ends<'a, S: Statement>(&'a Queue<S>);

impl<S: Statement> Drop for Ends<'_, S> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.waiting.clear();
    }
}

/// The task.
async fn run<S: Statement>(statement: S, queue: Arc<Queue<S>>) {
    let _ends = Ends(&queue);
    while let Some(batch) = queue.next().await {
        metrics::histogram!(crate::metrics::BATCH_SIZE)
            .record(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        // A panic costs the answers of its batch, and no more.
        _ = AssertUnwindSafe(write(&statement, batch)).catch_unwind().await;
        queue.written();
    }
}

/// Writes a batch together if it can be, and what cannot be request by request.
async fn write<S: Statement>(statement: &S, batch: Vec<Waiting<S>>) {
    let (requests, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.request, waiting.answer)).unzip();
    let written = match statement.write(&requests).await {
        Ok(written) => written,
        Err(error) if may_be_of_one(&error) => requests.iter().map(|_| None).collect(),
        Err(error) => return refuse(answers, &error),
    };
    let mut alone = Vec::new();
    for ((request, answer), written) in requests.iter().zip(answers).zip(written) {
        match written {
            // Nobody may be waiting any more.
            Some(written) => _ = answer.send(Ok(written)),
            None => alone.push((request, answer)),
        }
    }
    let mut alone = alone.into_iter();
    while let Some((request, answer)) = alone.next() {
        if answer.is_closed() {
            continue;
        }
        match write_alone(statement, request).await {
            Err(BatchError::Failed(error)) if !may_be_of_one(&error) => {
                return refuse([answer].into_iter().chain(alone.map(|(_, answer)| answer)), &error);
            }
            written => _ = answer.send(written),
        }
    }
}

async fn write_alone<S: Statement>(statement: &S, request: &S::Request) -> Result<S::Answer, BatchError> {
    let written = statement.write(slice::from_ref(request)).await?;
    written.into_iter().next().flatten().ok_or(BatchError::Ended)
}

fn refuse<A>(answers: impl IntoIterator<Item = oneshot::Sender<Result<A, BatchError>>>, error: &DbErr) {
    for answer in answers {
        _ = answer.send(Err(BatchError::Failed(error.clone())));
    }
}

/// Whether a single request of a batch may be to blame, so that the others are worth another statement each. A database
/// that is away fails them all.
fn may_be_of_one(error: &DbErr) -> bool {
    failure::is_conflict(error) || failure::kind(error) != ErrorKind::Unavailable
}

#[cfg(test)]
mod tests;
