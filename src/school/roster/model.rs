//! The content of the files of a roster.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{class_name::ClassName, email::Email, person::PersonName, sourced_id::SourcedId};

/// The format of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OneRoster 1.1 or 1.2.
    OneRoster,
    /// School Data Sync v2.1.
    Sds,
}

/// The content of the files.
#[derive(Debug, Default)]
pub struct Roster {
    /// The teachers and students.
    pub users: BTreeMap<SourcedId, Person>,
    /// Every user in the files who is not deleted, also one of another role. Such an account does not end.
    pub present: BTreeSet<SourcedId>,
    /// The classes.
    pub classes: BTreeMap<SourcedId, Group>,
    /// What an operator should know, in sentences.
    pub notes: Vec<String>,
}

/// A user of the files.
#[derive(Debug, Clone)]
pub struct Person {
    /// The line in `users.csv`.
    pub line: u64,
    /// Teacher or student.
    pub role: Role,
    /// The first name, if the file has one.
    pub first_name: Option<PersonName>,
    /// The last name, if the file has one.
    pub last_name: Option<PersonName>,
    /// The user name in the school's system.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<Email>,
}

/// What a user is at the school.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A student of every class.
    Student,
    /// A teacher of at least one class.
    Teacher,
}

/// A class of the files.
#[derive(Debug, Clone)]
pub struct Group {
    /// The line in `classes.csv`.
    pub line: u64,
    /// The title, cut to the length of a class name.
    pub name: ClassName,
    /// The teacher who owns the class: the primary one, or else the first.
    pub owner: Option<SourcedId>,
    /// Each student with the id of the enrollment.
    pub students: BTreeMap<SourcedId, SourcedId>,
}
