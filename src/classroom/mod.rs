//! Classes, the join codes that admit to them, enrollments and rosters. One service each.

pub mod authorization;
pub mod class_administration;
pub mod classes;
pub mod enrollments;
pub mod join_codes;
pub mod rosters;

use std::sync::Arc;

use chrono::TimeDelta;
use url::Url;

use self::{classes::Classes, enrollments::Enrollments, join_codes::JoinCodes, rosters::Rosters};
use crate::{db::Db, random::RandomSource, rate_limit::policies::JoinLimits};

/// The services of classes.
pub struct Classroom {
    /// Creates, lists, reads, changes and deletes classes.
    pub classes: Classes,
    /// Generates, shows and revokes join codes.
    pub join_codes: JoinCodes,
    /// Enrolls students, and ends enrollments.
    pub enrollments: Enrollments,
    /// Reads and changes rosters.
    pub rosters: Rosters,
}

/// The default of [`Settings::classes_per_owner`].
pub const CLASSES_PER_OWNER: u32 = 500;

/// Configuration of the services.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lifetime of a join code.
    pub join_code_life: TimeDelta,
    /// Join codes that may be generated for a class in a minute. 0 sets no limit.
    pub join_code_rate: u32,
    /// Limits on guessing join codes.
    pub rate_limit: JoinLimits,
    /// Classes that a user may own. 0 sets no limit.
    pub classes_per_owner: u32,
    /// The page on which students join a class. A link to it has the join code as `code`.
    pub join_page: Option<Url>,
}

impl Default for Settings {
    /// The defaults of the command line.
    fn default() -> Self {
        Self {
            join_code_life: TimeDelta::days(7),
            join_code_rate: 60,
            rate_limit: JoinLimits::DEFAULT,
            classes_per_owner: CLASSES_PER_OWNER,
            join_page: None,
        }
    }
}

impl Classroom {
    /// Creates the services over one database.
    pub fn new(db: &Db, random: &Arc<dyn RandomSource>, settings: &Settings) -> Self {
        let Settings { join_code_life, join_code_rate, rate_limit, classes_per_owner, join_page } =
            settings.clone();
        Self {
            classes: Classes::new(db.clone(), random.clone(), classes_per_owner),
            join_codes: JoinCodes::new(
                db.clone(),
                random.clone(),
                join_codes::Settings { life: join_code_life, per_minute: join_code_rate, page: join_page },
            ),
            enrollments: Enrollments::new(db.clone(), random.clone(), rate_limit),
            rosters: Rosters::new(db.clone(), random.clone()),
        }
    }
}
