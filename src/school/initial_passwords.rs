//! Generated passwords in place of others: the statements that a reset by a teacher and the login cards share.

use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    domain::{email::Email, rate_limit_key::RateLimitKey},
    entity::{
        audit_event, password_reset, rate_limit, roster_row,
        school_account::{self, InitialPassword},
        session,
    },
};

/// Passwords of students of one class.
#[derive(Debug, Clone)]
pub(super) struct Replacements {
    /// The passwords, with the addresses of their accounts.
    pub(super) passwords: Vec<(InitialPassword, Email)>,
    /// The events of the audit trail.
    pub(super) events: Vec<audit_event::Model>,
}

/// Replaces the passwords, ends the sessions and links of these students, and forgets their failed sign-ins. A student who left or whose
/// password changed meanwhile is the error `RecordNotUpdated`, which undoes the whole transaction.
pub(super) async fn replace(db: &impl ConnectionTrait, replacements: &Replacements) -> Result<(), DbErr> {
    let Replacements { passwords, events } = replacements;
    for (initial, _) in passwords {
        if !school_account::set_initial_password(db, initial).await? {
            return Err(DbErr::RecordNotUpdated);
        }
        password_reset::Entity::revoke_of_user(db, initial.student).await?;
        session::Entity::end_of_user(db, initial.student).await?;
    }
    roster_row::insert::<audit_event::Entity, _>(db, events).await?;
    // Last, because concurrent attempts to sign in may wait for these rows.
    for (_, email) in passwords {
        rate_limit::Entity::forget(db, RateLimitKey::all_of(email)).await?;
    }
    Ok(())
}
