//! Users: teachers and students alike.

use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};

use crate::domain::{email::Email, id::UserId, password::PasswordHash};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The subject of its tokens (`sub`).
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// Its address, one account each.
    #[sea_orm(unique)]
    pub email: Email,
    /// What its password is verified against.
    pub password_hash: PasswordHash,
    /// Whether it may sign in.
    pub enabled: bool,
    /// When its address was confirmed; without that it may not sign in.
    pub email_verified_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

/// Nothing is read from a user's side.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether this account may sign in: it is enabled and its address is confirmed.
    pub fn may_sign_in(&self) -> bool {
        self.enabled && self.email_verified_at.is_some()
    }
}

impl Entity {
    /// The account of an address, whatever its standing.
    pub async fn find_by_address(db: &impl ConnectionTrait, email: Email) -> Result<Option<Model>, DbErr> {
        Self::find().filter(Column::Email.eq(email)).one(db).await
    }

    /// Whether there is an account of any other address than these. It reads no other column: the schema may be an old one.
    pub async fn any_but(db: &impl ConnectionTrait, addresses: &[&str]) -> Result<bool, DbErr> {
        let others = Self::find().filter(Column::Email.is_not_in(addresses.iter().copied()));
        let others: Vec<String> =
            others.select_only().column(Column::Email).limit(1).into_tuple().all(db).await?;
        Ok(!others.is_empty())
    }

    /// Every account, the oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}
