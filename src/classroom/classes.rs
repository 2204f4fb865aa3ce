//! Classes: making them and reading them.

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel};

use super::Classroom;
use crate::{
    domain::{
        class_name::ClassName,
        id::{ClassId, UserId},
    },
    entity::{Unique, class, enrollment},
};

/// Why a class cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such class.
    #[error("there is no such class")]
    NoSuchClass,
    /// The reader neither owns the class nor is enrolled in it.
    #[error("the class is closed to the reader")]
    NotMember,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Classroom {
    /// Makes a class. Its owner must have an account.
    pub async fn add_class(
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
            join_code: None,
            join_code_expires_at: None,
            join_code_draws: 0,
            join_code_draws_since: 0,
            join_code_turn: 0,
            created_at: now,
            updated_at: now,
        };
        class::Entity::insert(class.clone().into_active_model())
            .exec_without_returning(self.db.writer())
            .await?;
        Ok(class)
    }

    /// A class as `reader` may see it `now`: its owner sees the join code while it admits, an enrolled student never.
    pub async fn read_class(
        &self,
        id: ClassId,
        reader: UserId,
        now: DateTime<Utc>,
    ) -> Result<class::Model, ReadError> {
        let db = self.db.read();
        let mut class = class::Entity::find_by_id(id).only(db).await?.ok_or(ReadError::NoSuchClass)?;
        let owns = class.owner_id == reader;
        if !owns && !enrollment::Entity::exists(db, id, reader).await? {
            return Err(ReadError::NotMember);
        }
        class.join_code = class.live_join_code(now).filter(|_| owns).cloned();
        Ok(class)
    }

    /// The class of an id, for an operator.
    pub async fn class(&self, id: ClassId) -> Result<Option<class::Model>, DbErr> {
        class::Entity::find_by_id(id).only(self.db.read()).await
    }

    /// Every class, the oldest first.
    pub async fn classes(&self) -> Result<Vec<class::Model>, DbErr> {
        class::Entity::list(self.db.read()).await
    }
}
