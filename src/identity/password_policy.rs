//! The rule for new passwords (NIST SP 800-63B-4 section 3.1.1.2). Sign-in accepts every password that is set.

use crate::domain::password::Password;

/// The minimum number of characters of a new password, unless the operator says otherwise.
pub const MIN_LENGTH: usize = 15;

/// The rule for new passwords.
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    min_length: usize,
}

/// Why a new password is refused, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// It is too short.
    #[error("must have at least {0} characters")]
    TooShort(usize),
}

impl PasswordPolicy {
    /// A policy with this minimum number of characters.
    pub fn new(min_length: usize) -> Self {
        Self { min_length }
    }

    /// Checks a new password. The context holds words that an attacker would try for this person, such as the address and the
    /// names.
    pub async fn check(&self, password: &Password, _context: Vec<String>) -> Result<(), WeakPassword> {
        if password.expose().chars().count() < self.min_length {
            return Err(WeakPassword::TooShort(self.min_length));
        }
        Ok(())
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self::new(MIN_LENGTH)
    }
}
