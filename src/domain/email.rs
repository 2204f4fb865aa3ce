//! E-mail addresses, as people sign in with them.

use std::fmt;

use sea_orm::DeriveValueType;
use validator::ValidateEmail;

/// An address in lower case (ASCII), so that one mailbox is one account.
#[derive(Clone, PartialEq, Eq, Hash, DeriveValueType)]
pub struct Email(String);

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of {} to {} characters", Email::MIN, Email::MAX)]
pub struct InvalidEmail;

impl Email {
    /// Fewest characters.
    pub const MIN: usize = 3;
    /// Most characters: what fits the path of RFC 5321 section 4.5.3.1.3.
    pub const MAX: usize = 254;

    /// Reads an address as the HTML standard's `type=email` does.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let length = text.chars().count();
        if (Self::MIN..=Self::MAX).contains(&length) && text.validate_email() {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidEmail)
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_no_difference_between_addresses() {
        assert_eq!(Email::parse("User@Example.COM"), Email::parse("user@example.com"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(254));
        for text in
            ["", "a@", "user", "user@@example.com", "us er@example.com", "user@example.com\0", long.as_str()]
        {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }
}
