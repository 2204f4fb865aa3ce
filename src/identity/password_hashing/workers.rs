//! The threads that hash.

use std::{
    io,
    num::NonZeroUsize,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    HashError,
    engine::Fill,
    queue::{Job, Next, Queue},
};

/// Threads on one queue. Dropping them waits until each has finished what it does.
#[derive(Debug)]
pub(super) struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts as many threads. Each makes an engine with `filler` when it has work, and drops it with its memory when
    /// it had none for `idle`.
    pub(super) fn start(
        count: NonZeroUsize,
        idle: Duration,
        queue: Queue,
        filler: impl Fn() -> Box<dyn Fill> + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let mut workers = Self { queue: Arc::new(queue), threads: Vec::with_capacity(count.get()) };
        for number in 0..count.get() {
            let (queue, filler) = (Arc::clone(&workers.queue), filler.clone());
            let thread = thread::Builder::new().name(format!("password-{number}"));
            workers.threads.push(thread.spawn(move || work(&queue, idle, filler))?);
        }
        Ok(workers)
    }

    /// The jobs that the threads have not begun.
    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // It catches its panics, and has nothing to tell.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Queue, idle: Duration, filler: impl Fn() -> Box<dyn Fill>) {
    let mut engine = None;
    loop {
        // Without memory there is nothing to give back, and the wait has no end.
        match queue.pop(engine.as_ref().map(|_| idle)) {
            Next::Closed => return,
            Next::Idle => engine = None,
            Next::Job(Job { password, params, salt, answer, .. }) => {
                let begun = Instant::now();
                let tag = panic::catch_unwind(AssertUnwindSafe(|| {
                    engine.get_or_insert_with(&filler).fill(&params, password.expose().as_bytes(), &salt)
                }));
                if let Ok(tag) = tag {
                    let time = begun.elapsed();
                    // What failed says nothing of how long the next one takes.
                    if tag.is_ok() {
                        queue.took(time);
                        metrics::histogram!(crate::metrics::HASH_SECONDS).record(time);
                    }
                    // Who hung up in the meantime needs no answer.
                    let _ = answer.send(tag.map_err(HashError::from));
                } else {
                    // Whatever state the engine is in, it is not used again. The asker learns that no answer will come.
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
        super::engine::{FillError, Tag},
        *,
    };
    use crate::domain::{network::Network, password::Password};

    const HOUR: Duration = Duration::from_hours(1);

    /// How many engines were ever made, and how many there are.
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

    /// Answers with the password, and panics at the password `panic`.
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

    /// Tells that it began, and waits until it may go on.
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
        Workers::start(NonZeroUsize::MIN, idle, queue, filler).unwrap()
    }

    fn submit(workers: &Workers, password: &str) -> Result<Answer, HashError> {
        let (answer, answered) = oneshot::channel();
        let password = Password::parse(password).unwrap();
        let from = Network::of(None);
        workers.queue().check(from)?;
        workers.queue().push(Job {
            password,
            params: Params::DEFAULT,
            salt: b"somesalt".to_vec(),
            from,
            since: Instant::now(),
            answer,
        })?;
        Ok(answered)
    }

    fn ask(workers: &Workers, password: &str) -> Option<Vec<u8>> {
        submit(workers, password).unwrap().blocking_recv().ok().map(|answer| answer.unwrap().to_vec())
    }

    #[test]
    fn a_full_pool_of_password_threads_is_busy_and_recovers_and_skips_who_hung_up() {
        let ((began, beginnings), (open, gate)) = (mpsc::channel(), mpsc::channel());
        let gate = Arc::new(Mutex::new(gate));
        let workers = start(HOUR, 2, move || Box::new(Gate(began.clone(), Arc::clone(&gate))));
        let first = submit(&workers, "first").unwrap();
        assert_eq!(beginnings.recv().unwrap(), b"first");
        let (second, third) = (submit(&workers, "second").unwrap(), submit(&workers, "third").unwrap());
        assert!(matches!(submit(&workers, "fourth"), Err(HashError::Busy { retry_after_seconds: 1 })));
        drop(second);
        let fifth = submit(&workers, "fifth").unwrap();
        (0..3).for_each(|_| open.send(()).unwrap());
        for answer in [first, third, fifth] {
            answer.blocking_recv().unwrap().unwrap();
        }
        assert_eq!(beginnings.try_iter().collect::<Vec<_>>(), [b"third", b"fifth"]);
    }

    #[test]
    fn a_password_thread_keeps_its_memory_while_there_is_work_and_drops_it_when_joined() {
        let count = Arc::default();
        let workers = start(HOUR, 2, Echo::filler(&count));
        assert_eq!(count.now(), (0, 0));
        for password in ["a", "b", "c"] {
            assert_eq!(ask(&workers, password).unwrap(), password.as_bytes());
            assert_eq!(count.now(), (1, 1));
        }
        drop(workers);
        assert_eq!(count.now(), (1, 0));
    }

    #[test]
    fn an_idle_password_thread_gives_its_memory_back() {
        let count = Arc::default();
        let workers = start(Duration::from_millis(1), 2, Echo::filler(&count));
        for made in 1..=3 {
            assert!(ask(&workers, "a").is_some());
            let answered = Instant::now();
            while count.now() != (made, 0) {
                assert!(answered.elapsed() < Duration::from_secs(10));
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_password_thread_survives_a_panic_with_new_memory() {
        let count = Arc::default();
        let workers = start(HOUR, 2, Echo::filler(&count));
        assert_eq!(ask(&workers, "a").unwrap(), b"a");
        assert_eq!(ask(&workers, "panic"), None);
        assert_eq!(ask(&workers, "b").unwrap(), b"b");
        assert_eq!(count.now(), (2, 1));
    }
}
