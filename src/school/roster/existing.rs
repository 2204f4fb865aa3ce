//! The rows of the database that belong to the files.

use std::collections::HashMap;

use sea_orm::DbErr;

use super::model::Roster;
use crate::{
    db::Db,
    domain::{
        email::Email,
        id::{ClassId, UserId},
        mail_domain::MailDomain,
        sourced_id::SourcedId,
    },
    entity::{class, enrollment, roster_row, user},
};

/// Rows that an import made or linked before, or may link now.
#[derive(Debug, Default)]
pub struct Existing {
    /// All accounts, by id.
    pub users: HashMap<UserId, user::Model>,
    /// The accounts with a `sourcedId`. An id of a row of this database counts as the `sourcedId` of that row, if it has none: exported
    /// files have such ids.
    pub users_by_sourced_id: HashMap<SourcedId, UserId>,
    /// Accounts by address.
    pub users_by_address: HashMap<Email, UserId>,
    /// All addresses in the student domain.
    pub user_names: Vec<Email>,
    /// The classes with a `sourcedId`, or with an id of the files.
    pub classes: HashMap<SourcedId, class::Model>,
    /// The enrollments of these classes.
    pub enrollments: HashMap<(ClassId, UserId), enrollment::Model>,
}

impl Existing {
    /// Reads the rows.
    pub async fn read(db: &Db, roster: &Roster, domain: Option<&MailDomain>) -> Result<Self, DbErr> {
        let (db, mut existing) = (db.read(), Self::default());
        let mut users = roster_row::users(db).await?;
        users.extend(roster_row::users_with_ids(db, ids(roster.users.keys())).await?);
        let addresses = roster.users.values().filter_map(|person| person.email.clone());
        users.extend(roster_row::users_with_addresses(db, addresses).await?);
        for user in users {
            let own = SourcedId::parse(&user.id.to_string()).ok();
            if let Some(sourced_id) = user.sourced_id.clone().or(own) {
                existing.users_by_sourced_id.insert(sourced_id, user.id);
            }
            existing.users_by_address.insert(user.email.clone(), user.id);
            existing.users.insert(user.id, user);
        }
        if let Some(domain) = domain {
            existing.user_names = roster_row::addresses_in(db, domain).await?;
        }
        let mut classes = roster_row::classes(db).await?;
        classes.extend(roster_row::classes_with_ids(db, ids(roster.classes.keys())).await?);
        for class in classes {
            let own = SourcedId::parse(&class.id.to_string()).ok();
            if let Some(sourced_id) = class.sourced_id.clone().or(own) {
                existing.classes.insert(sourced_id, class);
            }
        }
        // An enrollment with a `sourcedId` is always one of a class with a `sourcedId`.
        let classes = existing.classes.values().map(|class| class.id);
        let enrollments = roster_row::enrollments_of_classes(db, classes).await?;
        for row in enrollments {
            existing.enrollments.insert((row.class_id, row.student_id), row);
        }
        Ok(existing)
    }
}

/// The ids of this database among the ids of the files.
fn ids<'s, T: std::str::FromStr>(
    sourced_ids: impl Iterator<Item = &'s SourcedId>,
) -> impl Iterator<Item = T> {
    sourced_ids.filter_map(|id| id.as_str().parse().ok())
}
