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
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ClassId,
    /// The teacher who owns the class.
    pub owner_id: UserId,
    /// Name.
    pub name: ClassName,
    /// Description.
    pub description: Option<String>,
    /// A JSON object that clients define. The server does not interpret it.
    pub settings: Option<Json>,
    /// Whether the class is in use. An inactive class admits no student.
    pub is_active: bool,
    /// Time of creation.
    pub created_at: DateTimeUtc,
    /// Time of the last change of the name, the description, the settings or `is_active`.
    pub updated_at: DateTimeUtc,
}

/// No query starts at a class and follows a relation.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// All classes, oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}
