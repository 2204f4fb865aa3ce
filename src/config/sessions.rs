//! The flags for sessions.

use chrono::TimeDelta;
use clap::Args;

/// Sessions.
#[derive(Debug, Clone, Args)]
pub struct Sessions {
    /// The seconds after its first use in which a refresh token may be sent again (0 to 300). The second request is refused all
    /// the same, and only after these seconds does it end the session. Two pages of one browser may refresh at the same time
    #[arg(long, env = "HOMEROOM_REFRESH_REUSE_INTERVAL", value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(i64).range(0..=300))]
    pub refresh_reuse_interval: i64,
}

impl Sessions {
    /// The time after a rotation in which a second use of the refresh token does not end its session.
    pub fn refresh_reuse_interval(&self) -> TimeDelta {
        TimeDelta::seconds(self.refresh_reuse_interval)
    }
}
