//! Classes, the join codes that admit to them, and enrollments. One service each.

pub mod classes;
pub mod enrollments;
pub mod join_codes;

use std::sync::Arc;

use chrono::TimeDelta;

use self::{classes::Classes, enrollments::Enrollments, join_codes::JoinCodes};
use crate::{db::Db, random::RandomSource, rate_limit::policies::JoinLimits};

/// The services of classes.
pub struct Classroom {
    /// Creates and reads classes.
    pub classes: Classes,
    /// Generates join codes.
    pub join_codes: JoinCodes,
    /// Enrolls students.
    pub enrollments: Enrollments,
}

/// Configuration of the services.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lifetime of a join code.
    pub join_code_life: TimeDelta,
    /// Join codes that may be generated for a class in a minute. 0 sets no limit.
    pub join_code_rate: u32,
    /// Limits on guessing join codes.
    pub rate_limit: JoinLimits,
}

impl Default for Settings {
    /// The defaults of the command line.
    fn default() -> Self {
        Self { join_code_life: TimeDelta::days(7), join_code_rate: 60, rate_limit: JoinLimits::DEFAULT }
    }
}

impl Classroom {
    /// Creates the services over one database.
    pub fn new(db: &Db, random: &Arc<dyn RandomSource>, settings: &Settings) -> Self {
        let &Settings { join_code_life, join_code_rate, rate_limit } = settings;
        Self {
            classes: Classes::new(db.clone(), random.clone()),
            join_codes: JoinCodes::new(db.clone(), random.clone(), join_code_life, join_code_rate),
            enrollments: Enrollments::new(db.clone(), random.clone(), rate_limit),
        }
    }
}
