//! Passwords that wait for a thread: a bounded queue that knows how long it is, and holds places in it.
//!
//! What its bound is there for is that nobody is let in who would wait long for a thread. When the database stands still for
//! a moment, those who wait for it pile up while the threads have nothing to do, and come all at once when it goes on.
//! Whoever was held up so is late, and late ones fill no place of others: sign-ins that this server can do are not sent
//! away for a disk that took a breath.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use argon2::Params;
use tokio::sync::oneshot;

use super::{HashError, MOST_PATIENCE, engine::Tag};
use crate::{domain::password::Password, metric};

/// How long the last in a queue waits about, if nobody said how many may. Who is sent away comes back sooner than they
/// would be answered later.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// For each thread so many may wait, however slow it is.
const SHORTEST: usize = 32;

/// Whoever has held a place for longer than this before the password came is late: it was not their patience alone, and what
/// else comes before the password takes a tenth of it.
const LATE: Duration = MOST_PATIENCE.saturating_mul(2);
/// So many times the capacity may wait in all, late ones among them.
const WITH_LATE_ONES: usize = 4;

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

/// A job in the queue.
struct Waiting {
    job: Job,
    late: bool,
}

impl Waiting {
    /// Whether nobody waits for it any more.
    fn is_left(&self) -> bool {
        self.job.answer.is_closed()
    }
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
    jobs: VecDeque<Waiting>,
    /// Places that are held for jobs to come: since when, in the order in which they were taken.
    reserved: BTreeMap<u64, Instant>,
    /// The number of the next of them.
    number: u64,
    /// How long a hash takes of late.
    hash_time: Duration,
    closed: bool,
}

impl Queue {
    /// An empty queue before as many `workers`, a hash of which takes `hash_time` as far as is known yet.
    pub(super) fn new(capacity: Option<usize>, workers: NonZeroUsize, hash_time: Duration) -> Self {
        let state =
            State { jobs: VecDeque::new(), reserved: BTreeMap::new(), number: 0, hash_time, closed: false };
        Self { capacity, workers, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Holds a place for a job to come, or tells when to come again.
    pub(super) fn reserve(&self) -> Result<Place<'_>, HashError> {
        let mut state = self.lock();
        let capacity = self.capacity.unwrap_or_else(|| state.done_in(LONGEST_WAIT) * self.workers.get());
        if state.is_full(capacity) {
            // Whoever hung up leaves a place.
            state.jobs.retain(|waiting| !waiting.is_left());
        }
        if state.is_full(capacity) {
            metrics::counter!(metric::HASH_REFUSED).increment(1);
            return Err(HashError::Busy { retry_after_seconds: state.seconds_to_drain(self.workers) });
        }
        state.number += 1;
        let number = state.number;
        state.reserved.insert(number, Instant::now());
        Ok(Place { queue: self, number })
    }

    /// The next job that somebody waits for. Without one it waits, for no longer than `patience` if there is one.
    pub(super) fn pop(&self, patience: Option<Duration>) -> Next {
        let nothing_to_do = |state: &mut State| {
            while state.jobs.front().is_some_and(Waiting::is_left) {
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
        let job = state.jobs.pop_front().map(|waiting| waiting.job);
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
pub struct Place<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Place<'_> {
    /// Puts the job in. It stands behind those that are there by now.
    pub(super) fn push(self, job: Job) {
        let mut state = self.queue.lock();
        let late = state.reserved.get(&self.number).is_some_and(|since| since.elapsed() > LATE);
        state.jobs.push_back(Waiting { job, late });
        state.tell_depth();
        drop(state);
        self.queue.changed.notify_one();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.lock().reserved.remove(&self.number);
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.jobs.len() + self.reserved.len()
    }

    fn is_full(&self, capacity: usize) -> bool {
        let waiting = self.waiting();
        if waiting < capacity {
            return false;
        }
        let late = self.jobs.iter().filter(|waiting| waiting.late).count()
            + self.reserved.values().take_while(|since| since.elapsed() > LATE).count();
        waiting - late >= capacity || waiting >= WITH_LATE_ONES * capacity
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
            .field("reserved", &self.reserved.len())
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
    fn who_is_late_fills_no_place_of_others_but_there_is_an_end_to_it() {
        let queue = Queue::new(Some(2), NonZeroUsize::MIN, Duration::ZERO);
        let places = || [queue.reserve().unwrap(), queue.reserve().unwrap()];
        let refused = || matches!(queue.reserve(), Err(HashError::Busy { .. }));
        let [first, second] = places();
        assert!(refused());
        std::thread::sleep(LATE + Duration::from_millis(1));
        let _others = places();
        assert!(refused());
        // Late they stay when they wait for a thread.
        let answers = [first, second].map(|place| {
            let (job, answer) = job("late");
            place.push(job);
            answer
        });
        assert!(refused());
        std::thread::sleep(LATE + Duration::from_millis(1));
        let _more = places();
        std::thread::sleep(LATE + Duration::from_millis(1));
        let _most = places();
        std::thread::sleep(LATE + Duration::from_millis(1));
        assert!(refused(), "four times as many as may be in time");
        drop(answers);
        let _places_of_who_hung_up = places();
        assert!(refused());
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
