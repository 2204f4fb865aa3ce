//! All data about one person, for a request of access (GDPR article 15).

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use super::accounts::operator_event;
use crate::{
    db::Db,
    entity::{
        audit_event::{self, Action},
        authorization_code, class, enrollment, outgoing_mail, password_reset, policy_acceptance,
        registration,
        session::{self, Selection},
        user,
    },
    random::RandomSource,
};

/// Everything that the database has about a person, with the secrets of the rows.
#[derive(Debug)]
pub struct Export {
    /// The account and its profile.
    pub account: user::Model,
    /// The sessions that have not ended.
    pub sessions: Vec<session::Model>,
    /// The authorization codes of recent sign-ins.
    pub codes: Vec<authorization_code::Model>,
    /// The accepted privacy policies.
    pub acceptances: Vec<policy_acceptance::Model>,
    /// The classes that the person owns.
    pub classes: Vec<class::Model>,
    /// The classes that the person joined.
    pub enrollments: Vec<enrollment::Model>,
    /// The events in the audit trail.
    pub events: Vec<audit_event::Model>,
    /// The mails that wait or could not be sent.
    pub mails: Vec<outgoing_mail::Model>,
    /// The registrations that wait for a confirmation.
    pub registrations: Vec<registration::Model>,
    /// The password resets that wait for a new password.
    pub resets: Vec<password_reset::Model>,
}

/// Collects all data about the owner of an account on behalf of an operator, and records it in the audit trail.
pub async fn export(
    db: &Db,
    account: user::Model,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> Result<Export, DbErr> {
    let event = operator_event(Action::AccountExport, account.id, now, random);
    let collect = db.transaction((account, event), move |db, (account, event)| {
        Box::pin(async move {
            audit_event::Entity::record(db, event.clone()).await?;
            collect(db, account, now).await
        })
    });
    collect.await
}

async fn collect(
    db: &impl ConnectionTrait,
    account: &user::Model,
    now: DateTime<Utc>,
) -> Result<Export, DbErr> {
    let user = account.id;
    let selection = Selection { user: Some(user), ..Selection::default() };
    let sessions = session::Entity::select_active(db, selection, now).await?;
    Ok(Export {
        account: account.clone(),
        sessions: sessions.into_iter().map(|(session, _)| session).collect(),
        codes: authorization_code::Entity::of_user(db, user).await?,
        acceptances: policy_acceptance::Entity::of_user(db, user).await?,
        classes: class::Entity::of_owner(db, user).await?,
        enrollments: enrollment::Entity::of_student(db, user).await?,
        events: audit_event::Entity::of_user(db, user).await?,
        mails: outgoing_mail::Entity::to(db, &account.email).await?,
        registrations: registration::Entity::of_address(db, &account.email).await?,
        resets: password_reset::Entity::of_user(db, user).await?,
    })
}
