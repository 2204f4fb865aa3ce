//! Values with rules. Each can only be made by passing its rule, so the rest of the house never checks twice.
//!
//! No HTTP, no statement, no clock in here; chance comes in through [`RandomSource`](crate::random::RandomSource).

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

pub mod authorization_code;
mod characters;
pub mod class_name;
pub mod email;
pub mod id;
pub mod join_code;
pub mod label;
pub mod network;
pub mod origin;
pub mod password;
pub mod pkce;
pub mod rate_limit_key;
pub mod redirect_uri;
pub mod retry_after;
pub mod state;
