//! The flags of the rule for new passwords.

use clap::{Args, builder::RangedU64ValueParser};

use crate::identity::password_policy::{MIN_LENGTH, PasswordPolicy};

/// The rule for new passwords.
#[derive(Debug, Clone, Args)]
pub struct Passwords {
    /// The minimum number of characters of a new password (8 to 64). NIST SP 800-63B-4 requires 15 where the password is the only
    /// factor
    #[arg(long, env = "HOMEROOM_PASSWORD_MIN_LENGTH", value_name = "COUNT", default_value_t = MIN_LENGTH,
          value_parser = RangedU64ValueParser::<usize>::new().range(8..=64))]
    pub password_min_length: usize,
}

impl Passwords {
    /// The rule.
    pub fn policy(&self) -> PasswordPolicy {
        PasswordPolicy::new(self.password_min_length)
    }
}
