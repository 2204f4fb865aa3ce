//! Enrollments: one row for each pair of class and student.

use sea_orm::{
    DbBackend, QueryOrder, QuerySelect, QueryTrait, Select, SelectTwo, Statement, entity::prelude::*,
    sea_query::Expr,
};

use super::{class, user};
use crate::domain::{
    id::{ClassId, EnrollmentId, UserId},
    page::PageRequest,
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
    /// Who put the student into the class.
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

/// Who put a student into a class. Only a school or an owner who put a student into a class has power over the student's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Origin {
    /// The student, with a join code. Also a student who left the class, and one from the files of the school who came back without
    /// them.
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
    /// The account of the student.
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::StudentId", to = "super::user::Column::Id")]
    Student,
}

impl Related<user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Student.def()
    }
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

    /// The number of active students of a class.
    pub async fn seats(db: &impl ConnectionTrait, class: ClassId) -> Result<u64, DbErr> {
        Self::roster(class, Status::Active).count(db).await
    }

    /// The enrollments of the active students of a class.
    pub async fn active_ids(db: &impl ConnectionTrait, class: ClassId) -> Result<Vec<EnrollmentId>, DbErr> {
        Self::roster(class, Status::Active).select_only().column(Column::Id).into_tuple().all(db).await
    }

    /// The enrollments of a class with this status. Completed ones count as graduated.
    pub fn roster(class: ClassId, status: Status) -> Select<Self> {
        let status = match status {
            Status::Graduated => Column::Status.is_in([Status::Graduated, Status::Completed]),
            status => Column::Status.eq(status),
        };
        Self::find().filter(Column::ClassId.eq(class)).filter(status)
    }

    /// The ids of a page of [`Entity::roster`], in the order of the names. They come from an index, without the rows of the table.
    pub fn roster_page(class: ClassId, status: Status, page: PageRequest) -> Select<Self> {
        let ids = Self::roster(class, status).select_only().column(Column::Id);
        let sorted = ids.order_by_asc(Column::StudentKey).order_by_asc(Column::Id);
        sorted.offset(page.offset()).limit(u64::from(page.size))
    }

    /// These enrollments with the accounts of their students, in the order of the names.
    pub async fn with_students(
        db: &impl ConnectionTrait,
        ids: Vec<EnrollmentId>,
    ) -> Result<Vec<(Model, user::Model)>, DbErr> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = Self::students(ids).all(db).await?;
        Ok(rows.into_iter().filter_map(|(row, student)| Some((row, student?))).collect())
    }

    /// The query of [`Entity::with_students`].
    pub fn students(ids: Vec<EnrollmentId>) -> SelectTwo<Self, user::Entity> {
        let rows = Self::find().filter(Column::Id.is_in(ids)).find_also_related(user::Entity);
        rows.order_by_asc(Column::StudentKey).order_by_asc(Column::Id)
    }

    /// The enrollment of a student in a class, with the account of the student.
    pub async fn find_with_student(
        db: &impl ConnectionTrait,
        class: ClassId,
        student: UserId,
    ) -> Result<Option<(Model, user::Model)>, DbErr> {
        let found = Self::find().filter(Column::ClassId.eq(class)).filter(Column::StudentId.eq(student));
        let found = found.find_also_related(user::Entity).one(db).await?;
        Ok(found.and_then(|(row, student)| Some((row, student?))))
    }

    /// The enrollments of a student in the classes of an owner, newest first. Pending ones are left out.
    pub fn in_classes(owner: UserId, student: UserId) -> Select<Self> {
        let classes = class::Entity::find()
            .select_only()
            .column(class::Column::Id)
            .filter(class::Column::OwnerId.eq(owner));
        let found = Self::find()
            .filter(Column::StudentId.eq(student))
            .filter(Column::ClassId.in_subquery(classes.into_query()))
            .filter(Column::Status.ne(Status::Pending));
        found.order_by_desc(Column::Id)
    }

    /// Sets the status of enrollments that are not pending. Not for [`Status::Active`], which takes a seat.
    pub async fn set_status(
        db: &impl ConnectionTrait,
        ids: Vec<EnrollmentId>,
        status: Status,
        now: DateTimeUtc,
    ) -> Result<(), DbErr> {
        let change = Self::update_many()
            .col_expr(Column::Status, Expr::value(status))
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::Id.is_in(ids))
            .filter(Column::Status.is_not_in([Status::Pending, status]));
        change.exec(db).await?;
        Ok(())
    }

    /// Writes the key by which rosters sort a student.
    pub async fn set_student_key(
        db: &impl ConnectionTrait,
        student: UserId,
        key: SortKey,
    ) -> Result<(), DbErr> {
        let change = Self::update_many().col_expr(Column::StudentKey, Expr::value(key));
        change.filter(Column::StudentId.eq(student)).exec(db).await?;
        Ok(())
    }
}
