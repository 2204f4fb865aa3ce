//! Password resets that wait for a new password.

use sea_orm::{QueryOrder, entity::prelude::*};

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

impl Entity {
    /// Deletes the resets of a user, so that their links are invalid.
    pub async fn revoke_of_user(db: &impl ConnectionTrait, user: UserId) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::UserId.eq(user)).exec(db).await?;
        Ok(())
    }

    /// The resets of a user, oldest first.
    pub async fn of_user(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::UserId.eq(user)).order_by_asc(Column::CreatedAt).all(db).await
    }
}
