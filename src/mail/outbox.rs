//! The outbox, as services use it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr};
use tokio::sync::Notify;

use super::{Composer, Content, templates::Kind};
use crate::{
    db,
    domain::{email::Email, label::Label, language::Language, rate_limit_key::RateLimitKey},
    entity::{outgoing_mail, rate_limit},
    random::RandomSource,
};

/// The maximum number of mails to one address in [`PERIOD`], of those that any client can cause, and of notices.
const LIMIT: i64 = 5;
/// One mail is forgotten in each such period, so that no hour has more than [`LIMIT`].
const PERIOD: TimeDelta = TimeDelta::hours(1);

/// Composes mails, and wakes the job that sends them.
///
/// A service composes a mail before a transaction, calls [`Outbox::enqueue`] in it, and [`Outbox::wake`] after it.
#[derive(Debug, Clone)]
pub struct Outbox {
    composer: Arc<Composer>,
    pub(super) new_mail: Arc<Notify>,
}

impl Outbox {
    /// An outbox whose mails are written by this composer.
    pub fn new(composer: Composer) -> Self {
        Self { composer: Arc::new(composer), new_mail: Arc::default() }
    }

    /// Composes a mail to an address, on behalf of an app.
    pub fn compose(
        &self,
        to: &Email,
        language: Language,
        app: &Label,
        content: Content<'_>,
        now: DateTime<Utc>,
        random: &dyn RandomSource,
    ) -> outgoing_mail::Model {
        self.composer.compose(to, language, app, content, now, random)
    }

    /// Stores a mail, unless its address has received too many in the last hour. Returns whether it did.
    ///
    /// Notices have a count of their own. Otherwise a stranger could ask for five resets, so that the owner is not told of a change.
    pub async fn enqueue(db: &impl ConnectionTrait, mail: outgoing_mail::Model) -> Result<bool, DbErr> {
        let is_notice =
            [Kind::PasswordChanged, Kind::AccountDeleted].iter().any(|kind| kind.name() == mail.kind);
        let key = if is_notice {
            RateLimitKey::notices_to(&mail.recipient)
        } else {
            RateLimitKey::mails_to(&mail.recipient)
        };
        let allowed = count(db, &key, mail.created_at).await?;
        if allowed {
            outgoing_mail::Entity::enqueue(db, mail).await?;
        }
        Ok(allowed)
    }

    /// Does what [`enqueue`](Self::enqueue) does, but sends no mail, so that an address without an account takes the same time as one
    /// with an account. It has a count of its own, so that requests for a reset do not use up the mails for a registration.
    pub async fn pretend(db: &impl ConnectionTrait, to: &Email, now: DateTime<Utc>) -> Result<(), DbErr> {
        if count(db, &RateLimitKey::pretended_mails_to(to), now).await? {
            db::round_trip(db).await?;
        }
        Ok(())
    }

    /// Tells the job of this node that there is a mail, after the transaction that stored it.
    pub fn wake(&self) {
        self.new_mail.notify_one();
    }
}

async fn count(db: &impl ConnectionTrait, key: &RateLimitKey, now: DateTime<Utc>) -> Result<bool, DbErr> {
    rate_limit::Entity::count(db, key, LIMIT, PERIOD.num_milliseconds(), now.timestamp_millis()).await
}
