//! The registered redirect URIs of apps.

use sea_orm::{QueryOrder, Set, entity::prelude::*};

use crate::domain::{id::AppId, origin::Origin, redirect_uri::RedirectUri};

/// A registered redirect URI.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "app_redirect_uris")]
pub struct Model {
    /// The app.
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: AppId,
    /// The exact URI.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uri: RedirectUri,
    /// The origin of the URI, to recognize requests of its pages. A private-use scheme has none.
    pub origin: Option<Origin>,
}

/// The relations of a redirect URI.
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
    /// All redirect URIs of an app, in alphabetical order.
    pub async fn of_app(db: &impl ConnectionTrait, app: AppId) -> Result<Vec<RedirectUri>, DbErr> {
        let rows = Self::find().filter(Column::AppId.eq(app)).order_by_asc(Column::Uri).all(db).await?;
        Ok(rows.into_iter().map(|row| row.uri).collect())
    }

    /// Replaces the redirect URIs of an app.
    pub async fn replace(db: &impl ConnectionTrait, app: AppId, uris: &[RedirectUri]) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::AppId.eq(app)).exec(db).await?;
        let rows: Vec<ActiveModel> = uris
            .iter()
            .map(|uri| ActiveModel { app_id: Set(app), uri: Set(uri.clone()), origin: Set(uri.origin()) })
            .collect();
        if !rows.is_empty() {
            Self::insert_many(rows).exec_without_returning(db).await?;
        }
        Ok(())
    }
}
