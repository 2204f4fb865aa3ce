//! placeholder until the hashing branch lands
use sea_orm::DeriveValueType;
/// x
pub struct Password(String);
/// x
#[derive(Clone, PartialEq, Eq, Debug, DeriveValueType)]
pub struct PasswordHash(String);
