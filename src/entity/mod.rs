//! One file per table: the row, its relations, and queries named after what they are for.

pub mod app;
pub mod app_login_domain;
pub mod app_redirect_uri;
pub mod authorization_code;
pub mod class;
pub mod enrollment;
pub mod policy_acceptance;
pub mod rate_limit;
pub mod user;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Select};

/// Queries on what is unique.
pub trait Unique {
    /// What they find.
    type Row;

    /// The row that there is, if there is one.
    ///
    /// This is [`Select::one`] without its `LIMIT`, which comes as a value: SQLite plans a statement anew each time that it
    /// is given another limit, even if it is the same.
    fn only(self, db: &impl ConnectionTrait)
    -> impl Future<Output = Result<Option<Self::Row>, DbErr>> + Send;
}

impl<E: EntityTrait> Unique for Select<E> {
    type Row = E::Model;

    async fn only(self, db: &impl ConnectionTrait) -> Result<Option<E::Model>, DbErr> {
        Ok(self.all(db).await?.pop())
    }
}
