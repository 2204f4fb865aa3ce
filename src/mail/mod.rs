//! Mails to users: composed with a change, stored in the outbox in its transaction, and sent by a background job.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    domain::{
        account_page::{AccountPage, LinkAction},
        email::Email,
        id::MailId,
        label::Label,
        language::Language,
        secret_token::ConfirmHash,
    },
    entity::outgoing_mail,
    random::RandomSource,
};

/// The lifetime of a link that confirms an address.
pub const CONFIRM_LIFE: TimeDelta = TimeDelta::hours(24);
/// The lifetime of a link that resets a password.
pub const RESET_LIFE: TimeDelta = TimeDelta::minutes(30);
/// The time for which a mail without a link is useful.
const NOTICE_LIFE: TimeDelta = TimeDelta::days(3);

/// The content of a mail.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// Confirm the address of a new account, by a link to the app's page, or by the secret itself if the app has no page.
    Confirm {
        /// The app's page.
        page: Option<&'a AccountPage>,
        /// The secret of the link.
        hash: &'a ConfirmHash,
    },
    /// A registration with an address that has an account already.
    AlreadyRegistered,
    /// Set a new password, by a link to the app's page, or by the secret itself if the app has no page.
    Reset {
        /// The app's page.
        page: Option<&'a AccountPage>,
        /// The secret of the link.
        hash: &'a ConfirmHash,
    },
    /// The password was changed, by the user or by a reset.
    PasswordChanged,
    /// The account was deleted.
    AccountDeleted,
}

/// Composes mails.
#[derive(Debug, Default)]
pub struct Composer {}

impl Composer {
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
        let (kind, life, body) = match content {
            Content::Confirm { page, hash } => {
                ("confirm", CONFIRM_LIFE, link(page, LinkAction::Confirm, hash))
            }
            Content::AlreadyRegistered => ("already-registered", NOTICE_LIFE, String::new()),
            Content::Reset { page, hash } => ("reset", RESET_LIFE, link(page, LinkAction::Reset, hash)),
            Content::PasswordChanged => ("password-changed", NOTICE_LIFE, String::new()),
            Content::AccountDeleted => ("account-deleted", NOTICE_LIFE, String::new()),
        };
        let subject = format!("{kind} {} {}", app.as_str(), language.tag());
        outgoing_mail::Model {
            id: MailId::new(now, random),
            recipient: to.clone(),
            kind: kind.to_owned(),
            subject,
            text_body: body.clone(),
            html_body: body,
            created_at: now,
            expires_at: now + life,
            next_attempt_at: now,
            attempts: 0,
            dead_at: None,
            last_error: None,
        }
    }
}

fn link(page: Option<&AccountPage>, action: LinkAction, hash: &ConfirmHash) -> String {
    page.map_or_else(|| hash.expose().to_owned(), |page| page.link(action, hash))
}
