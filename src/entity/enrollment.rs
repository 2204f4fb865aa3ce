//! Enrollments: which student is in which class, one row for each pair.

use sea_orm::{
    ActiveEnum,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};

use super::{class, join_code};
use crate::domain::{
    id::{ClassId, EnrollmentId, UserId},
    join_code::JoinCode,
};

/// A student's place in a class.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollments")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EnrollmentId,
    /// The class.
    pub class_id: ClassId,
    /// The student.
    pub student_id: UserId,
    /// The day on which the student joined, in UTC.
    pub enrolled_at: Date,
    /// How it stands.
    pub status: Status,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it last changed.
    pub updated_at: DateTimeUtc,
}

/// How an enrollment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "camelCase")]
pub enum Status {
    /// The student is in the class.
    Active,
    /// The student has left it.
    Dropped,
    /// The class is over.
    Completed,
}

/// Nothing is read from an enrollment's side.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// A student's place in a class, however it stands.
    pub async fn find_place(
        db: &impl ConnectionTrait,
        class: ClassId,
        student: UserId,
    ) -> Result<Option<Model>, DbErr> {
        Self::find().filter(Column::ClassId.eq(class)).filter(Column::StudentId.eq(student)).one(db).await
    }

    /// Whether a student has a place in a class, however it stands.
    pub async fn exists(db: &impl ConnectionTrait, class: ClassId, student: UserId) -> Result<bool, DbErr> {
        Ok(Self::find_place(db, class, student).await?.is_some())
    }

    /// Enrols a student, if `code` still admits to the class `now` and the student has no place in it, and says
    /// whether it did. Code and enrollment are judged by one statement, so no code that was replaced before the
    /// statement began lets anybody in.
    pub async fn admit(
        db: &impl ConnectionTrait,
        enrollment: &Model,
        code: &JoinCode,
    ) -> Result<bool, DbErr> {
        let Model { id, class_id, student_id, enrolled_at, status, created_at, updated_at } =
            enrollment.clone();
        let place = Query::select()
            .exprs([
                Expr::value(id),
                Expr::value(class_id),
                Expr::value(student_id),
                Expr::value(enrolled_at),
                Expr::value(status.into_value()),
                Expr::value(created_at),
                Expr::value(updated_at),
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
            ])
            .select_from(place)
            .map_err(|mismatch| DbErr::Custom(mismatch.to_string()))?
            .on_conflict(OnConflict::columns([Column::ClassId, Column::StudentId]).do_nothing().to_owned());
        Ok(db.execute(&insert).await?.rows_affected() == 1)
    }
}
