//! The outbox: mails that wait to be sent, and dead ones, which will not be tried again. A sent mail has no row.

use sea_orm::{IntoActiveModel, QueryOrder, entity::prelude::*};

use crate::domain::{email::Email, id::MailId};

/// A mail. Its bodies contain secrets until it is sent.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outgoing_mails")]
pub struct Model {
    /// The id, from which the `Message-ID` is derived.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MailId,
    /// The recipient.
    pub recipient: Email,
    /// The name of its template, such as `confirm`.
    pub kind: String,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text_body: String,
    /// The HTML.
    pub html_body: String,
    /// The time of the change that the mail is about.
    pub created_at: DateTimeUtc,
    /// From this instant on the mail is useless, because its link has expired.
    pub expires_at: DateTimeUtc,
    /// The earliest time of the next attempt. An attempt in progress moves it, so that no other node sends the mail too.
    pub next_attempt_at: DateTimeUtc,
    /// The number of attempts.
    pub attempts: i32,
    /// The time at which the last attempt failed for good.
    pub dead_at: Option<DateTimeUtc>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingMail").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Puts a mail into the outbox.
    pub async fn enqueue(db: &impl ConnectionTrait, mail: Model) -> Result<(), DbErr> {
        Self::insert(mail.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// Deletes the mails to an address.
    pub async fn delete_to(db: &impl ConnectionTrait, recipient: &Email) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::Recipient.eq(recipient.clone())).exec(db).await?;
        Ok(())
    }

    /// The mails to an address, oldest first.
    pub async fn to(db: &impl ConnectionTrait, recipient: &Email) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::Recipient.eq(recipient.clone())).order_by_asc(Column::Id).all(db).await
    }
}
