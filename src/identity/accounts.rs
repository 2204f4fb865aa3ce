//! Accounts: making them and finding them.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    DbErr, EntityTrait, IntoActiveModel,
};

use super::password_hashing::{HashError, PasswordHashing};
use crate::{
    db::{self, Db},
    domain::{
        email::Email,
        id::UserId,
        password::{Password, PasswordHash},
    },
    entity::user,
    random::{self, RandomSource},
    rate_limit::limiter::Limiter,
};

/// Why an account could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The address has an account already.
    #[error("this e-mail address has an account already")]
    Taken,
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Makes an account whose address counts as confirmed, as an operator may. Failures that were counted for the address before are
/// forgotten.
pub async fn add(
    db: &Db,
    hashing: &PasswordHashing,
    random: &dyn RandomSource,
    email: Email,
    password: Password,
    now: DateTime<Utc>,
) -> Result<UserId, AccountError> {
    let id = UserId::new(now, random);
    let password_hash = hashing.hash(password, random::bytes(random)).await?;
    let account = user::Model {
        id,
        email: email.clone(),
        password_hash,
        enabled: true,
        email_verified_at: Some(now),
        created_at: now,
    };
    let insert = db.write(account.into_active_model(), |db, account| {
        Box::pin(user::Entity::insert(account.clone()).exec_without_returning(db))
    });
    match insert.await {
        Ok(_) => {
            Limiter::new(db.clone()).forget_account(&email).await?;
            Ok(id)
        }
        Err(error) if db::kind(&error) == db::ErrorKind::UniqueViolation => Err(AccountError::Taken),
        Err(error) => Err(error.into()),
    }
}

/// The account of an address, whatever its standing.
pub async fn find(db: &Db, email: Email) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find_by_address(db.read(), email).await
}

/// Changes an account: what is not said stays as it is. Tokens that it was issued live out their time. A new password forgets
/// the failures that were counted for the account.
pub async fn change(
    db: &Db,
    account: &user::Model,
    password_hash: Option<PasswordHash>,
    enabled: Option<bool>,
) -> Result<(), DbErr> {
    let mut changed = user::ActiveModel { id: Unchanged(account.id), ..Default::default() };
    let has_new_password = password_hash.is_some();
    if let Some(password_hash) = password_hash {
        changed.password_hash = Set(password_hash);
    }
    if let Some(enabled) = enabled {
        changed.enabled = Set(enabled);
    }
    let update = user::Entity::update(changed);
    db.write(update, |db, update| Box::pin(update.clone().exec(db))).await?;
    if has_new_password {
        Limiter::new(db.clone()).forget_account(&account.email).await?;
    }
    Ok(())
}

/// Every account, the oldest first.
pub async fn list(db: &Db) -> Result<Vec<user::Model>, DbErr> {
    user::Entity::list(db.read()).await
}
