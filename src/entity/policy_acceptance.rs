//! Acceptances of the privacy policies of apps.

use sea_orm::{QueryOrder, entity::prelude::*, sea_query::OnConflict};

use crate::domain::{
    id::{AppId, UserId},
    label::Label,
};

/// An acceptance. The first one of each version is kept.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "policy_acceptances")]
pub struct Model {
    /// The user who accepted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The app with the policy.
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: AppId,
    /// The accepted version.
    #[sea_orm(primary_key, auto_increment = false)]
    pub policy_version: Label,
    /// The time of acceptance.
    pub accepted_at: DateTimeUtc,
    /// The client's address.
    pub address: String,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Whether a user has accepted this version.
    pub async fn exists(
        db: &impl ConnectionTrait,
        user: UserId,
        app: AppId,
        version: &Label,
    ) -> Result<bool, DbErr> {
        Ok(Self::find_by_id((user, app, version.clone())).one(db).await?.is_some())
    }

    /// The acceptances of a user, oldest first.
    pub async fn of_user(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::UserId.eq(user)).order_by_asc(Column::AcceptedAt).all(db).await
    }

    /// Records an acceptance, unless the user accepted this version before.
    pub async fn record(db: &impl ConnectionTrait, acceptance: Model) -> Result<(), DbErr> {
        Self::insert(ActiveModel::from(acceptance))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
        Ok(())
    }
}
