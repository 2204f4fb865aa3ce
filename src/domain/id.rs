//! Ids: UUIDv7 (RFC 9562 section 5.7), so that rows lie in the order in which they were made.

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

use crate::random::{self, RandomSource};

/// A new id, born `now`.
pub fn new(now: DateTime<Utc>, random: &dyn RandomSource) -> Uuid {
    let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds, &random::bytes(random)).into_uuid()
}
