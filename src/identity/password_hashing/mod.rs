//! Hashes and verifies passwords with Argon2id (RFC 9106).
//!
//! A hash takes tens of milliseconds and 19 MiB by design. Dedicated threads keep it off the threads that serve requests. One thread per
//! core, each with one memory block that it reuses, gives the highest throughput. A bounded queue limits memory and waiting time when
//! many users sign in at once.

mod cost;
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

pub use self::{
    cost::{Cost, CostTooLow},
    engine::{FillError, HashEngine},
    phc::PhcError,
    self_test::SelfTestError,
};
use self::{
    engine::Tag,
    phc::Phc,
    queue::{Job, Lane, Queue},
    workers::Workers,
};
use crate::{
    domain::{
        network::Network,
        password::{Password, PasswordHash},
        retry_after::RetryAfter,
    },
    random::{self, RandomSource},
};

/// The settings of the hash threads.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The implementation of Argon2id.
    pub engine: HashEngine,
    /// The cost of a new hash.
    pub cost: Cost,
    /// The number of threads.
    pub workers: NonZeroUsize,
    /// The capacity of the queue. By default, the number of passwords hashed in half a second, and at least 32 per thread.
    pub queue: Option<NonZeroUsize>,
    /// The time without work after which a thread frees its memory.
    pub idle: Duration,
    /// The nice value of the threads. Under load they keep every core busy, and a request without a hash must not wait for them. With a
    /// much higher value, many requests without a hash would starve sign-ins.
    pub nice: i32,
}

impl Default for Settings {
    /// The default cost, one thread per core, the default queue, one minute until memory is freed, and the nice value of a server.
    fn default() -> Self {
        let workers = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            engine: HashEngine::default(),
            cost: Cost::DEFAULT,
            workers,
            queue: None,
            idle: Duration::from_mins(1),
            nice: 5,
        }
    }
}

/// Why [`PasswordHashing::start`] failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not even the reference implementation passes the self-test.
    #[error("the self-test of password hashing failed")]
    SelfTest(#[from] SelfTestError),
    /// A thread could not be started.
    #[error("a thread for password hashing could not be started")]
    Thread(#[source] std::io::Error),
}

/// Why a password was neither hashed nor verified.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The queue is full. At the recent pace it is empty after the given time.
    #[error("too many passwords are waiting to be hashed")]
    Busy(RetryAfter),
    /// The stored hash is not a supported PHC string.
    #[error("the stored password hash is not usable")]
    Unreadable(#[from] PhcError),
    /// The engine failed, probably for lack of memory.
    #[error("the password could not be hashed")]
    Failed(#[from] FillError),
    /// The thread stopped before the hash was done.
    #[error("password hashing stopped before the hash was done")]
    Stopped,
}

/// A hash of this cost that no password matches: its tag is random. Sign-in with it takes as long as with any other.
pub fn unusable(cost: Cost, random: &dyn RandomSource) -> Result<PasswordHash, HashError> {
    let salt = random::bytes::<16>(random).into();
    let tag = random::bytes::<{ phc::TAG_LENGTH }>(random).to_vec();
    Ok(Phc { params: cost.params()?, salt, tag }.format()?)
}

/// Hashes and verifies passwords. Dropping it waits for the threads, which finish their current hash.
#[derive(Debug)]
pub struct PasswordHashing {
    engine: HashEngine,
    /// The parameters of new hashes.
    params: Params,
    decoy: Phc,
    workers: Workers,
}

impl PasswordHashing {
    /// Tests the engine, generates the decoy and starts the threads. Takes as long as two or three hashes.
    pub fn start(settings: Settings, random: &dyn RandomSource) -> Result<Self, StartError> {
        let params = settings.cost.params().map_err(SelfTestError::from)?;
        let (engine, hash_time) = self_test::choose(settings.engine, &params, HashEngine::filler)?;
        let decoy = Phc {
            params: params.clone(),
            salt: random::bytes::<16>(random).into(),
            tag: random::bytes::<{ phc::TAG_LENGTH }>(random).to_vec(),
        };
        let queue = Queue::new(settings.queue.map(NonZeroUsize::get), settings.workers, hash_time);
        let workers =
            Workers::start(settings.workers, settings.nice, settings.idle, queue, move || engine.filler())
                .map_err(StartError::Thread)?;
        Ok(Self { engine, params, decoy, workers })
    }

    /// The engine in use. It is the reference if the faster engine failed its self-test.
    #[must_use]
    pub fn engine(&self) -> HashEngine {
        self.engine
    }

    /// Checks that the queue would accept a password from this network. A request checks this before any other work.
    pub fn check_capacity(&self, from: Network) -> Result<(), HashError> {
        self.workers.queue().check(from)
    }

    /// Whether `password` matches `stored`.
    ///
    /// Without `stored` the password is hashed against a decoy and the result is `false`. So the time does not show which accounts
    /// exist.
    pub async fn verify(
        &self,
        from: Network,
        stored: Option<PasswordHash>,
        password: Password,
    ) -> Result<bool, HashError> {
        let stored = stored.map(|stored| Phc::parse(stored.expose())).transpose()?;
        let expected = stored.as_ref().unwrap_or(&self.decoy);
        let (params, salt) = (expected.params.clone(), expected.salt.clone());
        let tag = self.fill(Lane::Interactive, from, params, salt, password).await?;
        let equal = constant_time::verify_slices_are_equal(&tag, &expected.tag).is_ok();
        Ok(equal & stored.is_some())
    }

    /// Hashes a password with a new salt.
    pub async fn hash(&self, password: Password, salt: [u8; 16]) -> Result<PasswordHash, HashError> {
        self.hash_from(Network::of(None), password, salt).await
    }

    /// Hashes a password of a client's request with a new salt.
    pub async fn hash_from(
        &self,
        from: Network,
        password: Password,
        salt: [u8; 16],
    ) -> Result<PasswordHash, HashError> {
        self.hash_in(Lane::Interactive, from, password, salt).await
    }

    /// Hashes one of many passwords with a new salt. Each sign-in precedes it, and half of the threads are left to sign-ins
    /// if there is more than one.
    ///
    /// Callers keep only a few hashes waiting, such as two per [thread](Self::workers): beyond 64 per thread the result is
    /// [`HashError::Busy`].
    pub async fn hash_in_background(
        &self,
        password: Password,
        salt: [u8; 16],
    ) -> Result<PasswordHash, HashError> {
        self.hash_in(Lane::Background, Network::of(None), password, salt).await
    }

    /// The number of threads.
    pub fn workers(&self) -> NonZeroUsize {
        self.workers.queue().workers()
    }

    async fn hash_in(
        &self,
        lane: Lane,
        from: Network,
        password: Password,
        salt: [u8; 16],
    ) -> Result<PasswordHash, HashError> {
        let tag = self.fill(lane, from, self.params.clone(), salt.into(), password).await?;
        Ok(Phc { params: self.params.clone(), salt: salt.into(), tag: tag.to_vec() }.format()?)
    }

    /// Whether a new hash would have other parameters than this one.
    pub fn is_outdated(&self, stored: &PasswordHash) -> bool {
        Phc::parse(stored.expose()).is_ok_and(|stored| stored.params != self.params)
    }

    /// Whether no password of a user waits for a thread.
    pub fn is_idle(&self) -> bool {
        self.workers.queue().is_empty()
    }

    async fn fill(
        &self,
        lane: Lane,
        from: Network,
        params: Params,
        salt: Vec<u8>,
        password: Password,
    ) -> Result<Tag, HashError> {
        let (answer, answered) = oneshot::channel();
        self.workers.queue().push(Job {
            password,
            params,
            salt,
            lane,
            from,
            since: Instant::now(),
            answer,
        })?;
        answered.await.map_err(|_| HashError::Stopped)?
    }
}
