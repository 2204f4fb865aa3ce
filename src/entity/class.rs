//! Classes.

use sea_orm::{QueryOrder, entity::prelude::*};

use crate::domain::{
    class_name::ClassName,
    id::{ClassId, UserId},
};

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "classes")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ClassId,
    /// The teacher who owns it.
    pub owner_id: UserId,
    /// What it is called.
    pub name: ClassName,
    /// What it is about.
    pub description: Option<String>,
    /// A client's own settings, an object.
    pub settings: Option<Json>,
    /// Whether it takes part in lessons. An inactive class admits no student.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When its name, description, settings or standing last changed.
    pub updated_at: DateTimeUtc,
}

/// No query follows a relation from a class.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Every class, the oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}
