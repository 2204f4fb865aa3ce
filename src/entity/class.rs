//! Classes, each with at most one join code: a new one takes the old one's place in the same column.

use sea_orm::{QueryOrder, Set, entity::prelude::*};

use crate::domain::{class_name::ClassName, join_code::JoinCode};

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "classes")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The teacher who owns it.
    pub owner_id: Uuid,
    /// What it is called.
    pub name: ClassName,
    /// What it is about.
    pub description: Option<String>,
    /// A client's own settings, an object.
    pub settings: Option<Json>,
    /// Whether it takes part in lessons still.
    pub is_active: bool,
    /// Its one join code, if any was drawn.
    #[sea_orm(unique)]
    pub join_code: Option<JoinCode>,
    /// The instant from which the join code admits nobody.
    pub join_code_expires_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When its name, description, settings or standing last changed.
    pub updated_at: DateTimeUtc,
}

/// Nothing is read from a class's side.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The join code, if it admits anybody `now`: the rule of [`Entity::find_by_live_join_code`].
    pub fn live_join_code(&self, now: DateTimeUtc) -> Option<&JoinCode> {
        let live = self.is_active && self.join_code_expires_at.is_some_and(|expires_at| expires_at > now);
        self.join_code.as_ref().filter(|_| live)
    }
}

impl Entity {
    /// Puts a join code in the place of the one before, if `owner` owns the class, and says whether that was so.
    /// A code that another class has is a unique-constraint violation.
    pub async fn replace_join_code(
        db: &impl ConnectionTrait,
        id: Uuid,
        owner: Uuid,
        code: &JoinCode,
        expires_at: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let replaced = Self::update_many()
            .set(ActiveModel {
                join_code: Set(Some(code.clone())),
                join_code_expires_at: Set(Some(expires_at)),
                ..Default::default()
            })
            .filter(Column::Id.eq(id))
            .filter(Column::OwnerId.eq(owner))
            .exec(db)
            .await?;
        Ok(replaced.rows_affected == 1)
    }

    /// The active class that a join code admits to `now`.
    pub async fn find_by_live_join_code(
        db: &impl ConnectionTrait,
        code: &JoinCode,
        now: DateTimeUtc,
    ) -> Result<Option<Model>, DbErr> {
        Self::find()
            .filter(Column::JoinCode.eq(code.clone()))
            .filter(Column::JoinCodeExpiresAt.gt(now))
            .filter(Column::IsActive.eq(true))
            .one(db)
            .await
    }

    /// Every class, the oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}
