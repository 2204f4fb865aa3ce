//! ROOM: classes, the join codes that open them, and who has joined. One file per use case.

pub mod classes;
pub mod enrolment;
pub mod join_codes;

use std::sync::Arc;

use chrono::TimeDelta;

use crate::{entropy::Entropy, store::Store};

/// The room, with what it works on.
pub struct Classroom {
    store: Store,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
}

/// What an operator decides of this room.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a join code admits.
    pub join_code_life: TimeDelta,
}

impl Default for Settings {
    /// A week.
    fn default() -> Self {
        Self { join_code_life: TimeDelta::days(7) }
    }
}

impl Classroom {
    /// Opens the room.
    pub fn new(store: Store, entropy: Arc<dyn Entropy>, settings: Settings) -> Self {
        Self { store, entropy, settings }
    }
}
