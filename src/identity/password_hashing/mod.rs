//! Passwords are hashed and verified here, with Argon2id (RFC 9106), and nowhere else.
//!
//! A hash takes tens of milliseconds of a core and 19 MiB, by intent. Threads of its own keep it away from the
//! threads that answer requests; as many as there are cores, each filling the same memory again and again, is as fast
//! as it gets, and a bounded queue before them keeps memory and waiting bounded when everyone signs in at once.

mod engine;
mod phc;
mod queue;
mod self_test;
mod workers;

#[cfg(test)]
mod tests;

use std::{
    num::NonZeroUsize,
    thread,
    time::{Duration, Instant},
};

use argon2::Params;
use aws_lc_rs::constant_time;
use tokio::sync::oneshot;

use self::{
    engine::Tag,
    phc::Phc,
    queue::{Job, Queue},
    workers::Workers,
};
pub use self::{
    engine::{FillError, HashEngine},
    phc::PhcError,
    self_test::SelfTestError,
};
use crate::{
    domain::{
        network::Network,
        password::{Password, PasswordHash},
    },
    random::{self, RandomSource},
};

/// How the threads are set up.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Which implementation fills the memory.
    pub engine: HashEngine,
    /// How many threads.
    pub workers: NonZeroUsize,
    /// How many passwords may wait for a thread; unless it is said, as many as are done in half a second, and 32 for
    /// each thread.
    pub queue: Option<NonZeroUsize>,
    /// After how long without work a thread gives its memory back.
    pub idle: Duration,
}

impl Default for Settings {
    /// A thread per core, a queue that drains in about half a second, and memory that is kept for a minute.
    fn default() -> Self {
        let workers = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { engine: HashEngine::default(), workers, queue: None, idle: Duration::from_mins(1) }
    }
}

/// Passwords cannot be hashed on this machine.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not even the reference implementation computes what it must.
    #[error("the self-test of password hashing failed")]
    SelfTest(#[from] SelfTestError),
    /// A thread could not be started.
    #[error("a thread for password hashing could not be started")]
    Thread(#[source] std::io::Error),
}

/// A password was neither hashed nor verified.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many passwords are waiting.
    #[error("too many passwords are waiting to be hashed")]
    Busy {
        /// In how many seconds those that wait now will be done, at the pace of late. At least 1.
        retry_after_seconds: u64,
    },
    /// What is stored is no PHC string of ours: our data is broken.
    #[error("the stored password hash is not usable")]
    Unreadable(#[from] PhcError),
    /// The engine refused, for want of memory most likely.
    #[error("the password could not be hashed")]
    Failed(#[from] FillError),
    /// The thread stopped before it had an answer.
    #[error("password hashing stopped before it had an answer")]
    Stopped,
}

/// Hashes and verifies passwords. Dropping it waits for the threads, each of which finishes at most one hash.
#[derive(Debug)]
pub struct PasswordHashing {
    engine: HashEngine,
    decoy: Phc,
    workers: Workers,
}

impl PasswordHashing {
    /// Tests the engine, makes the decoy and starts the threads. Takes the time of a hash or two.
    pub fn start(settings: Settings, random: &dyn RandomSource) -> Result<Self, StartError> {
        let (engine, hash_time) = self_test::choose(settings.engine, HashEngine::filler)?;
        let decoy = Phc {
            params: phc::PARAMS,
            salt: random::bytes::<16>(random).into(),
            tag: random::bytes::<{ phc::TAG_LENGTH }>(random).to_vec(),
        };
        let queue = Queue::new(settings.queue.map(NonZeroUsize::get), settings.workers, hash_time);
        let workers = Workers::start(settings.workers, settings.idle, queue, move || engine.filler())
            .map_err(StartError::Thread)?;
        Ok(Self { engine, decoy, workers })
    }

    /// The engine in use, which is the reference if the faster one failed its test.
    #[must_use]
    pub fn engine(&self) -> HashEngine {
        self.engine
    }

    /// Whether a password from this network would find room before the threads, or when to come again. A request asks
    /// before it costs anything.
    pub fn check_capacity(&self, from: Network) -> Result<(), HashError> {
        self.workers.queue().check(from)
    }

    /// Whether `password` is the one that `stored` was made of.
    ///
    /// Without a `stored` the answer is no, but takes as long: how long an answer takes does not tell which accounts
    /// there are.
    pub async fn verify(
        &self,
        from: Network,
        stored: Option<PasswordHash>,
        password: Password,
    ) -> Result<bool, HashError> {
        let stored = stored.map(|stored| Phc::parse(stored.expose())).transpose()?;
        let expected = stored.as_ref().unwrap_or(&self.decoy);
        let tag = self.fill(from, expected.params.clone(), expected.salt.clone(), password).await?;
        let equal = constant_time::verify_slices_are_equal(&tag, &expected.tag).is_ok();
        Ok(equal & stored.is_some())
    }

    /// What to db of `password`, with a salt that nothing else was hashed with.
    pub async fn hash(&self, password: Password, salt: [u8; 16]) -> Result<PasswordHash, HashError> {
        let tag = self.fill(Network::of(None), phc::PARAMS, salt.into(), password).await?;
        Ok(Phc { params: phc::PARAMS, salt: salt.into(), tag: tag.to_vec() }.format()?)
    }

    async fn fill(
        &self,
        from: Network,
        params: Params,
        salt: Vec<u8>,
        password: Password,
    ) -> Result<Tag, HashError> {
        let (answer, answered) = oneshot::channel();
        self.workers.queue().push(Job { password, params, salt, from, since: Instant::now(), answer })?;
        answered.await.map_err(|_| HashError::Stopped)?
    }
}
