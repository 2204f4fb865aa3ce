//! Ids: UUIDv7 (RFC 9562 section 5.7), so that rows lie in the order in which they were made.

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

use crate::entropy::{self, Entropy};

/// A new id, born `now`.
pub fn new(now: DateTime<Utc>, entropy: &dyn Entropy) -> Uuid {
    let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds, &entropy::bytes(entropy)).into_uuid()
}
