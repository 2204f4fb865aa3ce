//! Password resets that wait for a new password.

use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

use super::user;
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

/// The relations of a password reset.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The user.
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::UserId", to = "super::user::Column::Id")]
    User,
}

impl Related<user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Stores a password reset.
    pub async fn store(db: &impl ConnectionTrait, reset: Model) -> Result<(), DbErr> {
        Self::insert(reset.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// The reset of a link that is valid at a time, with its user.
    pub async fn find_valid(
        db: &impl ConnectionTrait,
        digest: ConfirmHashDigest,
        now: DateTimeUtc,
    ) -> Result<Option<(Model, user::Model)>, DbErr> {
        let found = Self::find_by_id(digest)
            .filter(Column::ExpiresAt.gt(now))
            .find_also_related(user::Entity)
            .one(db)
            .await?;
        // A foreign key guarantees that the user exists.
        Ok(found.and_then(|(reset, user)| Some((reset, user?))))
    }

    /// Uses the link of a reset, and returns whether it was valid. Of concurrent calls, exactly one returns `true`: the number
    /// of deleted rows decides.
    ///
    /// The other resets of the user are deleted too. One statement deletes all, so that concurrent calls with different links lock
    /// the rows in the same order.
    pub async fn complete(
        db: &impl ConnectionTrait,
        user: UserId,
        digest: ConfirmHashDigest,
        now: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let valid =
            Self::find_by_id(digest).filter(Column::ExpiresAt.gt(now)).select_only().column(Column::UserId);
        let deleted = Self::delete_many()
            .filter(Column::UserId.eq(user))
            .filter(Column::UserId.in_subquery(valid.into_query()));
        Ok(deleted.exec(db).await?.rows_affected > 0)
    }

    /// Deletes the resets of a user, so that their links are invalid.
    pub async fn revoke_of_user(db: &impl ConnectionTrait, user: UserId) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::UserId.eq(user)).exec(db).await?;
        Ok(())
    }

    /// The resets of a user, oldest first.
    pub async fn of_user(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::UserId.eq(user)).order_by_asc(Column::CreatedAt).all(db).await
    }

    /// Deletes up to `limit` resets that expired before `before`, and returns their number.
    pub async fn sweep(db: &impl ConnectionTrait, before: DateTimeUtc, limit: u64) -> Result<u64, DbErr> {
        let expired = Self::find()
            .filter(Column::ExpiresAt.lte(before))
            .limit(limit)
            .select_only()
            .column(Column::Digest)
            .into_query();
        Ok(Self::delete_many().filter(Column::Digest.in_subquery(expired)).exec(db).await?.rows_affected)
    }
}
