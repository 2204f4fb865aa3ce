//! Users: teachers and students.

use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};

use crate::domain::{email::Email, id::UserId, password::PasswordHash};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// `sub` of its tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// The address. Each address has at most one account.
    #[sea_orm(unique)]
    pub email: Email,
    /// The hash of its password.
    pub password_hash: PasswordHash,
    /// Whether the account is enabled.
    pub enabled: bool,
    /// The time at which the address was confirmed. Sign-in requires it.
    pub email_verified_at: Option<DateTimeUtc>,
    /// The time of creation.
    pub created_at: DateTimeUtc,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether the account is enabled and its address confirmed.
    pub fn may_sign_in(&self) -> bool {
        self.enabled && self.email_verified_at.is_some()
    }
}

impl Entity {
    /// The account of an address, enabled or not.
    pub async fn find_by_address(db: &impl ConnectionTrait, email: Email) -> Result<Option<Model>, DbErr> {
        Self::find().filter(Column::Email.eq(email)).one(db).await
    }

    /// Whether there are accounts with other addresses than these. Reads no other column, because the schema may be old.
    pub async fn any_but(db: &impl ConnectionTrait, addresses: &[&str]) -> Result<bool, DbErr> {
        let others = Self::find().filter(Column::Email.is_not_in(addresses.iter().copied()));
        let others: Vec<String> =
            others.select_only().column(Column::Email).limit(1).into_tuple().all(db).await?;
        Ok(!others.is_empty())
    }

    /// All accounts, oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}
