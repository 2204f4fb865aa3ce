//! Passwords of students: the first one of an imported account, and a new one for a student who forgot it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    bulk::{Bulk, BulkBusy},
    credentials::{Credentials, NewPassword},
    initial_passwords::{self, Replacements},
    ownership::{self, OwnershipError},
    students::Added,
};
use crate::{
    classroom::rosters::{RosterRow, View},
    db::{self, Db},
    domain::{
        email::Email,
        id::{ClassId, UserId},
        word_password::WordPassword,
    },
    entity::{
        audit_event::{self, Action},
        enrollment, roster_row,
        school_account::{self, InitialPassword},
        user::{self, PasswordState},
    },
    identity::{password_hashing::HashError, sessions::Sessions},
    random::RandomSource,
    rate_limit::{
        limiter::{self, LimitError, Limiter},
        policies,
    },
};

/// The accounts of one transaction, so that it is short also on a distant database.
const ACCOUNTS: usize = 50;

/// Generates passwords for students of a class.
pub struct StudentPasswords {
    db: Db,
    random: Arc<dyn RandomSource>,
    credentials: Credentials,
    sessions: Arc<Sessions>,
    limiter: Limiter,
    bulk: Bulk,
    account_rate: u32,
}

/// The reason why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The user may not do this with the class.
    #[error(transparent)]
    Class(#[from] OwnershipError),
    /// The teacher sent too many requests.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The class has no such active student.
    #[error("the class has no such active student")]
    NoSuchStudent,
    /// The school did not make the account, or the student joined the class with a code.
    #[error("the school did not make the account, or the student joined with a code")]
    NotSchoolAccount,
    /// Another request changed the password or the enrollment at the same time.
    #[error("the account was changed at the same time")]
    Changed,
    /// The password was not hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why no passwords were generated.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The user may not do this with the class.
    #[error(transparent)]
    Class(#[from] OwnershipError),
    /// The teacher sent too many requests.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Another request makes many accounts now.
    #[error(transparent)]
    Busy(#[from] BulkBusy),
    /// The passwords were not hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why one student got no first password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The class has no such active student.
    #[error("not in this class")]
    NotInClass,
    /// The student joined the class with a code.
    #[error("joined this class with a code")]
    JoinedWithCode,
    /// The school did not make the account.
    #[error("the school did not make this account")]
    NotSchoolAccount,
    /// The account has a password.
    #[error("has a password already; reset it instead")]
    HasPassword,
    /// Another request changed the account or the enrollment at the same time, or the database failed.
    #[error("was not stored; try again")]
    NotStored,
}

/// A student with a first password.
#[derive(Debug, Clone)]
pub struct FirstPassword {
    /// The student.
    pub student: UserId,
    /// The user name.
    pub user_name: Email,
    /// The password, to show it once.
    pub password: WordPassword,
}

/// The outcome for several students.
#[derive(Debug, Clone, Default)]
pub struct FirstPasswords {
    /// The students with a first password, in the order of the request.
    pub created: Vec<FirstPassword>,
    /// The others, as the request names them, with the reason.
    pub failed: Vec<(String, Refusal)>,
}

impl StudentPasswords {
    /// Creates the service. The rate is a number of requests of one teacher at once, and then per hour. 0 is no limit.
    pub(super) fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        credentials: Credentials,
        sessions: Arc<Sessions>,
        bulk: Bulk,
        account_rate: u32,
    ) -> Self {
        let limiter = Limiter::new(db.clone());
        Self { db, random, credentials, sessions, limiter, bulk, account_rate }
    }

    /// Replaces the password of a student by a generated one, on behalf of the owner of a class. Ends the student's sessions, and
    /// forgets failed sign-ins.
    ///
    /// A student who joined with a code is refused: a class and a code cost nothing, and must not give power over an account.
    /// `None` is the id of no student.
    pub async fn reset(
        &self,
        class: ClassId,
        owner: UserId,
        student: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<Added, ResetError> {
        ownership::check(&self.db, "resetStudentPassword", class, owner).await?;
        self.count(owner, now).await?;
        let student = student.ok_or(ResetError::NoSuchStudent)?;
        let found = school_account::students(self.db.read(), class, &[student]).await?.pop();
        let (enrollment, user) = found.ok_or(ResetError::NoSuchStudent)?;
        if !user.school_account || enrollment.origin == enrollment::Origin::JoinCode {
            return Err(ResetError::NotSchoolAccount);
        }
        let NewPassword { password, hash } = self.credentials.password().await?;
        let event = |action| self.event(action, student, class, owner, now);
        let initial = InitialPassword {
            student,
            class,
            owner: Some(owner),
            version: user.password_version,
            password_hash: hash,
        };
        let replacements = Replacements {
            passwords: vec![(initial, user.email.clone())],
            events: vec![event(Action::PasswordChange), event(Action::Unlock)],
        };
        let replace =
            self.db.transaction(replacements, |db, job| Box::pin(initial_passwords::replace(db, job)));
        match Box::pin(replace).await {
            Ok(()) => {}
            Err(DbErr::RecordNotUpdated) => return Err(ResetError::Changed),
            Err(error) => return Err(error.into()),
        }
        self.sessions.forget_user(student);
        Ok(Added { row: RosterRow { user, enrollment, view: View::Full }, password })
    }

    /// Generates the first passwords of accounts that have none, on behalf of the owner of a class. Other accounts are named with the
    /// reason.
    pub async fn create(
        &self,
        class: ClassId,
        owner: UserId,
        ids: Vec<String>,
        now: DateTime<Utc>,
    ) -> Result<FirstPasswords, AccountsError> {
        ownership::check(&self.db, "bulkCreateStudentAccounts", class, owner).await?;
        // First, so that a request that finds no permit costs the teacher nothing.
        let _permit = self.bulk.begin().await?;
        self.count(owner, now).await?;
        let mut outcome = FirstPasswords::default();
        let mut chosen: Vec<(String, user::Model)> = Vec::new();
        let students: Vec<UserId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let mut rows: HashMap<UserId, _> = school_account::students(self.db.read(), class, &students)
            .await?
            .into_iter()
            .map(|row| (row.1.id, row))
            .collect();
        for id in ids {
            let row = id.parse().ok().and_then(|id: UserId| rows.remove(&id));
            match first_password(row) {
                Ok(user) => chosen.push((id, user)),
                Err(refusal) => outcome.failed.push((id, refusal)),
            }
        }
        let passwords = self.credentials.passwords(chosen.len(), |_| ()).await?;
        let jobs = chosen.iter().zip(&passwords).map(|((_, user), password)| {
            let initial = InitialPassword {
                student: user.id,
                class,
                owner: Some(owner),
                version: user.password_version,
                password_hash: password.hash.clone(),
            };
            (initial, self.event(Action::PasswordChange, user.id, class, owner, now))
        });
        let mut jobs: Vec<_> = jobs.collect();
        // Requests lock accounts in the same order, which excludes deadlocks between them.
        jobs.sort_by_key(|(initial, _)| initial.student);
        let mut done = HashSet::new();
        for jobs in jobs.chunks(ACCOUNTS) {
            let set = self.db.transaction(jobs.to_vec(), |db, jobs| Box::pin(set_first_passwords(db, jobs)));
            match Box::pin(set).await {
                Ok(set) => done.extend(set),
                // The passwords that are stored have to be shown.
                Err(error) if !done.is_empty() => {
                    tracing::warn!(error = db::causes(&error), "some first passwords were not stored");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        for ((id, user), password) in chosen.into_iter().zip(passwords) {
            if done.contains(&user.id) {
                let (student, user_name) = (user.id, user.email);
                outcome.created.push(FirstPassword { student, user_name, password: password.password });
            } else {
                outcome.failed.push((id, Refusal::NotStored));
            }
        }
        Ok(outcome)
    }

    async fn count(&self, owner: UserId, now: DateTime<Utc>) -> Result<(), LimitError> {
        let count = policies::student_accounts_by(owner, self.account_rate);
        self.limiter.count(limiter::Action::MakeStudentAccounts, count, now).await
    }

    fn event(
        &self,
        action: Action,
        student: UserId,
        class: ClassId,
        owner: UserId,
        now: DateTime<Utc>,
    ) -> audit_event::Model {
        audit_event::Model::new(action, now, &*self.random).user(student).by_owner(owner).class(class)
    }
}

/// The account of a student, if it may get its first password.
fn first_password(row: Option<(enrollment::Model, user::Model)>) -> Result<user::Model, Refusal> {
    let (enrollment, user) = row.ok_or(Refusal::NotInClass)?;
    if enrollment.origin == enrollment::Origin::JoinCode {
        Err(Refusal::JoinedWithCode)
    } else if !user.school_account {
        Err(Refusal::NotSchoolAccount)
    } else if user.password_state != PasswordState::None {
        Err(Refusal::HasPassword)
    } else {
        Ok(user)
    }
}

/// Sets first passwords, and returns the students that got one.
async fn set_first_passwords(
    db: &impl ConnectionTrait,
    jobs: &[(InitialPassword, audit_event::Model)],
) -> Result<HashSet<UserId>, DbErr> {
    let (mut done, mut events) = (HashSet::new(), Vec::new());
    for (initial, event) in jobs {
        if school_account::set_initial_password(db, initial).await? {
            events.push(event.clone());
            done.insert(initial.student);
        }
    }
    // One statement for all, because a statement can take milliseconds on its way to the database.
    roster_row::insert::<audit_event::Entity, _>(db, &events).await?;
    Ok(done)
}
