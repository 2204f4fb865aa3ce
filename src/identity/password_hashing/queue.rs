//! Passwords that wait for a hash thread: a bounded queue that is fair to client networks.
//!
//! Each network has its own queue, and the threads serve the networks round-robin. So a network delays each password of another network
//! by at most one hash, however many passwords it sends. If the capacity is exhausted, a network with fewer passwords than another is
//! still accepted. If the hard limit is exhausted too, the longest queue loses its last password.
//!
//! A request [checks the capacity](Queue::check) first. Its password arrives later, after queries to the database. If the database stalls
//! in between, many passwords arrive at once, so the hard limit is higher than the capacity.
//!
//! Passwords that no user waits for have a queue of their own, the [background](Lane::Background). A thread takes one of them only if no
//! other password waits, and they occupy at most half of the threads, or the only one. So they delay a sign-in by at most one hash.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use argon2::Params;
use tokio::sync::oneshot;

use super::{HashError, engine::Tag};
use crate::domain::{network::Network, password::Password, retry_after::RetryAfter};

/// The time in which a full queue is processed, unless the capacity is set.
const MAX_WAIT: Duration = Duration::from_millis(500);
/// The minimum capacity per thread.
const MIN_PER_THREAD: usize = 32;
/// The hard limit as a multiple of the capacity.
const BURST: usize = 4;
/// The maximum number of waiting background jobs per thread.
const MAX_BACKGROUND_PER_THREAD: usize = 64;

/// The queue of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// A user waits for the hash.
    Interactive,
    /// The hash is one of many, and each interactive job precedes it.
    Background,
}

/// A password to hash.
pub(super) struct Job {
    pub(super) password: Password,
    pub(super) params: Params,
    pub(super) salt: Vec<u8>,
    /// Its queue.
    pub(super) lane: Lane,
    /// The client's network.
    pub(super) from: Network,
    /// The time at which it was queued.
    pub(super) since: Instant,
    /// Receives the hash. It is closed once the client has disconnected.
    pub(super) answer: oneshot::Sender<Result<Tag, HashError>>,
}

/// The next step of a thread.
pub(super) enum Next {
    /// Hash a password.
    Job(Job),
    /// No job arrived within the idle time.
    Idle,
    /// Stop.
    Closed,
}

/// Waiting jobs of all networks.
#[derive(Debug)]
pub(super) struct Queue {
    /// `None` means the number of passwords hashed within [`MAX_WAIT`].
    capacity: Option<usize>,
    workers: NonZeroUsize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The jobs of each network with jobs.
    waiting: HashMap<Network, VecDeque<Job>>,
    /// The networks of `waiting` in round-robin order.
    order: VecDeque<Network>,
    /// The background jobs.
    background: VecDeque<Job>,
    /// The number of threads that hash a background job.
    background_running: usize,
    /// The recent average time of a hash.
    hash_time: Duration,
    closed: bool,
}

impl Queue {
    /// An empty queue, with a first estimate of the time of a hash.
    pub(super) fn new(capacity: Option<usize>, workers: NonZeroUsize, hash_time: Duration) -> Self {
        let state = State {
            waiting: HashMap::new(),
            order: VecDeque::new(),
            background: VecDeque::new(),
            background_running: 0,
            hash_time,
            closed: false,
        };
        Self { capacity, workers, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The number of threads that serve the queue.
    pub(super) fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    /// Checks that a password from this network would be accepted. Reserves nothing.
    pub(super) fn check(&self, from: Network) -> Result<(), HashError> {
        let mut state = self.lock();
        let capacity = self.capacity(&state);
        if state.len() >= capacity {
            state.drop_abandoned();
        }
        if state.len() < capacity || state.is_below_others(from.site()) {
            Ok(())
        } else {
            Err(self.busy(&state, state.len()))
        }
    }

    /// Whether no interactive job waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().order.is_empty()
    }

    /// Appends a job to its queue.
    pub(super) fn push(&self, job: Job) -> Result<(), HashError> {
        let mut state = self.lock();
        match job.lane {
            Lane::Interactive => self.push_interactive(&mut state, job)?,
            Lane::Background => self.push_background(&mut state, job)?,
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// If the hard limit is exhausted and the job's network has the shorter queue, the last job of the longest queue fails instead.
    fn push_interactive(&self, state: &mut State, job: Job) -> Result<(), HashError> {
        let site = job.from.site();
        let most = BURST * self.capacity(state);
        if state.len() >= most {
            state.drop_abandoned();
        }
        if state.len() >= most {
            if !state.is_below_others(site) {
                return Err(self.busy(state, state.len()));
            }
            if let Some(last) = state.pop_longest() {
                // The client may have disconnected.
                _ = last.answer.send(Err(self.busy(state, state.len())));
            }
        }
        state.push(site, job);
        state.record_depth();
        Ok(())
    }

    fn push_background(&self, state: &mut State, job: Job) -> Result<(), HashError> {
        let most = MAX_BACKGROUND_PER_THREAD * self.workers.get();
        if state.background.len() >= most {
            state.background.retain(|job| !job.answer.is_closed());
        }
        if state.background.len() >= most {
            return Err(self.busy(state, state.background.len()));
        }
        state.background.push_back(job);
        Ok(())
    }

    /// The next job whose client is still connected. Waits for one, for at most `idle` if that is set.
    ///
    /// The thread calls [`done`](Self::done) after the job.
    pub(super) fn pop(&self, idle: Option<Duration>) -> Next {
        let most = self.max_background();
        let nothing_to_do = |state: &mut State| state.next_lane(most).is_none() && !state.closed;
        loop {
            let state = self.lock();
            let mut state = match idle {
                None => self.changed.wait_while(state, nothing_to_do).unwrap_or_else(PoisonError::into_inner),
                Some(idle) => {
                    let waited = self.changed.wait_timeout_while(state, idle, nothing_to_do);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if state.closed {
                return Next::Closed;
            }
            let Some(lane) = state.next_lane(most) else { return Next::Idle };
            let job = match lane {
                Lane::Interactive => state.pop(),
                Lane::Background => state.background.pop_front(),
            };
            state.record_depth();
            if let Some(job) = job.filter(|job| !job.answer.is_closed()) {
                match lane {
                    Lane::Interactive => {
                        metrics::histogram!(crate::metrics::HASH_WAIT).record(job.since.elapsed());
                    }
                    Lane::Background => state.background_running += 1,
                }
                return Next::Job(job);
            }
        }
    }

    /// Records that a thread is done with a job of this queue, and the time of the hash, if it succeeded.
    pub(super) fn done(&self, lane: Lane, time: Option<Duration>) {
        let mut state = self.lock();
        // A failed hash does not predict the time of the next one.
        if let Some(time) = time {
            state.hash_time = (state.hash_time * 7 + time) / 8;
        }
        if lane == Lane::Background {
            state.background_running = state.background_running.saturating_sub(1);
        }
    }

    /// Fails all waiting jobs. The owner of the queue closes it, so no job is pushed afterwards.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        state.order.clear();
        state.background.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn capacity(&self, state: &State) -> usize {
        self.capacity.unwrap_or_else(|| state.done_in(MAX_WAIT) * self.workers.get())
    }

    /// The maximum number of threads that hash background jobs at the same time: half of the threads, or the only one.
    fn max_background(&self) -> usize {
        (self.workers.get() / 2).max(1)
    }

    fn busy(&self, state: &State, jobs: usize) -> HashError {
        metrics::counter!(crate::metrics::HASH_REFUSED).increment(1);
        HashError::Busy(RetryAfter::from_duration(state.time_to_drain(jobs, self.workers)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is a single step, so that a panic cannot leave an inconsistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The queue of the next job. `None` if a thread has nothing to do.
    fn next_lane(&self, max_background: usize) -> Option<Lane> {
        if !self.order.is_empty() {
            Some(Lane::Interactive)
        } else if !self.background.is_empty() && self.background_running < max_background {
            Some(Lane::Background)
        } else {
            None
        }
    }

    /// The number of interactive jobs.
    fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Whether a network would have fewer jobs than another one, with one more job.
    fn is_below_others(&self, site: Network) -> bool {
        let own = self.waiting.get(&site).map_or(0, VecDeque::len);
        self.waiting.values().any(|others| own + 1 < others.len())
    }

    fn push(&mut self, site: Network, job: Job) {
        let jobs = self.waiting.entry(site).or_default();
        if jobs.is_empty() {
            self.order.push_back(site);
        }
        jobs.push_back(job);
    }

    /// The first job of the next network, which moves to the end of the order.
    fn pop(&mut self) -> Option<Job> {
        let site = self.order.pop_front()?;
        let jobs = self.waiting.get_mut(&site)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&site);
        } else {
            self.order.push_back(site);
        }
        job
    }

    /// The last job of the longest queue.
    fn pop_longest(&mut self) -> Option<Job> {
        let (site, jobs) = self.waiting.iter_mut().max_by_key(|(_, jobs)| jobs.len())?;
        let (site, job) = (*site, jobs.pop_back());
        self.forget_if_empty(site);
        job
    }

    /// Drops the jobs whose clients have disconnected.
    fn drop_abandoned(&mut self) {
        for jobs in self.waiting.values_mut() {
            jobs.retain(|job| !job.answer.is_closed());
        }
        self.waiting.retain(|_, jobs| !jobs.is_empty());
        self.order.retain(|site| self.waiting.contains_key(site));
    }

    fn forget_if_empty(&mut self, site: Network) {
        if self.waiting.get(&site).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&site);
            self.order.retain(|other| *other != site);
        }
    }

    /// The number of hashes of one thread in this time.
    fn done_in(&self, time: Duration) -> usize {
        let done = time.as_nanos() / self.hash_time.as_nanos().max(1);
        usize::try_from(done).unwrap_or(usize::MAX).max(MIN_PER_THREAD)
    }

    fn record_depth(&self) {
        metrics::gauge!(crate::metrics::HASH_QUEUE).set(u32::try_from(self.len()).unwrap_or(u32::MAX));
    }

    fn time_to_drain(&self, jobs: usize, workers: NonZeroUsize) -> Duration {
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        self.hash_time.saturating_mul(jobs) / workers
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("jobs", &self.len())
            .field("background", &self.background.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Tag, HashError>>;

    fn network(number: u8) -> Network {
        Network::of(Some([192, 0, 2, number].into()))
    }

    fn job(lane: Lane, from: Network, password: &str) -> (Job, Answer) {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            password: Password::parse(password).unwrap(),
            params: Params::DEFAULT,
            salt: b"somesalt".to_vec(),
            lane,
            from,
            since: Instant::now(),
            answer,
        };
        (job, answered)
    }

    fn queue(capacity: usize) -> Queue {
        Queue::new(Some(capacity), NonZeroUsize::MIN, Duration::ZERO)
    }

    fn push(queue: &Queue, from: Network, password: &str) -> Option<Answer> {
        let (job, answer) = job(Lane::Interactive, from, password);
        queue.push(job).ok().map(|()| answer)
    }

    fn push_background(queue: &Queue, password: &str) -> Option<Answer> {
        let (job, answer) = job(Lane::Background, Network::of(None), password);
        queue.push(job).ok().map(|()| answer)
    }

    fn popped(queue: &Queue) -> Option<String> {
        match queue.pop(Some(Duration::ZERO)) {
            Next::Job(job) => Some(job.password.expose().to_owned()),
            Next::Idle | Next::Closed => None,
        }
    }

    #[test]
    fn check_full_queue_returns_the_time_to_drain() {
        let queue = Queue::new(Some(10), NonZeroUsize::new(2).unwrap(), Duration::from_millis(10));
        let _answers: Vec<_> = (0..10).map(|_| push(&queue, network(1), "a").unwrap()).collect();
        let refused = || match queue.check(network(1)) {
            Err(HashError::Busy(retry_after)) => retry_after.as_secs(),
            other => panic!("{other:?}"),
        };
        // 10 hashes of 10 ms on 2 threads. Then of 500 ms, rounded up.
        assert_eq!(refused(), 1);
        (0..100).for_each(|_| queue.done(Lane::Interactive, Some(Duration::from_millis(500))));
        assert!((2..=3).contains(&refused()));
        assert_eq!(popped(&queue).as_deref(), Some("a"));
        queue.check(network(1)).unwrap();
    }

    #[test]
    fn queue_without_set_capacity_accepts_half_a_second_of_passwords() {
        let workers = NonZeroUsize::new(2).unwrap();
        for (milliseconds, most) in [(5, 200), (10, 100), (100, 64)] {
            let queue = Queue::new(None, workers, Duration::from_millis(milliseconds));
            let mut answers = Vec::new();
            while queue.check(network(1)).is_ok() {
                answers.push(push(&queue, network(1), "a").unwrap());
            }
            assert_eq!(answers.len(), most, "{milliseconds} ms");
        }
    }

    #[test]
    fn pop_serves_networks_round_robin() {
        let queue = queue(100);
        let mut answers = Vec::new();
        for number in 0..5 {
            answers.push(push(&queue, network(1), &format!("many {number}")).unwrap());
        }
        answers.push(push(&queue, network(2), "one").unwrap());
        let neighbour = Network::of(Some("2001:db8:1:2::1".parse().unwrap()));
        let same_site = Network::of(Some("2001:db8:1:3::1".parse().unwrap()));
        answers.push(push(&queue, neighbour, "site 0").unwrap());
        answers.push(push(&queue, same_site, "site 1").unwrap());
        let order: Vec<_> = std::iter::from_fn(|| popped(&queue)).collect();
        assert_eq!(order, ["many 0", "one", "site 0", "many 1", "site 1", "many 2", "many 3", "many 4"]);
    }

    #[test]
    fn check_full_queue_accepts_a_network_with_fewer_passwords_than_another() {
        let queue = queue(4);
        let mut answers: Vec<_> = (0..4).map(|_| push(&queue, network(1), "flood").unwrap()).collect();
        assert!(queue.check(network(1)).is_err());
        for _ in 0..3 {
            queue.check(network(2)).unwrap();
            answers.push(push(&queue, network(2), "other").unwrap());
        }
        // It would have as many passwords as the other network.
        assert!(queue.check(network(2)).is_err());
        queue.check(network(3)).unwrap();
    }

    #[test]
    fn push_beyond_four_times_the_capacity_replaces_the_last_of_the_longest_queue() {
        let queue = queue(2);
        let mut answers: Vec<_> = (0..8).map(|_| push(&queue, network(1), "flood").unwrap()).collect();
        assert!(push(&queue, network(1), "flood").is_none());
        let _other = push(&queue, network(2), "other").unwrap();
        let mut last = answers.pop().unwrap();
        assert!(matches!(last.try_recv(), Ok(Err(HashError::Busy(_)))));
        assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()));
        assert_eq!([popped(&queue).as_deref(), popped(&queue).as_deref()], [Some("flood"), Some("other")]);
    }

    #[test]
    fn job_of_a_disconnected_client_is_dropped() {
        let queue = queue(2);
        let waits = push(&queue, network(1), "first").unwrap();
        drop(push(&queue, network(1), "second").unwrap());
        queue.check(network(1)).unwrap();
        drop(push(&queue, network(1), "third").unwrap());
        assert_eq!(popped(&queue).as_deref(), Some("first"));
        assert_eq!(popped(&queue), None);
        drop(waits);
    }

    #[test]
    fn pop_serves_background_jobs_only_if_no_other_job_waits() {
        let queue = queue(100);
        let _first = push_background(&queue, "background 0").unwrap();
        let _second = push_background(&queue, "background 1").unwrap();
        let _other = push(&queue, network(1), "sign-in").unwrap();
        let mut order = Vec::new();
        for _ in 0..2 {
            order.push(popped(&queue));
        }
        let _late = push(&queue, network(1), "late sign-in").unwrap();
        order.push(popped(&queue));
        queue.done(Lane::Background, None);
        order.push(popped(&queue));
        let expected = ["sign-in", "background 0", "late sign-in", "background 1"];
        assert_eq!(order.iter().flatten().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn background_jobs_run_on_at_most_half_of_the_threads() {
        for (workers, most) in [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)] {
            let queue = Queue::new(Some(100), NonZeroUsize::new(workers).unwrap(), Duration::ZERO);
            let _answers: Vec<_> = (0..10).map(|_| push_background(&queue, "background")).collect();
            let running = std::iter::from_fn(|| popped(&queue)).count();
            assert_eq!(running, most, "{workers} threads");
            queue.done(Lane::Background, Some(Duration::ZERO));
            assert!(popped(&queue).is_some(), "{workers} threads");
            queue.done(Lane::Interactive, Some(Duration::ZERO));
            assert!(popped(&queue).is_none(), "{workers} threads");
        }
    }

    #[test]
    fn background_jobs_take_no_capacity_from_other_jobs() {
        let queue = queue(2);
        let mut answers: Vec<_> =
            (0..MAX_BACKGROUND_PER_THREAD).map(|_| push_background(&queue, "background").unwrap()).collect();
        assert!(push_background(&queue, "one too many").is_none());
        queue.check(network(1)).unwrap();
        assert!(queue.is_empty());
        let _other = push(&queue, network(1), "sign-in").unwrap();
        // The place of a job whose caller has gone is free.
        drop(answers.pop());
        assert!(push_background(&queue, "one more").is_some());
    }

    #[test]
    fn abandoned_background_job_occupies_no_thread() {
        let queue = queue(2);
        drop(push_background(&queue, "abandoned"));
        let _waits = push_background(&queue, "background").unwrap();
        assert_eq!(popped(&queue).as_deref(), Some("background"));
    }
}
