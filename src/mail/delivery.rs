//! Where mails go: to an SMTP server, or to files.

use std::fmt::Display;

use super::{
    OutboxDirectory, SmtpServer,
    message::{self, MailFrom},
};
use crate::entity::outgoing_mail;

/// Where mails go.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// To an SMTP server.
    Smtp(SmtpServer),
    /// To files on this machine.
    Files(OutboxDirectory),
}

/// Why an attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{step}: {detail}")]
pub struct Failure {
    /// The step that failed. Logs show it.
    pub step: &'static str,
    /// The code of the server's answer. Logs show it.
    pub code: Option<u16>,
    /// The error, which may contain an answer of the server and in it the address.
    detail: String,
    /// Whether another attempt would fail in the same way.
    pub is_permanent: bool,
}

impl Failure {
    /// A failure that another attempt may not have.
    pub(super) fn temporary(step: &'static str, detail: impl Display) -> Self {
        Self { step, code: None, detail: detail.to_string(), is_permanent: false }
    }

    /// A failure that every attempt would have.
    pub(super) fn permanent(step: &'static str, detail: impl Display) -> Self {
        Self { is_permanent: true, ..Self::temporary(step, detail) }
    }

    /// A failure of SMTP. An answer of 500 to 599 is permanent (RFC 5321 section 4.2.1).
    pub(super) fn smtp(step: &'static str, error: &lettre::transport::smtp::Error) -> Self {
        let code = error.status().map(u16::from);
        Self { step, code, detail: error.to_string(), is_permanent: error.is_permanent() }
    }

    /// The same failure, for a step that does not depend on the mail.
    pub(super) fn retryable(self) -> Self {
        Self { is_permanent: false, ..self }
    }
}

impl Delivery {
    /// Delivers a mail, and returns once another party, or the disk, has it.
    pub(super) async fn deliver(&self, mail: &outgoing_mail::Model, from: &MailFrom) -> Result<(), Failure> {
        let message = message::format(mail, from)?;
        match self {
            Self::Smtp(server) => server.send(from.address(), &message::recipient(mail)?, &message).await,
            Self::Files(directory) => directory.write(mail, message).await,
        }
    }
}
