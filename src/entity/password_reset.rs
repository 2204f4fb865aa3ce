//! Password resets that wait for a new password.

use sea_orm::entity::prelude::*;

use crate::domain::{
    id::{AppId, UserId},
    secret_token::ConfirmHashDigest,
};

/// A password reset.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "password_resets")]
pub struct Model {
    /// SHA-256 of the secret in the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: ConfirmHashDigest,
    /// The user.
    pub user_id: UserId,
    /// The app that asked for it. None if an operator did.
    pub app_id: Option<AppId>,
    /// The time of the request.
    pub created_at: DateTimeUtc,
    /// From this instant on the link is invalid.
    pub expires_at: DateTimeUtc,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
