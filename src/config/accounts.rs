//! The flags of registrations and password resets.

use clap::Args;

use crate::rate_limit::policies::AccountLimits;

/// Registrations and password resets.
#[derive(Debug, Clone, Args)]
pub struct Accounts {
    /// Registrations from one address (IPv6: /48) at once, and then in each hour; 0 sets no limit
    #[arg(long, env = "HOMEROOM_REGISTRATION_RATE", value_name = "COUNT",
          default_value_t = AccountLimits::DEFAULT.registrations)]
    pub registration_rate: u32,

    /// Requests to reset a password from one address (IPv6: /48) at once, and then in each hour; 0 sets no limit
    #[arg(long, env = "HOMEROOM_RESET_RATE", value_name = "COUNT", default_value_t = AccountLimits::DEFAULT.resets)]
    pub reset_rate: u32,
}

impl Accounts {
    /// The limits.
    pub fn limits(&self) -> AccountLimits {
        AccountLimits { registrations: self.registration_rate, resets: self.reset_rate }
    }
}
