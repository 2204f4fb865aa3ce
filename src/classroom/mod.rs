//! ROOM: classes, the join codes that open them, and who has joined. One file per use case.

pub mod classes;
pub mod enrolment;
pub mod join_codes;

use std::sync::Arc;

use chrono::TimeDelta;

use self::join_codes::Draws;
use crate::{
    clock::Clock,
    entropy::Entropy,
    rate_limit::{limiter::Limiter, policies::JoinLimits},
    store::{Store, batch::Batcher},
};

/// The room, with what it works on.
pub struct Classroom {
    store: Store,
    entropy: Arc<dyn Entropy>,
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
    pub fn new(store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, settings: Settings) -> Self {
        let draws = Draws::new(store.clone(), clock, settings.join_code_rate);
        let limiter = Limiter::new(store.clone());
        Self { store, entropy, draws: Batcher::start(draws, settings.draw_queue), limiter, settings }
    }
}
