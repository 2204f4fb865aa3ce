//! ROOM: classes, the join codes that open them, and who has joined. One file per use case.

pub mod classes;
pub mod enrollments;
pub mod join_codes;

use std::sync::Arc;

use chrono::TimeDelta;

use crate::{
    db::Db,
    random::RandomSource,
    rate_limit::{limiter::Limiter, policies::JoinLimits},
};

/// The room, with what it works on.
pub struct Classroom {
    db: Db,
    random: Arc<dyn RandomSource>,
    limiter: Limiter,
    settings: Settings,
}

/// What an operator decides of this room.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a join code admits.
    pub join_code_life: TimeDelta,
    /// How many join codes may be generated for one class in a minute; 0 is no limit.
    pub join_code_rate: u32,
    /// How many join codes may be guessed.
    pub rate_limit: JoinLimits,
}

impl Default for Settings {
    /// A week, one code a second, and the defaults of the flags.
    fn default() -> Self {
        Self { join_code_life: TimeDelta::days(7), join_code_rate: 60, rate_limit: JoinLimits::DEFAULT }
    }
}

impl Classroom {
    /// A classroom over this database.
    pub fn new(db: Db, random: Arc<dyn RandomSource>, settings: Settings) -> Self {
        let limiter = Limiter::new(db.clone());
        Self { db, random, limiter, settings }
    }
}
