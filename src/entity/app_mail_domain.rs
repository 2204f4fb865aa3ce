//! Mail domains of apps. Only e-mail addresses in a mail domain of an app may register in it. An app without mail domains accepts every
//! e-mail address.

use sea_orm::entity::prelude::*;

use crate::domain::{id::AppId, mail_domain::MailDomain};

/// A mail domain of an app.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "app_mail_domains")]
pub struct Model {
    /// The app.
    #[sea_orm(primary_key, auto_increment = false)]
    pub app_id: AppId,
    /// The domain.
    #[sea_orm(primary_key, auto_increment = false)]
    pub domain: MailDomain,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The mail domains of an app, in alphabetical order.
    pub async fn of_app(db: &impl ConnectionTrait, app: AppId) -> Result<Vec<MailDomain>, DbErr> {
        use sea_orm::QueryOrder;

        let rows = Self::find().filter(Column::AppId.eq(app)).order_by_asc(Column::Domain).all(db).await?;
        Ok(rows.into_iter().map(|row| row.domain).collect())
    }

    /// Replaces the mail domains of an app.
    pub async fn replace(db: &impl ConnectionTrait, app: AppId, domains: &[MailDomain]) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::AppId.eq(app)).exec(db).await?;
        let rows =
            domains.iter().map(|domain| ActiveModel::from(Model { app_id: app, domain: domain.clone() }));
        if !domains.is_empty() {
            Self::insert_many(rows).exec_without_returning(db).await?;
        }
        Ok(())
    }
}
