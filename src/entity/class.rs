//! Classes.

use sea_orm::{PaginatorTrait, QueryOrder, entity::prelude::*, sea_query::Expr};

use super::join_code;
use crate::domain::{
    class_name::ClassName,
    id::{ClassId, UserId},
    join_code::JoinCode,
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

/// Relations to other tables.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The join code of the class, if one was generated.
    #[sea_orm(has_one = "super::join_code::Entity")]
    JoinCode,
}

impl Related<join_code::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::JoinCode.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// A class and its join code, valid or expired.
    pub async fn find_with_join_code(
        db: &impl ConnectionTrait,
        id: ClassId,
    ) -> Result<Option<(Model, Option<JoinCode>)>, DbErr> {
        let found = Self::find_by_id(id).find_also_related(join_code::Entity).one(db).await?;
        Ok(found.map(|(class, join_code)| (class, join_code.map(|row| row.code))))
    }

    /// Gives the classes of an owner to another one.
    pub async fn hand_over(db: &impl ConnectionTrait, from: UserId, to: UserId) -> Result<(), DbErr> {
        let classes =
            Self::update_many().col_expr(Column::OwnerId, Expr::value(to)).filter(Column::OwnerId.eq(from));
        classes.exec(db).await?;
        Ok(())
    }

    /// The number of classes of an owner.
    pub async fn count_of_owner(db: &impl ConnectionTrait, owner: UserId) -> Result<u64, DbErr> {
        Self::find().filter(Column::OwnerId.eq(owner)).count(db).await
    }

    /// The classes of an owner, oldest first.
    pub async fn of_owner(db: &impl ConnectionTrait, owner: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::OwnerId.eq(owner)).order_by_asc(Column::Id).all(db).await
    }

    /// All classes, oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}
