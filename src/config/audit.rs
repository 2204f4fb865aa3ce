//! The flags of the audit trail.

use chrono::TimeDelta;
use clap::Args;

/// The audit trail.
#[derive(Debug, Clone, Args)]
pub struct Audit {
    /// The days after which events of the audit trail are deleted (0 to 36500). 0 deletes none
    #[arg(long, env = "HOMEROOM_AUDIT_RETENTION", value_name = "DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub audit_retention: u16,
}

impl Audit {
    /// The age at which an event is deleted. `None` keeps all events.
    pub fn retention(&self) -> Option<TimeDelta> {
        (self.audit_retention > 0).then(|| TimeDelta::days(self.audit_retention.into()))
    }
}
