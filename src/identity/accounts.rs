//! Accounts: created, changed and listed by an operator.

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

/// The accounts in a database.
pub struct Accounts {
    db: Db,
    limiter: Limiter,
}

/// Why [`Accounts::add`] failed.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Another account has the address.
    #[error("this e-mail address has an account already")]
    EmailTaken,
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Accounts {
    /// The accounts in this database.
    pub fn new(db: Db) -> Self {
        Self { limiter: Limiter::new(db.clone()), db }
    }

    /// Creates an enabled account with a confirmed address. Failed sign-ins counted for the address are forgotten.
    pub async fn add(
        &self,
        hashing: &PasswordHashing,
        random: &dyn RandomSource,
        email: Email,
        password: Password,
        now: DateTime<Utc>,
    ) -> Result<UserId, AddError> {
        let id = UserId::new(now, random);
        let password_hash = hashing.hash(password, random::bytes(random)).await?;
        let account = user::Model::new(id, email.clone(), password_hash, now);
        let insert = self.db.write(account.into_active_model(), |db, account| {
            Box::pin(user::Entity::insert(account.clone()).exec_without_returning(db))
        });
        match insert.await {
            Ok(_) => {
                self.limiter.forget_account(&email).await?;
                Ok(id)
            }
            Err(error) if db::kind(&error) == db::ErrorKind::UniqueViolation => Err(AddError::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// The account of an address, enabled or not.
    pub async fn find(&self, email: Email) -> Result<Option<user::Model>, DbErr> {
        user::Entity::find_by_address(self.db.read(), email).await
    }

    /// Changes the given properties of an account. Issued tokens stay valid until they expire. With a new password,
    /// failed sign-ins counted for the account are forgotten.
    pub async fn change(
        &self,
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
        self.db.write(update, |db, update| Box::pin(update.clone().exec(db))).await?;
        if has_new_password {
            self.limiter.forget_account(&account.email).await?;
        }
        Ok(())
    }

    /// All accounts, oldest first.
    pub async fn list(&self) -> Result<Vec<user::Model>, DbErr> {
        user::Entity::list(self.db.read()).await
    }
}
