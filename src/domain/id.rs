//! Identifiers of rows. Each table has a type of its own, so that no id can be passed for another table's.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid, Version};

use crate::random::{self, RandomSource};

/// The text is not a UUID in its hyphenated form (RFC 9562 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID such as 11111111-1111-1111-1111-111111111111")]
pub struct InvalidId;

/// Creates a UUIDv7 (RFC 9562 section 5.7), which sorts by creation time.
pub fn uuid_v7(now: DateTime<Utc>, random: &dyn RandomSource) -> Uuid {
    let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds, &random::bytes(random)).into_uuid()
}

macro_rules! id {
    ($(#[$documentation:meta])* $id:ident) => {
        $(#[$documentation])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType,
        )]
        #[serde(transparent)]
        pub struct $id(Uuid);

        super::not_auto_increment!($id);

        impl $id {
            /// Creates an id.
            pub fn new(now: DateTime<Utc>, random: &dyn RandomSource) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The id with this numeric value, for constants.
            pub const fn from_u128(value: u128) -> Self {
                Self(Uuid::from_u128(value))
            }
        }

        impl From<Uuid> for $id {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$id> for Uuid {
            fn from(id: $id) -> Self {
                id.0
            }
        }

        impl FromStr for $id {
            type Err = InvalidId;

            /// Parses the hyphenated form, in either case.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
                Uuid::try_parse(text).ok().filter(|_| hyphenated).map(Self).ok_or(InvalidId)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A user: `sub` of the tokens.
    UserId
}
id! {
    /// An app: the OAuth client id without its prefix.
    AppId
}
id! {
    /// A class.
    ClassId
}
id! {
    /// An enrollment.
    EnrollmentId
}

id! {
    /// A session: `sid` of the access tokens.
    SessionId
}
id! {
    /// A mail in the outbox.
    MailId
}
id! {
    /// An event in the audit trail.
    AuditEventId
}

id! {
    /// A signing key: `kid` in the header of a JWT (RFC 7515 section 4.1.4).
    KeyId
}

impl KeyId {
    /// The creation time inside a UUIDv7 (RFC 9562 section 5.7), or `None` for another version.
    pub fn created_at(self) -> Option<DateTime<Utc>> {
        let timestamp = self.0.get_timestamp().filter(|_| self.0.get_version() == Some(Version::SortRand))?;
        let (seconds, nanoseconds) = timestamp.to_unix();
        DateTime::from_timestamp(seconds.try_into().ok()?, nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_id_accepts_the_hyphenated_form_alone() {
        let text = "019df262-4ec0-7000-8000-00000000000a";
        let id: UserId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for invalid in
            ["", "1", "019df2624ec070008000000000000001", &format!("{{{text}}}"), &format!("{text} ")]
        {
            assert_eq!(invalid.parse::<UserId>(), Err(InvalidId), "{invalid}");
        }
    }
}
