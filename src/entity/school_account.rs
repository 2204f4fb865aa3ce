//! Statements on the accounts that the school makes.

use std::collections::HashSet;

use sea_orm::{
    QuerySelect, QueryTrait,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};

use super::{
    audit_event, class,
    enrollment::{self, Origin, Status},
    roster_row,
    seat::{self, NoSeat},
    user::{self, PasswordState},
};
use crate::domain::{
    email::Email,
    id::{ClassId, UserId},
    password::PasswordHash,
};

/// The number of values of one statement.
const CHUNK: usize = 500;

/// New accounts of a class, with their enrollments and events.
#[derive(Debug, Clone)]
pub struct NewAccounts {
    /// The class.
    pub class: ClassId,
    /// Its owner.
    pub owner: UserId,
    /// The accounts.
    pub users: Vec<user::Model>,
    /// Their enrollments in the class.
    pub enrollments: Vec<enrollment::Model>,
    /// The events of the audit trail.
    pub events: Vec<audit_event::Model>,
}

/// A generated password for a student of a class.
#[derive(Debug, Clone)]
pub struct InitialPassword {
    /// The student.
    pub student: UserId,
    /// The class in which the school or its owner put the student.
    pub class: ClassId,
    /// The owner of the class. `None` on behalf of an operator.
    pub owner: Option<UserId>,
    /// The version of the password that is replaced.
    pub version: i32,
    /// The hash of the new password.
    pub password_hash: PasswordHash,
}

/// Those of the addresses that have an account.
pub async fn taken(db: &impl ConnectionTrait, addresses: &[Email]) -> Result<HashSet<Email>, DbErr> {
    let mut taken = HashSet::new();
    for addresses in addresses.chunks(CHUNK) {
        let found = user::Entity::find()
            .select_only()
            .column(user::Column::Email)
            .filter(user::Column::Email.is_in(addresses.iter().cloned()));
        let found: Vec<Email> = found.into_tuple().all(db).await?;
        taken.extend(found);
    }
    Ok(taken)
}

/// Inserts accounts and enrolls them, or returns why the class has no seats for them. A taken address is a violation of a unique
/// constraint.
pub async fn add(db: &impl ConnectionTrait, new: &NewAccounts) -> Result<Option<NoSeat>, DbErr> {
    let NewAccounts { class, owner, users, enrollments, events } = new;
    enrollment::Entity::lock_class(db, *class).await?;
    let reason = seat::no_seats(db, *class, *owner, users.len()).await?;
    if reason.is_none() {
        roster_row::insert::<user::Entity, _>(db, users).await?;
        roster_row::insert::<enrollment::Entity, _>(db, enrollments).await?;
        roster_row::insert::<audit_event::Entity, _>(db, events).await?;
    }
    Ok(reason)
}

/// The active students of a class among these, with their enrollments.
pub async fn students(
    db: &impl ConnectionTrait,
    class: ClassId,
    students: &[UserId],
) -> Result<Vec<(enrollment::Model, user::Model)>, DbErr> {
    let mut found = Vec::new();
    for students in students.chunks(CHUNK) {
        let rows = enrollment::Entity::find()
            .filter(enrollment::Column::ClassId.eq(class))
            .filter(enrollment::Column::StudentId.is_in(students.iter().copied()))
            .filter(enrollment::Column::Status.eq(Status::Active))
            .find_also_related(user::Entity);
        // The foreign key guarantees the account.
        found.extend(rows.all(db).await?.into_iter().filter_map(|(row, student)| Some((row, student?))));
    }
    Ok(found)
}

/// Replaces the password of a school account by a generated one. Returns whether it did: not if the password was changed since its
/// version was read, and not if the student left the class or joined it with a code.
pub async fn set_initial_password(
    db: &impl ConnectionTrait,
    initial: &InitialPassword,
) -> Result<bool, DbErr> {
    let InitialPassword { student, class, owner, version, password_hash } = initial;
    let mut enrolled = enrollment::Entity::find()
        .select_only()
        .column(enrollment::Column::StudentId)
        .filter(enrollment::Column::ClassId.eq(*class))
        .filter(enrollment::Column::StudentId.eq(*student))
        .filter(enrollment::Column::Status.eq(Status::Active))
        .filter(enrollment::Column::Origin.is_in([Origin::Owner, Origin::Roster]));
    if let Some(owner) = owner {
        let owned = class::Entity::find_by_id(*class)
            .select_only()
            .column(class::Column::Id)
            .filter(class::Column::OwnerId.eq(*owner));
        enrolled = enrolled.filter(enrollment::Column::ClassId.in_subquery(owned.into_query()));
    }
    let changed = user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, Expr::value(password_hash.clone()))
        .col_expr(user::Column::PasswordVersion, Expr::col(user::Column::PasswordVersion).add(1))
        .col_expr(user::Column::PasswordState, Expr::value(PasswordState::Initial))
        .filter(user::Column::Id.eq(*student))
        .filter(user::Column::PasswordVersion.eq(*version))
        .filter(user::Column::SchoolAccount.eq(true))
        .filter(user::Column::Id.in_subquery(enrolled.into_query()));
    Ok(changed.exec(db).await?.rows_affected == 1)
}
