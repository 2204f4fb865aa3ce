//! The threads that hash passwords.

use std::{
    io,
    num::NonZeroUsize,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::setpriority_process;

use super::{
    HashError,
    engine::Fill,
    queue::{Job, Next, Queue},
};

/// Threads that share one queue. Dropping them waits until each has finished its current hash.
#[derive(Debug)]
pub(super) struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads with this nice value. Each creates an engine with `filler` for its first job, and drops the engine and its memory after the
    /// time `idle` without work.
    pub(super) fn start(
        count: NonZeroUsize,
        nice: i32,
        idle: Duration,
        queue: Queue,
        filler: impl Fn() -> Box<dyn Fill> + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let mut workers = Self { queue: Arc::new(queue), threads: Vec::with_capacity(count.get()) };
        for number in 0..count.get() {
            let (queue, filler) = (Arc::clone(&workers.queue), filler.clone());
            let thread = thread::Builder::new().name(format!("password-{number}"));
            workers.threads.push(thread.spawn(move || work(&queue, nice, idle, filler))?);
        }
        Ok(workers)
    }

    /// The waiting jobs.
    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // The thread catches its panics.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Queue, nice: i32, idle: Duration, filler: impl Fn() -> Box<dyn Fill>) {
    // On Linux this changes the calling thread alone. A system that refuses it hashes at normal priority.
    _ = setpriority_process(None, nice);
    let mut engine = None;
    loop {
        // Without an engine there is no memory to free, so the wait has no limit.
        match queue.pop(engine.as_ref().map(|_| idle)) {
            Next::Closed => return,
            Next::Idle => engine = None,
            Next::Job(Job { password, params, salt, lane, answer, .. }) => {
                let begun = Instant::now();
                let tag = panic::catch_unwind(AssertUnwindSafe(|| {
                    engine.get_or_insert_with(&filler).fill(&params, password.expose().as_bytes(), &salt)
                }));
                let time = matches!(tag, Ok(Ok(_))).then(|| begun.elapsed());
                queue.done(lane, time);
                if let Some(time) = time {
                    metrics::histogram!(crate::metrics::HASH_SECONDS).record(time);
                }
                if let Ok(tag) = tag {
                    // The client may have disconnected.
                    let _ = answer.send(tag.map_err(HashError::from));
                } else {
                    // The engine may be inconsistent and is replaced. The caller receives `HashError::Stopped`.
                    tracing::error!("hashing a password panicked");
                    engine = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use argon2::Params;
    use tokio::sync::oneshot;
    use zeroize::Zeroizing;

    use super::{
        super::{
            engine::{FillError, Tag},
            queue::Lane,
        },
        *,
    };
    use crate::domain::{network::Network, password::Password, retry_after::RetryAfter};

    const HOUR: Duration = Duration::from_hours(1);

    /// The number of engines ever created, and of engines that exist.
    #[derive(Default)]
    struct Count {
        made: AtomicUsize,
        alive: AtomicUsize,
    }

    impl Count {
        fn now(&self) -> (usize, usize) {
            (self.made.load(Ordering::SeqCst), self.alive.load(Ordering::SeqCst))
        }
    }

    /// Returns the password as the tag, and panics at the password `panic`.
    struct Echo(Arc<Count>);

    impl Echo {
        fn filler(count: &Arc<Count>) -> impl Fn() -> Box<dyn Fill> + Clone + Send + use<> {
            let count = Arc::clone(count);
            move || {
                count.made.fetch_add(1, Ordering::SeqCst);
                count.alive.fetch_add(1, Ordering::SeqCst);
                Box::new(Self(Arc::clone(&count)))
            }
        }
    }

    impl Drop for Echo {
        fn drop(&mut self) {
            self.0.alive.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl Fill for Echo {
        fn fill(&mut self, _: &Params, password: &[u8], _: &[u8]) -> Result<Tag, FillError> {
            assert_ne!(password, b"panic");
            Ok(Zeroizing::new(password.to_vec()))
        }
    }

    /// Reports its start, and waits for permission to go on.
    struct Gate(mpsc::Sender<Vec<u8>>, Arc<Mutex<mpsc::Receiver<()>>>);

    impl Fill for Gate {
        fn fill(&mut self, _: &Params, password: &[u8], _: &[u8]) -> Result<Tag, FillError> {
            self.0.send(password.to_vec()).unwrap();
            self.1.lock().unwrap().recv().unwrap();
            Ok(Tag::default())
        }
    }

    type Answer = oneshot::Receiver<Result<Tag, HashError>>;

    fn start(
        idle: Duration,
        capacity: usize,
        filler: impl Fn() -> Box<dyn Fill> + Clone + Send + 'static,
    ) -> Workers {
        let queue = Queue::new(Some(capacity), NonZeroUsize::MIN, Duration::ZERO);
        Workers::start(NonZeroUsize::MIN, 0, idle, queue, filler).unwrap()
    }

    fn submit(workers: &Workers, password: &str) -> Result<Answer, HashError> {
        submit_to(workers, Lane::Interactive, password)
    }

    fn submit_to(workers: &Workers, lane: Lane, password: &str) -> Result<Answer, HashError> {
        let (answer, answered) = oneshot::channel();
        let password = Password::parse(password).unwrap();
        let from = Network::of(None);
        workers.queue().check(from)?;
        workers.queue().push(Job {
            password,
            params: Params::DEFAULT,
            salt: b"somesalt".to_vec(),
            lane,
            from,
            since: Instant::now(),
            answer,
        })?;
        Ok(answered)
    }

    fn hash(workers: &Workers, password: &str) -> Option<Vec<u8>> {
        submit(workers, password).unwrap().blocking_recv().ok().map(|answer| answer.unwrap().to_vec())
    }

    #[test]
    fn full_queue_is_busy_then_recovers_and_skips_disconnected_clients() {
        let ((began, beginnings), (open, gate)) = (mpsc::channel(), mpsc::channel());
        let gate = Arc::new(Mutex::new(gate));
        let workers = start(HOUR, 2, move || Box::new(Gate(began.clone(), Arc::clone(&gate))));
        let first = submit(&workers, "first").unwrap();
        assert_eq!(beginnings.recv().unwrap(), b"first");
        let (second, third) = (submit(&workers, "second").unwrap(), submit(&workers, "third").unwrap());
        assert!(matches!(submit(&workers, "fourth"), Err(HashError::Busy(RetryAfter::MIN))));
        drop(second);
        let fifth = submit(&workers, "fifth").unwrap();
        (0..3).for_each(|_| open.send(()).unwrap());
        for answer in [first, third, fifth] {
            answer.blocking_recv().unwrap().unwrap();
        }
        assert_eq!(beginnings.try_iter().collect::<Vec<_>>(), [b"third", b"fifth"]);
    }

    #[test]
    fn thread_keeps_its_engine_until_it_is_joined() {
        let count = Arc::default();
        let workers = start(HOUR, 2, Echo::filler(&count));
        assert_eq!(count.now(), (0, 0));
        for password in ["a", "b", "c"] {
            assert_eq!(hash(&workers, password).unwrap(), password.as_bytes());
            assert_eq!(count.now(), (1, 1));
        }
        drop(workers);
        assert_eq!(count.now(), (1, 0));
    }

    #[test]
    fn idle_thread_drops_its_engine() {
        let count = Arc::default();
        let workers = start(Duration::from_millis(1), 2, Echo::filler(&count));
        for made in 1..=3 {
            assert!(hash(&workers, "a").is_some());
            let answered = Instant::now();
            while count.now() != (made, 0) {
                assert!(answered.elapsed() < Duration::from_secs(10));
                thread::yield_now();
            }
        }
    }

    #[test]
    fn thread_after_a_panic_uses_a_new_engine() {
        let count = Arc::default();
        let workers = start(HOUR, 2, Echo::filler(&count));
        assert_eq!(hash(&workers, "a").unwrap(), b"a");
        assert_eq!(hash(&workers, "panic"), None);
        assert_eq!(hash(&workers, "b").unwrap(), b"b");
        assert_eq!(count.now(), (2, 1));
    }

    #[test]
    fn background_jobs_continue_after_a_panic_and_after_each_sign_in() {
        let count = Arc::default();
        let workers = start(HOUR, 2, Echo::filler(&count));
        assert!(submit_to(&workers, Lane::Background, "panic").unwrap().blocking_recv().is_err());
        let background: Vec<_> = (0..20)
            .map(|number| submit_to(&workers, Lane::Background, &number.to_string()).unwrap())
            .collect();
        assert_eq!(hash(&workers, "sign-in").unwrap(), b"sign-in");
        for (number, answer) in background.into_iter().enumerate() {
            assert_eq!(answer.blocking_recv().unwrap().unwrap().as_slice(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn sign_in_waits_for_the_running_background_job_alone() {
        let ((began, beginnings), (open, gate)) = (mpsc::channel(), mpsc::channel());
        let gate = Arc::new(Mutex::new(gate));
        let workers = start(HOUR, 2, move || Box::new(Gate(began.clone(), Arc::clone(&gate))));
        let first = submit_to(&workers, Lane::Background, "background 0").unwrap();
        assert_eq!(beginnings.recv().unwrap(), b"background 0");
        let second = submit_to(&workers, Lane::Background, "background 1").unwrap();
        let sign_in = submit(&workers, "sign-in").unwrap();
        (0..3).for_each(|_| open.send(()).unwrap());
        for answer in [first, second, sign_in] {
            answer.blocking_recv().unwrap().unwrap();
        }
        assert_eq!(beginnings.try_iter().collect::<Vec<_>>(), [&b"sign-in"[..], b"background 1"]);
    }
}
