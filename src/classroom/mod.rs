//! ROOM: classes, the join codes that open them, and who has joined. One file per use case.

pub mod classes;
pub mod enrollments;
pub mod join_codes;

use std::sync::Arc;

use chrono::TimeDelta;

use self::join_codes::Draws;
use crate::{
    clock::Clock,
    db::{Db, batch::Batcher},
    random::RandomSource,
    rate_limit::{limiter::Limiter, policies::JoinLimits},
};

/// The room, with what it works on.
pub struct Classroom {
    db: Db,
    random: Arc<dyn RandomSource>,
    draws: Batcher<Draws>,
    limiter: Limiter,
    settings: Settings,
}

/// What an operator decides of this room.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a join code admits.
    pub join_code_life: TimeDelta,
    /// How many join codes may be drawn for one class in a minute; 0 is no limit.
    pub join_code_rate: u32,
    /// How many draws may wait to be written.
    pub draw_queue: usize,
    /// How many join codes may be guessed.
    pub rate_limit: JoinLimits,
}

impl Default for Settings {
    /// A week, a draw a second, a queue that drains in a fraction of one, and what the flags have.
    fn default() -> Self {
        Self {
            join_code_life: TimeDelta::days(7),
            join_code_rate: 60,
            draw_queue: 1024,
            rate_limit: JoinLimits::DEFAULT,
        }
    }
}

impl Classroom {
    /// Opens the room, on the runtime that this is called on: what is written in batches is written by a task there.
    pub fn new(db: Db, clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>, settings: Settings) -> Self {
        let draws = Draws::new(db.clone(), clock, settings.join_code_rate);
        let limiter = Limiter::new(db.clone());
        Self { db, random, draws: Batcher::start(draws, settings.draw_queue), limiter, settings }
    }
}
