//! Mails to users: composed with a change, stored in the outbox in its transaction, and sent by a background job.

mod composer;
mod delivery;
mod files;
mod message;
mod outbox;
mod sender;
mod smtp;
mod smtp_url;
mod templates;

use chrono::TimeDelta;

pub use self::{
    composer::{Composer, Content},
    delivery::{Delivery, Failure},
    files::OutboxDirectory,
    message::{InvalidFrom, MailFrom},
    outbox::Outbox,
    sender::Sender,
    smtp::{SmtpServer, SmtpSettingsError},
    smtp_url::{Encryption, InvalidSmtpUrl, SmtpUrl},
    templates::TemplateError,
};

/// The lifetime of a link that confirms an address.
pub const CONFIRM_LIFE: TimeDelta = TimeDelta::hours(24);
/// The lifetime of a link that resets a password.
pub const RESET_LIFE: TimeDelta = TimeDelta::minutes(30);
/// The time for which a mail without a link is useful.
const NOTICE_LIFE: TimeDelta = TimeDelta::days(3);

/// The operator's settings of mails.
#[derive(Debug)]
pub struct Settings {
    /// Writes the mails.
    pub composer: Composer,
    /// The sender in their header.
    pub from: MailFrom,
    /// Where they go.
    pub delivery: Delivery,
}
