//! Passwords that wait for a thread: a bounded queue that knows how long it is, and holds places in it.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use argon2::Params;
use tokio::sync::oneshot;

use super::{HashError, engine::Tag};
use crate::{domain::password::Password, metric};

/// How long the last in a queue waits about, if nobody said how many may. Who is sent away comes back sooner than they
/// would be answered later.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// For each thread so many may wait, however slow it is.
const SHORTEST: usize = 32;

/// A password to hash.
pub(super) struct Job {
    pub(super) password: Password,
    pub(super) params: Params,
    pub(super) salt: Vec<u8>,
    /// Since when it waits.
    pub(super) since: Instant,
    /// Where the asker waits. It is closed once nobody does.
    pub(super) answer: oneshot::Sender<Result<Tag, HashError>>,
}

/// What a thread is to do next.
pub(super) enum Next {
    /// Hash.
    Job(Job),
    /// Nothing, for as long as it was ready to wait.
    Idle,
    /// Stop.
    Closed,
}

/// Jobs, first come first served.
#[derive(Debug)]
pub(super) struct Queue {
    /// As many as are done in [`LONGEST_WAIT`], unless it is said.
    capacity: Option<usize>,
    workers: NonZeroUsize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Places that are held for jobs to come.
    reserved: usize,
    /// How long a hash takes of late.
    hash_time: Duration,
    closed: bool,
}

impl Queue {
    /// An empty queue before as many `workers`, a hash of which takes `hash_time` as far as is known yet.
    pub(super) fn new(capacity: Option<usize>, workers: NonZeroUsize, hash_time: Duration) -> Self {
        let state = State { jobs: VecDeque::new(), reserved: 0, hash_time, closed: false };
        Self { capacity, workers, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Holds a place for a job to come, or tells when to come again.
    pub(super) fn reserve(&self) -> Result<Place<'_>, HashError> {
        let mut state = self.lock();
        let capacity = self.capacity.unwrap_or_else(|| state.done_in(LONGEST_WAIT) * self.workers.get());
        if state.waiting() >= capacity {
            // Whoever hung up leaves a place.
            state.jobs.retain(|job| !job.answer.is_closed());
        }
        if state.waiting() >= capacity {
            metrics::counter!(metric::HASH_REFUSED).increment(1);
            return Err(HashError::Busy { retry_after_seconds: state.seconds_to_drain(self.workers) });
        }
        state.reserved += 1;
        Ok(Place(self))
    }

    /// The next job that somebody waits for. Without one it waits, for no longer than `patience` if there is one.
    pub(super) fn pop(&self, patience: Option<Duration>) -> Next {
        let nothing_to_do = |state: &mut State| {
            while state.jobs.front().is_some_and(|job| job.answer.is_closed()) {
                state.jobs.pop_front();
            }
            state.jobs.is_empty() && !state.closed
        };
        let state = self.lock();
        let mut state = match patience {
            None => self.changed.wait_while(state, nothing_to_do).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self.changed.wait_timeout_while(state, patience, nothing_to_do);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        let job = state.jobs.pop_front();
        state.tell_depth();
        match job {
            _ if state.closed => Next::Closed,
            Some(job) => {
                metrics::histogram!(metric::HASH_WAIT).record(job.since.elapsed());
                Next::Job(job)
            }
            None => Next::Idle,
        }
    }

    /// How long the last one waits, at the pace of late.
    pub(super) fn wait(&self) -> Duration {
        let state = self.lock();
        state.time_for(state.jobs.len(), self.workers)
    }

    /// Learns how long a hash took.
    pub(super) fn took(&self, time: Duration) {
        let mut state = self.lock();
        state.hash_time = (state.hash_time * 7 + time) / 8;
    }

    /// Sends everyone away. Nobody pushes from here on: whoever closes the queue is the only one who could.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a single step, so that a panic elsewhere cannot have left half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one password in the queue. Dropping it gives it back.
#[derive(Debug)]
#[must_use]
pub struct Place<'a>(&'a Queue);

impl Place<'_> {
    /// Puts the job in. It stands behind those that are there by now.
    pub(super) fn push(self, job: Job) {
        let mut state = self.0.lock();
        state.jobs.push_back(job);
        state.tell_depth();
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().reserved -= 1;
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.jobs.len() + self.reserved
    }

    /// How many a thread does in this time, at the pace of late.
    fn done_in(&self, time: Duration) -> usize {
        let done = time.as_nanos() / self.hash_time.as_nanos().max(1);
        usize::try_from(done).unwrap_or(usize::MAX).max(SHORTEST)
    }

    fn tell_depth(&self) {
        metrics::gauge!(metric::HASH_QUEUE).set(u32::try_from(self.jobs.len()).unwrap_or(u32::MAX));
    }

    fn time_for(&self, jobs: usize, workers: NonZeroUsize) -> Duration {
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        self.hash_time.saturating_mul(jobs) / workers
    }

    fn seconds_to_drain(&self, workers: NonZeroUsize) -> u64 {
        let wait = self.time_for(self.waiting(), workers);
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("jobs", &self.jobs.len())
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Tag, HashError>>;

    fn job(password: &str) -> (Job, Answer) {
        let (answer, answered) = oneshot::channel();
        let password = Password::parse(password).unwrap();
        (
            Job {
                password,
                params: Params::DEFAULT,
                salt: b"somesalt".to_vec(),
                since: Instant::now(),
                answer,
            },
            answered,
        )
    }

    fn popped(queue: &Queue) -> Option<String> {
        match queue.pop(Some(Duration::ZERO)) {
            Next::Job(job) => Some(job.password.expose().to_owned()),
            Next::Idle | Next::Closed => None,
        }
    }

    #[test]
    fn a_full_queue_of_passwords_tells_when_to_come_again_at_the_pace_of_late() {
        let queue = Queue::new(Some(10), NonZeroUsize::new(2).unwrap(), Duration::from_millis(10));
        let _answers: Vec<_> = (0..10)
            .map(|_| {
                let (job, answer) = job("a");
                queue.reserve().unwrap().push(job);
                answer
            })
            .collect();
        let refused = || match queue.reserve() {
            Err(HashError::Busy { retry_after_seconds }) => retry_after_seconds,
            other => panic!("{other:?}"),
        };
        // 10 hashes of 10 ms on 2 threads; then of 500 ms, and a little more for the last part of a second.
        assert_eq!(refused(), 1);
        assert_eq!(queue.wait(), Duration::from_millis(50));
        (0..100).for_each(|_| queue.took(Duration::from_millis(500)));
        assert!((2..=3).contains(&refused()));
        assert_eq!(popped(&queue).as_deref(), Some("a"));
        queue.reserve().unwrap().push(job("b").0);
    }

    #[test]
    fn half_a_second_of_passwords_may_wait_unless_it_is_said_how_many() {
        let workers = NonZeroUsize::new(2).unwrap();
        for (milliseconds, most) in [(5, 200), (10, 100), (100, 64)] {
            let queue = Queue::new(None, workers, Duration::from_millis(milliseconds));
            let places: Vec<_> = std::iter::from_fn(|| queue.reserve().ok()).take(1000).collect();
            assert_eq!(places.len(), most, "{milliseconds} ms");
        }
    }

    #[test]
    fn a_place_that_is_held_counts_like_a_password_until_it_is_given_back() {
        let queue = Queue::new(Some(2), NonZeroUsize::MIN, Duration::from_millis(800));
        let (first, second) = (queue.reserve().unwrap(), queue.reserve().unwrap());
        assert!(matches!(queue.reserve(), Err(HashError::Busy { retry_after_seconds: 2 })));
        // But nobody waits for a thread yet.
        assert_eq!(queue.wait(), Duration::ZERO);
        drop(first);
        let _third = queue.reserve().unwrap();
        let (job, _answer) = job("second");
        second.push(job);
        assert!(matches!(queue.reserve(), Err(HashError::Busy { .. })));
        assert_eq!(popped(&queue).as_deref(), Some("second"));
        let _fourth = queue.reserve().unwrap();
    }

    #[test]
    fn an_asker_that_hung_up_loses_its_place_in_the_queue_of_passwords() {
        let queue = Queue::new(Some(2), NonZeroUsize::MIN, Duration::ZERO);
        let ((first, _waits), (second, hangs_up)) = (job("first"), job("second"));
        queue.reserve().unwrap().push(first);
        queue.reserve().unwrap().push(second);
        drop(hangs_up);
        let (third, hangs_up) = job("third");
        queue.reserve().unwrap().push(third);
        drop(hangs_up);
        assert_eq!(popped(&queue).as_deref(), Some("first"));
        assert_eq!(popped(&queue), None);
    }
}
