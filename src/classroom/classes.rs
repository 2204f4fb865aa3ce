//! Classes: making them and reading them.

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel};

use super::Classroom;
use crate::{
    domain::{
        class_name::ClassName,
        id::{ClassId, UserId},
        join_code::JoinCode,
    },
    entity::{class, enrollment, join_code},
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
            created_at: now,
            updated_at: now,
        };
        let insert = self.db.write(class.clone().into_active_model(), |db, class| {
            Box::pin(class::Entity::insert(class.clone()).exec_without_returning(db))
        });
        insert.await?;
        Ok(class)
    }

    /// A class as `reader` may see it `now`, with the join code that admits to it, which its owner alone sees.
    pub async fn read_class(
        &self,
        id: ClassId,
        reader: UserId,
        now: DateTime<Utc>,
    ) -> Result<(class::Model, Option<JoinCode>), ReadError> {
        let db = self.db.read();
        let class = class::Entity::find_by_id(id).one(db).await?.ok_or(ReadError::NoSuchClass)?;
        let owns = class.owner_id == reader;
        if !owns && !enrollment::Entity::exists(db, id, reader).await? {
            return Err(ReadError::NotMember);
        }
        if !owns || !class.is_active {
            return Ok((class, None));
        }
        let live = join_code::Entity::find_live(db, id, now).await?;
        Ok((class, live.map(|live| live.code)))
    }

    /// The class of an id, for an operator.
    pub async fn class(&self, id: ClassId) -> Result<Option<class::Model>, DbErr> {
        class::Entity::find_by_id(id).one(self.db.read()).await
    }

    /// Every class, the oldest first.
    pub async fn classes(&self) -> Result<Vec<class::Model>, DbErr> {
        class::Entity::list(self.db.read()).await
    }
}
