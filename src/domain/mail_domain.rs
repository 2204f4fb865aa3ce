//! Mail domains: what follows the `@` of an address.

use sea_orm::DeriveValueType;

use super::email::Email;

/// A mail domain in its ASCII form (UTS 46).
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct MailDomain(String);

super::not_auto_increment!(MailDomain);

/// The text is not a mail domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a mail domain such as school.example")]
pub struct InvalidMailDomain;

impl MailDomain {
    /// Parses a domain, as in an address.
    pub fn parse(text: &str) -> Result<Self, InvalidMailDomain> {
        let email = Email::parse(&format!("a@{text}")).map_err(|_| InvalidMailDomain)?;
        Ok(Self::of(&email))
    }

    /// The domain of an address.
    pub fn of(email: &Email) -> Self {
        Self(email.as_str().rsplit('@').next().unwrap_or_default().to_owned())
    }

    /// The domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_mail_domain_every_spelling_gives_one_domain() {
        let domain = MailDomain::parse("MÜNCHEN.example").unwrap();
        assert_eq!(domain.as_str(), "xn--mnchen-3ya.example");
        assert_eq!(MailDomain::of(&Email::parse("user@münchen.example").unwrap()), domain);
        for text in ["", "a b", "a@b", "-a.example", "a/b"] {
            assert_eq!(MailDomain::parse(text), Err(InvalidMailDomain), "{text}");
        }
    }
}
