//! The flags of registrations and password resets.

use clap::Args;

use crate::rate_limit::policies::AccountLimits;

/// Registrations and password resets.
#[derive(Debug, Clone, Args)]
pub struct Accounts {
    /// The maximum number of registrations from one client address (IPv6: /48) at once, and then in each hour. Further ones get 429. 0
    /// is no limit
    #[arg(long, env = "HOMEROOM_REGISTRATION_RATE", value_name = "COUNT",
          default_value_t = AccountLimits::DEFAULT.registrations)]
    pub registration_rate: u32,

    /// The maximum number of requests to reset a password from one client address (IPv6: /48) at once, and then in each hour. Further
    /// ones get 429. 0 is no limit
    #[arg(long, env = "HOMEROOM_RESET_RATE", value_name = "COUNT", default_value_t = AccountLimits::DEFAULT.resets)]
    pub reset_rate: u32,
}

impl Accounts {
    /// The limits.
    pub fn limits(&self) -> AccountLimits {
        AccountLimits { registrations: self.registration_rate, resets: self.reset_rate }
    }
}
