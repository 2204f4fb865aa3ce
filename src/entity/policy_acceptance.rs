//! Who accepted which version of an app's privacy policy, when and from where.

use sea_orm::{entity::prelude::*, sea_query::OnConflict};

use crate::domain::{
    id::{AppId, UserId},
    label::Label,
};

/// One acceptance. The first of a version stands.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "policy_acceptances")]
pub struct Model {
    /// The user who accepted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The app whose policy it was.
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: AppId,
    /// The version that was in force.
    #[sea_orm(primary_key, auto_increment = false)]
    pub policy_version: Label,
    /// When.
    pub accepted_at: DateTimeUtc,
    /// The network address it came from.
    pub address: String,
}

/// Nothing is read from an acceptance's side.
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

    /// Records an acceptance, unless this version was accepted before.
    pub async fn record(db: &impl ConnectionTrait, acceptance: Model) -> Result<(), DbErr> {
        Self::insert(ActiveModel::from(acceptance))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
        Ok(())
    }
}
