//! Enrollments: one row for each pair of class and student.

use sea_orm::{
    ActiveEnum, DbBackend, QueryOrder, QuerySelect, QueryTrait, Statement,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};

use super::{class, join_code};
use crate::domain::{
    id::{ClassId, EnrollmentId, UserId},
    join_code::JoinCode,
    sort_key::SortKey,
    sourced_id::SourcedId,
};

/// The enrollment of a student in a class.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollments")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EnrollmentId,
    /// The class.
    pub class_id: ClassId,
    /// The student.
    pub student_id: UserId,
    /// Day on which the student joined, in UTC.
    pub enrolled_at: Date,
    /// Status.
    pub status: Status,
    /// Time of creation.
    pub created_at: DateTimeUtc,
    /// Time of the last change.
    pub updated_at: DateTimeUtc,
    /// Who put the student into the class. A student who joins again keeps the first origin.
    pub origin: Origin,
    /// The key by which a roster is sorted: last name, first name and id of the student.
    pub student_key: SortKey,
    /// The id in the school's own system. `None` if no roster import made the row.
    pub sourced_id: Option<SourcedId>,
}

/// Status of an enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "camelCase")]
pub enum Status {
    /// The student takes part in the class.
    Active,
    /// The student joined and waits for the owner's approval.
    Pending,
    /// The student left the class.
    Dropped,
    /// The student finished the class.
    Completed,
    /// The student went to another class or school.
    Transferred,
    /// The student finished school.
    Graduated,
}

/// Who put a student into a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Origin {
    /// The student, with a join code.
    JoinCode,
    /// The owner of the class.
    Owner,
    /// A roster import.
    Roster,
}

/// Relations to other tables.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The class.
    #[sea_orm(belongs_to = "super::class::Entity", from = "Column::ClassId", to = "super::class::Column::Id")]
    Class,
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Locks a class until the end of the transaction, so that its seats are counted exactly. SQLite has one writer and needs no lock.
    pub async fn lock_class(db: &impl ConnectionTrait, class: ClassId) -> Result<(), DbErr> {
        if db.get_database_backend() == DbBackend::Postgres {
            // Foreign keys of other rows do not wait for this lock.
            let sql = "SELECT id FROM classes WHERE id = $1 FOR NO KEY UPDATE";
            let lock = Statement::from_sql_and_values(DbBackend::Postgres, sql, [class.into()]);
            db.query_one_raw(lock).await?;
        }
        Ok(())
    }

    /// Whether a student is enrolled in a class, with any status.
    pub async fn exists(db: &impl ConnectionTrait, class: ClassId, student: UserId) -> Result<bool, DbErr> {
        let found = Self::find().filter(Column::ClassId.eq(class)).filter(Column::StudentId.eq(student));
        Ok(found.one(db).await?.is_some())
    }

    /// Deletes the enrollments of an owner in the owner's own classes.
    pub async fn delete_of_owner(db: &impl ConnectionTrait, owner: UserId) -> Result<(), DbErr> {
        let classes = class::Entity::find()
            .select_only()
            .column(class::Column::Id)
            .filter(class::Column::OwnerId.eq(owner));
        let enrollments = Self::delete_many()
            .filter(Column::StudentId.eq(owner))
            .filter(Column::ClassId.in_subquery(classes.into_query()));
        enrollments.exec(db).await?;
        Ok(())
    }

    /// The enrollments of a student, oldest first.
    pub async fn of_student(db: &impl ConnectionTrait, student: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::StudentId.eq(student)).order_by_asc(Column::Id).all(db).await
    }

    /// Inserts an enrollment, unless its student is already enrolled in the class or `code` is not the class's valid code.
    /// Returns whether a row was inserted. One statement checks and inserts, so a code that was
    /// replaced before the statement began admits no student.
    pub async fn admit(
        db: &impl ConnectionTrait,
        enrollment: &Model,
        code: &JoinCode,
    ) -> Result<bool, DbErr> {
        let Model {
            id,
            class_id,
            student_id,
            enrolled_at,
            status,
            created_at,
            updated_at,
            origin,
            student_key,
            sourced_id,
        } = enrollment.clone();
        let row = Query::select()
            .exprs([
                Expr::value(id),
                Expr::value(class_id),
                Expr::value(student_id),
                Expr::value(enrolled_at),
                Expr::value(status.into_value()),
                Expr::value(created_at),
                Expr::value(updated_at),
                Expr::value(origin.into_value()),
                Expr::value(student_key),
                Expr::value(sourced_id),
            ])
            .from(join_code::Entity)
            .inner_join(
                class::Entity,
                Expr::col((class::Entity, class::Column::Id))
                    .equals((join_code::Entity, join_code::Column::ClassId)),
            )
            .and_where(join_code::Column::ClassId.eq(class_id))
            .and_where(join_code::Column::Code.eq(code.clone()))
            .and_where(join_code::Column::ExpiresAt.gt(created_at))
            .and_where(class::Column::IsActive.eq(true))
            .take();
        let mut insert = Query::insert();
        insert
            .into_table(Entity)
            .columns([
                Column::Id,
                Column::ClassId,
                Column::StudentId,
                Column::EnrolledAt,
                Column::Status,
                Column::CreatedAt,
                Column::UpdatedAt,
                Column::Origin,
                Column::StudentKey,
                Column::SourcedId,
            ])
            .select_from(row)
            .map_err(|mismatch| DbErr::Custom(mismatch.to_string()))?
            .on_conflict(OnConflict::columns([Column::ClassId, Column::StudentId]).do_nothing().to_owned());
        Ok(db.execute(&insert).await?.rows_affected() == 1)
    }
}
