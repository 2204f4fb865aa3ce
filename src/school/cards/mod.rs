//! Login cards: a page of paper from which a pupil signs in for the first time.

pub mod layout;
pub mod pdf;

#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use url::Url;

use self::layout::Card;
use super::{
    credentials::{Credentials, NewPassword},
    initial_passwords::{self, Replacements},
};
use crate::{
    classroom::{
        class_administration::{Student, StudentReader},
        join_codes::join_url,
    },
    db::Db,
    domain::{email::Email, person::PersonName},
    entity::{
        audit_event::{self, Action, Actor},
        class,
        enrollment::{Origin, Status},
        join_code,
        school_account::InitialPassword,
        user::{self, PasswordState},
    },
    identity::password_hashing::HashError,
    random::RandomSource,
};

/// Chooses students, generates their passwords, and stores the hashes.
pub struct Cards {
    db: Db,
    random: Arc<dyn RandomSource>,
    credentials: Credentials,
    join_page: Url,
}

/// Which students get a card.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Also students who have a password of their own.
    pub reset: bool,
    /// Only the student with this user name.
    pub student: Option<Email>,
}

/// The cards of a class.
#[derive(Debug, Clone)]
pub struct ClassCards {
    /// The class.
    pub class: class::Model,
    /// The students with their new passwords, sorted as the roster.
    pub students: Vec<(user::Model, NewPassword)>,
    /// The number of active students who get no card.
    pub left_out: usize,
    /// The address in the QR code.
    link: String,
}

/// Why there are no cards.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A password could not be hashed.
    #[error("the passwords could not be hashed")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Why the passwords of a class were not stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A student left the class, or got another password.
    #[error("a student of the class was changed at the same time")]
    Changed,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Cards {
    /// Creates the service. The QR codes lead to `join_page`.
    pub fn new(db: Db, random: Arc<dyn RandomSource>, credentials: Credentials, join_page: Url) -> Self {
        Self { db, random, credentials, join_page }
    }

    /// Chooses the students of classes, and generates their passwords. Nothing is stored. A student of several classes gets one card.
    /// `progress` gets the number of passwords that are ready, and of all.
    pub async fn prepare(
        &self,
        classes: Vec<class::Model>,
        choice: &Choice,
        now: DateTime<Utc>,
        progress: impl Fn(usize, usize),
    ) -> Result<Vec<ClassCards>, PrepareError> {
        let (mut chosen, mut seen) = (Vec::new(), HashSet::new());
        for class in classes {
            let (mut students, mut left_out) = (Vec::new(), 0);
            let mut reader = StudentReader::new(self.db.clone(), class.id, Status::Active);
            loop {
                let page = reader.next().await?;
                if page.is_empty() {
                    break;
                }
                for student in page {
                    if !choice.admits(&student) {
                        left_out += 1;
                    } else if seen.insert(student.1.id) {
                        students.push(student.1);
                    }
                }
            }
            let link = self.link(&class, now).await?;
            chosen.push((class, students, left_out, link));
        }
        let all = chosen.iter().map(|(_, students, ..)| students.len()).sum();
        let passwords = self.credentials.passwords(all, |done| progress(done, all)).await?;
        let mut passwords = passwords.into_iter();
        let cards = chosen.into_iter().map(|(class, students, left_out, link)| {
            let students = students.into_iter().zip(passwords.by_ref()).collect();
            ClassCards { class, students, left_out, link }
        });
        Ok(cards.collect())
    }

    /// The join page, with the code of the class if it has a valid one.
    async fn link(&self, class: &class::Model, now: DateTime<Utc>) -> Result<String, DbErr> {
        let code = if class.is_active {
            join_code::Entity::find_valid(self.db.read(), class.id, now).await?
        } else {
            None
        };
        let link = code.map_or_else(|| self.join_page.clone(), |row| join_url(&self.join_page, &row.code));
        Ok(link.into())
    }

    /// Stores the passwords of a class, all or none. The sessions of the students end.
    pub async fn commit(&self, cards: &ClassCards, now: DateTime<Utc>) -> Result<(), CommitError> {
        let event = |action| {
            let event = audit_event::Model::new(action, now, &*self.random).by(Actor::Operator);
            event.class(cards.class.id)
        };
        let passwords = cards.students.iter().map(|(user, password)| {
            let initial = InitialPassword {
                student: user.id,
                class: cards.class.id,
                owner: None,
                version: user.password_version,
                password_hash: password.hash.clone(),
            };
            (initial, user.email.clone())
        });
        let users = || cards.students.iter().map(|(user, _)| user.id);
        let changes = users().map(|user| event(Action::PasswordChange).user(user));
        let unlocks = users().map(|user| event(Action::Unlock).user(user));
        let events = changes.chain(unlocks).chain([event(Action::Cards)]);
        let job = Replacements { passwords: passwords.collect(), events: events.collect() };
        let replace = self.db.transaction(job, |db, job| Box::pin(initial_passwords::replace(db, job)));
        match replace.await {
            Ok(()) => Ok(()),
            Err(DbErr::RecordNotUpdated) => Err(CommitError::Changed),
            Err(error) => Err(error.into()),
        }
    }
}

impl Choice {
    fn admits(&self, (enrollment, user): &Student) -> bool {
        // A student who joined with a code is as safe from the operator's print run as from the owner of the class.
        let of_school = user.school_account && user.enabled && enrollment.origin != Origin::JoinCode;
        let is_named = self.student.as_ref().is_none_or(|email| *email == user.email);
        of_school && is_named && (self.reset || user.password_state != PasswordState::Own)
    }
}

impl ClassCards {
    /// The cards, as they are printed.
    pub fn cards(&self) -> impl Iterator<Item = Card> {
        self.students.iter().map(|(user, password)| {
            let names = [&user.first_name, &user.last_name].into_iter().flatten();
            Card {
                class: self.class.name.as_str().to_owned(),
                name: names.map(PersonName::as_str).collect::<Vec<_>>().join(" "),
                user_name: user.email.clone(),
                password: password.password.clone(),
                link: self.link.clone(),
            }
        })
    }
}
