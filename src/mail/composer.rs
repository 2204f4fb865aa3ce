//! Composes mails.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    CONFIRM_LIFE, NOTICE_LIFE, RESET_LIFE,
    templates::{Kind, Rendered, TemplateError, Templates, Variables},
};
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

impl Content<'_> {
    fn kind(self) -> Kind {
        match self {
            Self::Confirm { .. } => Kind::Confirm,
            Self::AlreadyRegistered => Kind::AlreadyRegistered,
            Self::Reset { .. } => Kind::Reset,
            Self::PasswordChanged => Kind::PasswordChanged,
            Self::AccountDeleted => Kind::AccountDeleted,
        }
    }

    fn life(self) -> TimeDelta {
        match self {
            Self::Confirm { .. } => CONFIRM_LIFE,
            Self::Reset { .. } => RESET_LIFE,
            Self::AlreadyRegistered | Self::PasswordChanged | Self::AccountDeleted => NOTICE_LIFE,
        }
    }

    /// The link, or the secret for an app without a page.
    fn link(self) -> (Option<String>, Option<String>) {
        let (action, page, hash) = match self {
            Self::Confirm { page, hash } => (LinkAction::Confirm, page, hash),
            Self::Reset { page, hash } => (LinkAction::Reset, page, hash),
            Self::AlreadyRegistered | Self::PasswordChanged | Self::AccountDeleted => return (None, None),
        };
        match page {
            Some(page) => (Some(page.link(action, hash)), None),
            None => (None, Some(hash.expose().to_owned())),
        }
    }
}

/// Composes mails from templates.
#[derive(Debug)]
pub struct Composer(Templates);

impl Default for Composer {
    /// A composer with the templates of this program.
    fn default() -> Self {
        Self(Templates::built_in())
    }
}

impl Composer {
    /// A composer with the templates of this program, and those of a directory that replace them.
    pub fn with_directory(directory: &Path) -> Result<Self, TemplateError> {
        Templates::with_directory(directory).map(Self)
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
        let (kind, expires_at) = (content.kind(), now + content.life());
        let (link, secret) = content.link();
        let variables = Variables {
            app: app.as_str().to_owned(),
            link,
            secret,
            minutes: content.life().num_minutes(),
            expires: shown(expires_at),
            time: shown(now),
        };
        let Rendered { subject, text, html } = self.render(kind, language, &variables);
        outgoing_mail::Model {
            id: MailId::new(now, random),
            recipient: to.clone(),
            kind: kind.name().to_owned(),
            subject,
            text_body: text,
            html_body: html,
            created_at: now,
            expires_at,
            next_attempt_at: now,
            attempts: 0,
            dead_at: None,
            last_error: None,
        }
    }

    /// Renders a mail, with the built-in template if the operator's fails. It was rendered at the start, but may fail for other values.
    fn render(&self, kind: Kind, language: Language, variables: &Variables) -> Rendered {
        let built_in = |error| {
            tracing::warn!(kind = kind.name(), %error, "a template failed, and the built-in one is used");
            Templates::built_in().render(kind, language, variables)
        };
        let rendered = self.0.render(kind, language, variables).or_else(built_in);
        rendered.unwrap_or_else(|_| bare(variables))
    }
}

/// A mail without template.
fn bare(variables: &Variables) -> Rendered {
    let text = variables.link.as_ref().or(variables.secret.as_ref()).cloned().unwrap_or_default();
    Rendered { subject: variables.app.clone(), text, html: String::new() }
}

/// A time that is unambiguous in every language.
fn shown(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn compose(language: Language, content: Content<'_>) -> outgoing_mail::Model {
        let now = DateTime::from_timestamp(1_777_887_720, 0).unwrap();
        let (to, app) = (Email::parse("user@example.com").unwrap(), Label::parse("Sample app").unwrap());
        Composer::default().compose(&to, language, &app, content, now, &OsRandom)
    }

    #[test]
    fn compose_with_a_page_links_to_it_until_the_expiry() {
        let page = AccountPage::parse("https://app.example.com/account").unwrap();
        let hash = ConfirmHash::presented("marked-secret");
        let link = "https://app.example.com/account?action=reset&confirmHash=marked-secret";
        let mail = compose(Language::German, Content::Reset { page: Some(&page), hash: &hash });
        assert_eq!(mail.subject, "Neues Passwort für Sample app");
        assert!(mail.text_body.contains(&format!("\n{link}\n")), "{}", mail.text_body);
        assert!(mail.text_body.contains("30 Minuten lang (bis 2026-05-04 10:12 UTC)"), "{}", mail.text_body);
        assert!(mail.html_body.contains(">Neues Passwort festlegen</a>"), "{}", mail.html_body);
        assert_eq!(mail.expires_at - mail.created_at, RESET_LIFE);
        assert!(!format!("{mail:?}").contains("marked-secret"));
    }

    #[test]
    fn compose_without_a_page_shows_the_secret() {
        let hash = ConfirmHash::presented("marked-secret");
        let mail = compose(Language::Vietnamese, Content::Confirm { page: None, hash: &hash });
        assert!(mail.text_body.contains("\nmarked-secret\n"), "{}", mail.text_body);
        assert!(
            mail.text_body.contains("trong vòng 24 giờ (đến 2026-05-05 09:42 UTC)"),
            "{}",
            mail.text_body
        );
        assert!(mail.html_body.contains("<p class=\"code\">marked-secret</p>"), "{}", mail.html_body);
        assert!(!mail.html_body.contains("href"), "{}", mail.html_body);
    }

    #[test]
    fn compose_notice_has_the_time_and_no_link() {
        for content in [Content::AlreadyRegistered, Content::PasswordChanged, Content::AccountDeleted] {
            let mail = compose(Language::English, content);
            assert!(!mail.html_body.contains("href"), "{}", mail.html_body);
            let shows_time = mail.text_body.contains("2026-05-04 09:42 UTC");
            assert_eq!(shows_time, !matches!(content, Content::AlreadyRegistered), "{}", mail.text_body);
        }
    }
}
