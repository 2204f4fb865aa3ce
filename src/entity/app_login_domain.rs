//! The domains of the sign-in pages of apps.

use sea_orm::{QueryOrder, Set, entity::prelude::*};

use crate::domain::{id::AppId, origin::LoginDomain};

/// A login domain. One app owns it.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "app_login_domains")]
pub struct Model {
    /// The domain.
    #[sea_orm(primary_key, auto_increment = false)]
    pub domain: LoginDomain,
    /// The app that owns it.
    pub app_id: AppId,
}

/// The relations of a login domain.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Its app.
    #[sea_orm(belongs_to = "super::app::Entity", from = "Column::AppId", to = "super::app::Column::Id")]
    App,
}

impl Related<super::app::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::App.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// All domains of an app, in alphabetical order.
    pub async fn of_app(db: &impl ConnectionTrait, app: AppId) -> Result<Vec<LoginDomain>, DbErr> {
        let rows = Self::find().filter(Column::AppId.eq(app)).order_by_asc(Column::Domain).all(db).await?;
        Ok(rows.into_iter().map(|row| row.domain).collect())
    }

    /// Replaces the domains of an app.
    pub async fn replace(
        db: &impl ConnectionTrait,
        app: AppId,
        domains: &[LoginDomain],
    ) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::AppId.eq(app)).exec(db).await?;
        let rows: Vec<ActiveModel> = domains
            .iter()
            .map(|domain| ActiveModel { domain: Set(domain.clone()), app_id: Set(app) })
            .collect();
        if !rows.is_empty() {
            Self::insert_many(rows).exec_without_returning(db).await?;
        }
        Ok(())
    }
}
