//! The school: accounts that it makes, and its rosters. Above [`identity`](crate::identity) and [`classroom`](crate::classroom), which do
//! not import each other.

pub mod bulk;
pub mod cards;
pub mod credentials;
mod initial_passwords;
pub mod ownership;
pub mod roster;
pub mod student_import;
pub mod student_passwords;
pub mod students;

use std::sync::Arc;

use self::{bulk::Bulk, credentials::Credentials, student_passwords::StudentPasswords, students::Students};
use crate::{db::Db, domain::mail_domain::MailDomain, identity::Identity, random::RandomSource};

/// The services of the school.
pub struct School {
    /// Adds students to classes.
    pub students: Students,
    /// Generates passwords for students.
    pub passwords: StudentPasswords,
}

/// The operator's settings for these services.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domain of user names. `None`: the server makes no accounts for students.
    pub student_domain: Option<MailDomain>,
    /// Requests of one teacher that make accounts or passwords, at once and then per hour. 0 is no limit.
    pub account_rate: u32,
    /// Files of students that one teacher may import, at once and then per hour. 0 is no limit.
    pub import_rate: u32,
}

impl Settings {
    /// The default of [`Settings::account_rate`].
    pub const ACCOUNT_RATE: u32 = 600;
    /// The default of [`Settings::import_rate`].
    pub const IMPORT_RATE: u32 = 10;
}

impl Default for Settings {
    /// The defaults of the command line.
    fn default() -> Self {
        Self { student_domain: None, account_rate: Self::ACCOUNT_RATE, import_rate: Self::IMPORT_RATE }
    }
}

impl School {
    /// Builds the services over one database.
    pub fn new(db: &Db, random: &Arc<dyn RandomSource>, identity: &Identity, settings: Settings) -> Self {
        let Settings { student_domain, account_rate, import_rate } = settings;
        let (db, random, bulk) = (|| db.clone(), || random.clone(), Bulk::default());
        let credentials = Credentials::new(db(), random(), identity.hashing.clone(), student_domain);
        let sessions = identity.sessions.clone();
        Self {
            students: Students::new(
                db(),
                random(),
                credentials.clone(),
                bulk.clone(),
                account_rate,
                import_rate,
            ),
            passwords: StudentPasswords::new(db(), random(), credentials, sessions, bulk, account_rate),
        }
    }
}
