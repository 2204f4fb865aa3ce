//! Creating and reading classes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel};

use crate::{
    db::Db,
    domain::{
        class_name::ClassName,
        id::{ClassId, UserId},
        join_code::JoinCode,
    },
    entity::{class, enrollment, join_code},
    random::RandomSource,
};

/// Creates and reads classes.
pub struct Classes {
    db: Db,
    random: Arc<dyn RandomSource>,
}

/// A class as a user sees it.
#[derive(Debug, Clone)]
pub struct VisibleClass {
    /// The class.
    pub class: class::Model,
    /// The join code. `None` if there is no valid one, and for every user but the owner.
    pub join_code: Option<JoinCode>,
}

/// The reason why a class cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// The reader neither owns the class nor is enrolled in it.
    #[error("the reader is not a member of the class")]
    NotMember,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Classes {
    /// Creates the service.
    pub fn new(db: Db, random: Arc<dyn RandomSource>) -> Self {
        Self { db, random }
    }

    /// Creates a class. Its owner must exist.
    pub async fn create(
        &self,
        id: Option<ClassId>,
        owner: UserId,
        name: ClassName,
        now: DateTime<Utc>,
    ) -> Result<class::Model, DbErr> {
        let class = class::Model {
            id: id.unwrap_or_else(|| ClassId::new(now, &*self.random)),
            owner_id: owner,
            name,
            description: None,
            settings: None,
            is_active: true,
            created_at: now,
            updated_at: now,
        };
        let insert = self.db.write(class.clone().into_active_model(), |db, class| {
            Box::pin(class::Entity::insert(class.clone()).exec_without_returning(db))
        });
        insert.await?;
        Ok(class)
    }

    /// Reads a class on behalf of a user.
    pub async fn read(
        &self,
        id: ClassId,
        reader: UserId,
        now: DateTime<Utc>,
    ) -> Result<VisibleClass, ReadError> {
        let db = self.db.read();
        let class = class::Entity::find_by_id(id).one(db).await?.ok_or(ReadError::NoSuchClass)?;
        let is_owner = class.owner_id == reader;
        if !is_owner && !enrollment::Entity::exists(db, id, reader).await? {
            return Err(ReadError::NotMember);
        }
        let join_code = if is_owner && class.is_active {
            join_code::Entity::find_valid(db, id, now).await?.map(|row| row.code)
        } else {
            None
        };
        Ok(VisibleClass { class, join_code })
    }

    /// Finds a class on behalf of an operator.
    pub async fn find(&self, id: ClassId) -> Result<Option<class::Model>, DbErr> {
        class::Entity::find_by_id(id).one(self.db.read()).await
    }

    /// All classes, oldest first.
    pub async fn list(&self) -> Result<Vec<class::Model>, DbErr> {
        class::Entity::list(self.db.read()).await
    }
}
