//! Join codes: at most one per class, unique among all classes.

use std::collections::HashMap;

use sea_orm::{QuerySelect, QueryTrait, Statement, entity::prelude::*, sea_query::ExprTrait};

use super::class;
use crate::domain::{
    id::{ClassId, UserId},
    join_code::JoinCode,
};

/// The join code of a class.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "join_codes")]
pub struct Model {
    /// The class.
    #[sea_orm(primary_key, auto_increment = false)]
    pub class_id: ClassId,
    /// The code.
    #[sea_orm(unique)]
    pub code: JoinCode,
    /// From this instant on the code admits no student.
    pub expires_at: DateTimeUtc,
    /// Time of generation.
    pub created_at: DateTimeUtc,
    /// The number of enrollments with this code.
    pub joins: i32,
}

/// Relations to other tables.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The class to which the code admits.
    #[sea_orm(belongs_to = "super::class::Entity", from = "Column::ClassId", to = "super::class::Column::Id")]
    Class,
}

impl Related<class::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Class.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Replaces the join code of a class, if it is still `previous`. Returns whether it did. A code of another class is a unique
    /// violation.
    ///
    /// The condition stops a statement that the network delayed: it cannot replace a code that was generated after its request
    /// was answered 503.
    pub async fn replace(
        db: &impl ConnectionTrait,
        previous: Option<&JoinCode>,
        new: &Model,
    ) -> Result<bool, DbErr> {
        let Model { class_id, code, expires_at, created_at, joins } = new.clone();
        // Raw, because it is shorter and clearer than an `INSERT ... SELECT` of sea-query.
        let sql = "INSERT INTO join_codes (class_id, code, expires_at, created_at, joins) \
                   SELECT id, $1, $2, $3, $4 FROM classes WHERE id = $5 \
                   ON CONFLICT (class_id) DO UPDATE SET code = excluded.code, expires_at = excluded.expires_at, \
                   created_at = excluded.created_at, joins = excluded.joins WHERE join_codes.code = $6";
        let previous = previous.cloned();
        let values = [
            code.into(),
            expires_at.into(),
            created_at.into(),
            joins.into(),
            class_id.into(),
            previous.into(),
        ];
        let replace = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        Ok(db.execute_raw(replace).await?.rows_affected() == 1)
    }

    /// The join code of a class, unless it is expired at `now`.
    pub async fn find_valid(
        db: &impl ConnectionTrait,
        class: ClassId,
        now: DateTimeUtc,
    ) -> Result<Option<Model>, DbErr> {
        Self::find_by_id(class).filter(Column::ExpiresAt.gt(now)).one(db).await
    }

    /// Counts an enrollment with a code. Call it in the transaction of the enrollment.
    pub async fn count_join(db: &impl ConnectionTrait, class: ClassId, code: &JoinCode) -> Result<(), DbErr> {
        let count = Self::update_many()
            .col_expr(Column::Joins, Expr::col(Column::Joins).add(1))
            .filter(Column::ClassId.eq(class))
            .filter(Column::Code.eq(code.clone()));
        count.exec(db).await?;
        Ok(())
    }

    /// Deletes the join code of a class, if it is still `code` and `owner` owns the class. Returns whether it did.
    ///
    /// The condition stops a statement that the network delayed: it cannot delete a code that was generated later.
    pub async fn revoke(
        db: &impl ConnectionTrait,
        id: ClassId,
        owner: UserId,
        code: &JoinCode,
    ) -> Result<bool, DbErr> {
        let class = class::Entity::find()
            .select_only()
            .column(class::Column::Id)
            .filter(class::Column::Id.eq(id))
            .filter(class::Column::OwnerId.eq(owner));
        let revoke = Self::delete_many()
            .filter(Column::ClassId.in_subquery(class.into_query()))
            .filter(Column::Code.eq(code.clone()));
        Ok(revoke.exec(db).await?.rows_affected == 1)
    }

    /// The join codes of these classes, except those that are expired at `now`.
    pub async fn valid_of(
        db: &impl ConnectionTrait,
        classes: Vec<ClassId>,
        now: DateTimeUtc,
    ) -> Result<HashMap<ClassId, JoinCode>, DbErr> {
        if classes.is_empty() {
            return Ok(HashMap::new());
        }
        let codes = Self::find().filter(Column::ClassId.is_in(classes)).filter(Column::ExpiresAt.gt(now));
        Ok(codes.all(db).await?.into_iter().map(|row| (row.class_id, row.code)).collect())
    }

    /// The active class to which a code admits at `now`.
    pub async fn find_class(
        db: &impl ConnectionTrait,
        code: &JoinCode,
        now: DateTimeUtc,
    ) -> Result<Option<class::Model>, DbErr> {
        let found = Self::find()
            .filter(Column::Code.eq(code.clone()))
            .filter(Column::ExpiresAt.gt(now))
            .find_also_related(class::Entity)
            .filter(class::Column::IsActive.eq(true));
        Ok(found.one(db).await?.and_then(|(_, class)| class))
    }
}
