//! Refresh tokens of sessions. Rotated ones stay until the session ends, so that their reuse is detected.

use sea_orm::entity::prelude::*;

use crate::domain::{id::SessionId, secret_token::RefreshTokenDigest};

/// A refresh token.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_tokens")]
pub struct Model {
    /// SHA-256 of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: RefreshTokenDigest,
    /// The session that it continues.
    pub session_id: SessionId,
    /// The time of issue.
    pub issued_at: DateTimeUtc,
    /// The time at which it was exchanged for a new one.
    pub rotated_at: Option<DateTimeUtc>,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
