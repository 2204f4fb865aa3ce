//! The flags of password hashing.

use std::num::NonZeroUsize;

use clap::Args;

use crate::identity::password_hashing::{self, Cost, CostTooLow, HashEngine};

/// Password hashing.
#[derive(Debug, Clone, Args)]
pub struct Hashing {
    /// The implementation of the password hash: `simd` is faster, `argon2` is the reference
    #[arg(long, env = "HOMEROOM_HASH_ENGINE", value_name = "ENGINE", value_enum, default_value_t)]
    pub hash_engine: HashEngine,

    /// The memory of a password hash in KiB (7168 to 65536). Fewer than 19456 need more --hash-passes
    #[arg(long, env = "HOMEROOM_HASH_MEMORY", value_name = "KIB", default_value_t = Cost::DEFAULT.memory(),
          value_parser = clap::value_parser!(u32).range(7_168..=65_536))]
    pub hash_memory: u32,

    /// The passes of a password hash over its memory (1 to 10). Hashes of another cost are replaced when their users sign in
    #[arg(long, env = "HOMEROOM_HASH_PASSES", value_name = "COUNT", default_value_t = Cost::DEFAULT.passes(),
          value_parser = clap::value_parser!(u32).range(1..=10))]
    pub hash_passes: u32,

    /// The number of threads that hash passwords. Each needs --hash-memory [default: one per core]
    #[arg(long, env = "HOMEROOM_HASH_WORKERS", value_name = "COUNT")]
    pub hash_workers: Option<NonZeroUsize>,

    /// The maximum number of sign-ins that wait for a thread. Further ones get 503. After a stall of the database, up to four
    /// times as many may wait [default: half a second's worth, at least 32 per thread]
    #[arg(long, env = "HOMEROOM_HASH_QUEUE", value_name = "COUNT")]
    pub hash_queue: Option<NonZeroUsize>,
}

impl Hashing {
    /// The settings of the hash threads.
    pub fn settings(&self) -> Result<password_hashing::Settings, CostTooLow> {
        let default = password_hashing::Settings::default();
        Ok(password_hashing::Settings {
            engine: self.hash_engine,
            cost: Cost::new(self.hash_memory, self.hash_passes)?,
            workers: self.hash_workers.unwrap_or(default.workers),
            queue: self.hash_queue,
            ..default
        })
    }
}
