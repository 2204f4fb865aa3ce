//! Value types with rules. A value exists only if its text passed the rule, so that no other code checks again.
//!
//! Nothing here knows HTTP, SQL or the clock. Randomness comes from a [`RandomSource`](crate::random::RandomSource).

/// sea-orm requires this of the type of every primary key. The database generates none of these.
macro_rules! not_auto_increment {
    ($value:ident) => {
        impl sea_orm::TryFromU64 for $value {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($value)))
            }
        }
    };
}
use not_auto_increment;

/// A `Debug` that shows the type's name alone, for values that logs must not show and the database stores.
macro_rules! redacted_debug {
    ($value:ident) => {
        impl std::fmt::Debug for $value {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($value), "(..)"))
            }
        }
    };
}
use redacted_debug;

pub mod account_page;
pub mod class_name;
pub mod class_settings;
pub mod description;
pub mod e_tag;
pub mod email;
pub mod id;
pub mod join_code;
pub mod label;
pub mod language;
pub mod mail_domain;
pub mod max_students;
pub mod network;
pub mod origin;
pub mod page;
pub mod password;
pub mod person;
pub mod pkce;
pub mod rate_limit_key;
pub mod redirect_uri;
pub mod retry_after;
pub mod scope;
pub mod secret_token;
pub mod sort_key;
pub mod sourced_id;
pub mod standing;
pub mod state;
mod unicode;
pub mod user_agent;
pub mod user_name;
pub mod word_password;
