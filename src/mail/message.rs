//! Mails in the format of RFC 5322.

use std::{str::FromStr, time::SystemTime};

use lettre::{
    Address, Message,
    address::AddressError,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::Failure;
use crate::entity::outgoing_mail;

/// The sender of all mails: an address, with or without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom(Mailbox);

/// The text is not a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, or a name and an address as in `Homeroom <noreply@school.example>`")]
pub struct InvalidFrom;

impl FromStr for MailFrom {
    type Err = InvalidFrom;

    /// Parses `ADDRESS` or `NAME <ADDRESS>`.
    fn from_str(text: &str) -> Result<Self, InvalidFrom> {
        if text.chars().any(char::is_control) {
            return Err(InvalidFrom);
        }
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(text) => text.rsplit_once('<').ok_or(InvalidFrom)?,
            None => ("", text.trim()),
        };
        let name = name.trim().trim_matches('"').trim();
        let address = address.parse::<Address>().map_err(|_| InvalidFrom)?;
        Ok(Self(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address)))
    }
}

impl MailFrom {
    /// The address of the envelope, to which failures are reported.
    pub fn address(&self) -> &Address {
        &self.0.email
    }
}

/// The address of the envelope.
pub fn recipient(mail: &outgoing_mail::Model) -> Result<Address, Failure> {
    let invalid = |error: AddressError| Failure::permanent("the address", error);
    mail.recipient.as_str().parse().map_err(invalid)
}

/// The mail in ASCII. Its `Message-ID` is the same at each attempt, so that servers can recognize a repetition.
pub fn format(mail: &outgoing_mail::Model, from: &MailFrom) -> Result<Vec<u8>, Failure> {
    // RFC 3834: automatic answers, such as those of absent recipients, are not sent to such mails.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let message = Message::builder()
        .from(from.0.clone())
        .to(Mailbox::new(None, recipient(mail)?))
        .subject(mail.subject.clone())
        .date(SystemTime::from(mail.created_at))
        .message_id(Some(format!("<{}@{}>", mail.id, from.address().domain())))
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(mail.text_body.clone(), mail.html_body.clone()));
    message.map(|message| message.formatted()).map_err(|error| Failure::permanent("the message", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_from_with_or_without_name_keeps_both() {
        for (text, name, address) in [
            ("noreply@school.example", None, "noreply@school.example"),
            ("Homeroom <noreply@school.example>", Some("Homeroom"), "noreply@school.example"),
            ("\"Schule, Nord\" <a@b.example>", Some("Schule, Nord"), "a@b.example"),
            ("Trường học <a@b.example>", Some("Trường học"), "a@b.example"),
            (" <homeroom@localhost> ", None, "homeroom@localhost"),
        ] {
            let MailFrom(mailbox) = text.parse().unwrap();
            assert_eq!((mailbox.name.as_deref(), mailbox.email.to_string().as_str()), (name, address));
        }
        for text in
            ["", "Homeroom", "a@b.example, c@d.example", "A <a@b.example", "A <>", "a\r\nb <a@b.example>"]
        {
            assert_eq!(text.parse::<MailFrom>(), Err(InvalidFrom), "{text:?}");
        }
    }
}
