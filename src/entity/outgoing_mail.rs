//! The outbox: mails that wait to be sent, and dead ones, which will not be tried again. A sent mail has no row.

use sea_orm::{
    Condition, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

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

/// A mail after a number of attempts. Each claim increments the number, so that a worker whose lease has expired changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    id: MailId,
    number: i32,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The mail was sent.
    Sent,
    /// The mail is tried again.
    Failed {
        /// The time of the next attempt.
        next: DateTimeUtc,
        /// Why the attempt failed.
        error: String,
    },
    /// The mail is not tried again.
    Dead {
        /// The time of the attempt.
        now: DateTimeUtc,
        /// Why the attempt failed.
        error: String,
    },
}

/// The number of mails in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mails that wait for an attempt, or are being sent.
    pub waiting: u64,
    /// Mails that will not be tried again.
    pub dead: u64,
}

impl Entity {
    /// Puts a mail into the outbox. Services call [`Outbox::enqueue`](crate::mail::Outbox::enqueue), which limits the mails of an
    /// address.
    pub async fn enqueue(db: &impl ConnectionTrait, mail: Model) -> Result<(), DbErr> {
        Self::insert(mail.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// The mails whose next attempt is due, the longest due first.
    pub async fn due(db: &impl ConnectionTrait, now: DateTimeUtc, limit: u64) -> Result<Vec<Attempt>, DbErr> {
        let due: Vec<(MailId, i32)> = Self::find()
            .select_only()
            .columns([Column::Id, Column::Attempts])
            .filter(Column::DeadAt.is_null())
            .filter(Column::NextAttemptAt.lte(now))
            .order_by_asc(Column::NextAttemptAt)
            .limit(limit)
            .into_tuple()
            .all(db)
            .await?;
        Ok(due.into_iter().map(|(id, number)| Attempt { id, number }).collect())
    }

    /// Claims a mail until an instant. Of concurrent calls, at most one returns the claim.
    pub async fn claim(
        db: &impl ConnectionTrait,
        due: Attempt,
        until: DateTimeUtc,
    ) -> Result<Option<Attempt>, DbErr> {
        let claimed = Attempt { number: due.number + 1, ..due };
        let claim = Self::update_many()
            .col_expr(Column::Attempts, Expr::value(claimed.number))
            .col_expr(Column::NextAttemptAt, Expr::value(until))
            .filter(at(due))
            .exec(db);
        Ok((claim.await?.rows_affected == 1).then_some(claimed))
    }

    /// The mail of a claim, unless it was deleted.
    pub async fn find_claimed(
        db: &impl ConnectionTrait,
        Attempt { id, number }: Attempt,
    ) -> Result<Option<Model>, DbErr> {
        Self::find_by_id(id).filter(Column::Attempts.eq(number)).one(db).await
    }

    /// Extends a claim, as the attempt is not over.
    pub async fn renew(db: &impl ConnectionTrait, attempt: Attempt, until: DateTimeUtc) -> Result<(), DbErr> {
        let renewal =
            Self::update_many().col_expr(Column::NextAttemptAt, Expr::value(until)).filter(at(attempt));
        renewal.exec(db).await?;
        Ok(())
    }

    /// Ends an attempt. A dead mail loses its bodies, which may contain secrets.
    pub async fn end(db: &impl ConnectionTrait, attempt: Attempt, outcome: &Outcome) -> Result<(), DbErr> {
        match outcome {
            Outcome::Sent => {
                Self::delete_many().filter(at(attempt)).exec(db).await?;
            }
            Outcome::Failed { next, error } => {
                Self::update_many()
                    .col_expr(Column::NextAttemptAt, Expr::value(*next))
                    .col_expr(Column::LastError, Expr::value(error))
                    .filter(at(attempt))
                    .exec(db)
                    .await?;
            }
            Outcome::Dead { now, error } => {
                Self::update_many()
                    .col_expr(Column::DeadAt, Expr::value(*now))
                    .col_expr(Column::LastError, Expr::value(error))
                    .col_expr(Column::TextBody, Expr::value(""))
                    .col_expr(Column::HtmlBody, Expr::value(""))
                    .filter(at(attempt))
                    .exec(db)
                    .await?;
            }
        }
        Ok(())
    }

    /// Deletes all mails to an address, because its account is deleted.
    pub async fn delete_to(db: &impl ConnectionTrait, recipient: &Email) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::Recipient.eq(recipient.clone())).exec(db).await?;
        Ok(())
    }

    /// The mails to an address, oldest first.
    pub async fn to(db: &impl ConnectionTrait, recipient: &Email) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::Recipient.eq(recipient.clone())).order_by_asc(Column::Id).all(db).await
    }

    /// The number of waiting and of dead mails.
    pub async fn counts(db: &impl ConnectionTrait) -> Result<Counts, DbErr> {
        let waiting = Self::find().filter(Column::DeadAt.is_null()).count(db).await?;
        let dead = Self::find().filter(Column::DeadAt.is_not_null()).count(db).await?;
        Ok(Counts { waiting, dead })
    }

    /// The waiting mail whose last attempt failed and that is in the outbox for the longest time.
    pub async fn oldest_failed(db: &impl ConnectionTrait) -> Result<Option<Model>, DbErr> {
        let failed = Self::find().filter(Column::DeadAt.is_null()).filter(Column::LastError.is_not_null());
        failed.order_by_asc(Column::CreatedAt).one(db).await
    }

    /// The mail that died last.
    pub async fn newest_dead(db: &impl ConnectionTrait) -> Result<Option<Model>, DbErr> {
        Self::find().filter(Column::DeadAt.is_not_null()).order_by_desc(Column::DeadAt).one(db).await
    }

    /// Deletes up to `limit` mails that died before `before`, and returns their number.
    pub async fn sweep(db: &impl ConnectionTrait, before: DateTimeUtc, limit: u64) -> Result<u64, DbErr> {
        let mut dead = Self::find()
            .filter(Column::DeadAt.lte(before))
            .limit(limit)
            .select_only()
            .column(Column::Id)
            .into_query();
        dead.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        Ok(Self::delete_many().filter(Column::Id.in_subquery(dead)).exec(db).await?.rows_affected)
    }
}

/// The row of a mail that is alive and has not been claimed since.
fn at(Attempt { id, number }: Attempt) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::Attempts.eq(number)).add(Column::DeadAt.is_null())
}
