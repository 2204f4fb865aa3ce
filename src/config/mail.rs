//! The flags of mails.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::secret_file;
use crate::mail::{
    Composer, Delivery, InvalidSmtpUrl, MailFrom, OutboxDirectory, Settings, SmtpServer, SmtpSettingsError,
    SmtpUrl, TemplateError,
};

/// The sender of mails in files.
const FROM_THIS_MACHINE: &str = "Homeroom <homeroom@localhost>";

/// Mails to users.
#[derive(Debug, Clone, Args)]
pub struct Mail {
    /// The SMTP server that sends mails: `smtp://USER:PASSWORD@HOST` (port 587, STARTTLS) or `smtps://USER:PASSWORD@HOST` (port
    /// 465, TLS). `?tls=none` turns encryption off, for a server on this machine only [default: none; mails are written to files in
    /// the directory `outbox` of the data directory]
    #[arg(
        long,
        env = "HOMEROOM_SMTP_URL",
        value_name = "URL",
        hide_env_values = true,
        requires = "mail_from"
    )]
    pub smtp_url: Option<SecretString>,

    /// A file that contains the URL of the SMTP server, such as a container secret, instead of --smtp-url [default: none]
    #[arg(
        long,
        env = "HOMEROOM_SMTP_URL_FILE",
        value_name = "FILE",
        conflicts_with = "smtp_url",
        requires = "mail_from"
    )]
    pub smtp_url_file: Option<PathBuf>,

    /// The name of this machine in the SMTP command EHLO. Some servers require a name that DNS knows [default: the host name]
    #[arg(long, env = "HOMEROOM_SMTP_EHLO_NAME", value_name = "NAME", value_parser = ehlo_name)]
    pub smtp_ehlo_name: Option<String>,

    /// The certificate authorities of the SMTP server, as PEM [default: those that Mozilla trusts]
    #[arg(long, env = "HOMEROOM_SMTP_CA", value_name = "FILE")]
    pub smtp_ca: Option<PathBuf>,

    /// The sender of all mails: an address, or `NAME <ADDRESS>`. Required with an SMTP server [default: Homeroom
    /// at localhost, for a server without SMTP]
    #[arg(long, env = "HOMEROOM_MAIL_FROM", value_name = "SENDER", value_parser = mail_from)]
    pub mail_from: Option<MailFrom>,

    /// A directory with templates that replace built-in ones of the same name, such as `de/reset.txt` [default: none]
    #[arg(long, env = "HOMEROOM_MAIL_TEMPLATES", value_name = "DIR")]
    pub mail_templates: Option<PathBuf>,
}

/// Why [`Mail::settings`] failed.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The URL is invalid.
    #[error("--smtp-url: {0}")]
    Url(InvalidSmtpUrl),
    /// The file does not contain a valid URL.
    #[error("--smtp-url-file {}: {cause}", path.display())]
    UrlInFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: InvalidSmtpUrl,
    },
    /// The file cannot be read.
    #[error("--smtp-url-file {} cannot be read: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The certificate authorities or the host name cannot be used.
    #[error("--smtp-ca: {0}")]
    Server(#[from] SmtpSettingsError),
    /// A template cannot be used.
    #[error("--mail-templates: {0}")]
    Templates(#[from] TemplateError),
}

impl Mail {
    /// The settings of mails, of a server with this data directory.
    pub fn settings(&self, data_directory: &Path) -> Result<Settings, MailError> {
        let composer = match &self.mail_templates {
            Some(directory) => Composer::with_directory(directory)?,
            None => Composer::default(),
        };
        let delivery = match self.smtp_url()? {
            Some(url) => {
                Delivery::Smtp(SmtpServer::new(url, self.smtp_ehlo_name.clone(), self.smtp_ca.clone())?)
            }
            None => Delivery::Files(OutboxDirectory::new(data_directory.join("outbox"))),
        };
        Ok(Settings { composer, from: self.from(), delivery })
    }

    fn from(&self) -> MailFrom {
        #[expect(clippy::expect_used, reason = "the text is a constant, and a test parses it")]
        self.mail_from.clone().unwrap_or_else(|| FROM_THIS_MACHINE.parse().expect("it is a sender"))
    }

    fn smtp_url(&self) -> Result<Option<SmtpUrl>, MailError> {
        if let Some(path) = &self.smtp_url_file {
            let path = path.clone();
            let text = match secret_file::read(&path) {
                Ok(text) => text,
                Err(cause) => return Err(MailError::File { path, cause }),
            };
            return text.parse().map(Some).map_err(|cause| MailError::UrlInFile { path, cause });
        }
        let url = self.smtp_url.as_ref().map(|url| url.expose_secret().parse());
        url.transpose().map_err(MailError::Url)
    }
}

fn mail_from(text: &str) -> Result<MailFrom, String> {
    text.parse().map_err(|error: crate::mail::InvalidFrom| error.to_string())
}

/// RFC 5321 section 4.1.2 allows a domain name or an address literal.
fn ehlo_name(text: &str) -> Result<String, &'static str> {
    const RULE: &str =
        "must be a domain name, such as homeroom.school.example, or an address literal, such as [192.0.2.1]";
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte);
    if (1..=255).contains(&text.len()) && text.bytes().all(allowed) { Ok(text.to_owned()) } else { Err(RULE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_without_flags_is_written_to_files_by_the_default_sender() {
        let mail = Mail {
            smtp_url: None,
            smtp_url_file: None,
            smtp_ehlo_name: None,
            smtp_ca: None,
            mail_from: None,
            mail_templates: None,
        };
        let settings = mail.settings(Path::new("data")).unwrap();
        assert_eq!(settings.from, FROM_THIS_MACHINE.parse().unwrap());
        let Delivery::Files(directory) = settings.delivery else { panic!("{settings:?}") };
        assert_eq!(directory.path(), Path::new("data/outbox"));
    }
}
