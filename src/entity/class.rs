//! Classes.

use sea_orm::{
    Condition, DbBackend, IntoActiveModel, JoinType, Order, PaginatorTrait, QueryOrder, QuerySelect,
    QueryTrait, Select, Statement,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, IntoCondition, LikeExpr, UnionType},
};

use super::{
    enrollment::{self, Status},
    join_code,
};
use crate::domain::{
    class_name::ClassName,
    class_settings::ClassSettings,
    description::ClassDescription,
    id::{ClassId, UserId},
    join_code::JoinCode,
    max_students::MaxStudents,
    page::PageRequest,
    sort_key::SortKey,
    sourced_id::SourcedId,
    standing::Standing,
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
    pub description: Option<ClassDescription>,
    /// A JSON object that clients define. The server does not interpret it.
    pub settings: Option<ClassSettings>,
    /// Whether the class is in use. An inactive class admits no student.
    pub is_active: bool,
    /// Time of creation.
    pub created_at: DateTimeUtc,
    /// Time of the last change of a property that the owner may change.
    pub updated_at: DateTimeUtc,
    /// The key by which classes are sorted and searched.
    pub name_key: SortKey,
    /// The maximum number of active students. `None` is no limit.
    pub max_students: Option<MaxStudents>,
    /// Whether joining with a code needs the owner's approval.
    pub requires_approval: bool,
    /// How often a property that the owner may change was changed.
    pub version: i32,
    /// The id in the school's own system. `None` if no roster import made the class.
    pub sourced_id: Option<SourcedId>,
    /// Whether an import ended the class, because the files no longer have it. An import that has it again brings it back into use.
    pub left_roster: bool,
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

/// The outcome of [`Entity::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// The class was inserted.
    Created,
    /// The owner owns as many classes as allowed.
    LimitReached,
    /// The school made the owner's account.
    SchoolAccount,
    /// The owner does not exist.
    NoSuchOwner,
}

/// The order of classes in a list. Classes that are equal in it follow each other by id, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// By name, from A to Z.
    NameAscending,
    /// By name, from Z to A.
    NameDescending,
    /// By the time of creation, oldest first.
    OldestFirst,
    /// By the time of creation, newest first.
    NewestFirst,
}

/// Which classes a list shows.
#[derive(Debug, Clone)]
pub struct Visible {
    /// The user who owns them or is an active student of them.
    pub member: UserId,
    /// A part of `name_key`.
    pub search: Option<SortKey>,
    /// Whether they are in use.
    pub is_active: Option<bool>,
}

/// The class that a statement may change: if `owner` owns it, and if it has one of the versions.
#[derive(Debug, Clone)]
pub struct Guard {
    /// The class.
    pub id: ClassId,
    /// The owner.
    pub owner: UserId,
    /// The versions. `None` means every version.
    pub versions: Option<Vec<i32>>,
}

impl Guard {
    fn condition(&self) -> Condition {
        let Self { id, owner, versions } = self;
        let versions = versions.as_ref().map(|versions| Column::Version.is_in(versions.iter().copied()));
        Condition::all().add(Column::Id.eq(*id)).add(Column::OwnerId.eq(*owner)).add_option(versions)
    }
}

/// The condition that a part of `name_key` is this text.
pub(super) fn name_contains(key: &SortKey) -> sea_orm::sea_query::SimpleExpr {
    let pattern = key.as_str().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    Expr::col((Entity, Column::NameKey)).like(LikeExpr::new(format!("%{pattern}%")).escape('!'))
}

impl Entity {
    /// The classes that a list shows. The ids come from two indexes, so that the classes of other users cost nothing.
    pub fn visible(filter: &Visible) -> Select<Self> {
        let Visible { member, search, is_active } = filter;
        let owned = Self::find().select_only().column(Column::Id).filter(Column::OwnerId.eq(*member));
        let joined = enrollment::Entity::find()
            .select_only()
            .column(enrollment::Column::ClassId)
            .filter(enrollment::Column::StudentId.eq(*member))
            .filter(enrollment::Column::Status.eq(enrollment::Status::Active));
        let mut ids = owned.into_query();
        ids.union(UnionType::All, joined.into_query());
        let search = search.as_ref().map(name_contains);
        let filters = Condition::all()
            .add(Column::Id.in_subquery(ids))
            .add_option(search)
            .add_option(is_active.map(|is_active| Column::IsActive.eq(is_active)));
        Self::find().filter(filters)
    }

    /// A page of the classes that a list shows.
    pub fn page(filter: &Visible, sort: Sort, page: PageRequest) -> Select<Self> {
        let (column, order) = match sort {
            Sort::NameAscending => (Column::NameKey, Order::Asc),
            Sort::NameDescending => (Column::NameKey, Order::Desc),
            Sort::OldestFirst => (Column::CreatedAt, Order::Asc),
            Sort::NewestFirst => (Column::CreatedAt, Order::Desc),
        };
        let sorted = Self::visible(filter).order_by(column, order.clone()).order_by(Column::Id, order);
        sorted.offset(page.offset()).limit(u64::from(page.size))
    }

    /// Changes columns of the class, if the guard admits it. Returns the changed class.
    pub async fn change(
        db: &impl ConnectionTrait,
        guard: &Guard,
        columns: &ActiveModel,
        now: DateTimeUtc,
    ) -> Result<Option<Model>, DbErr> {
        let change = Self::update_many()
            .set(columns.clone())
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(guard.condition());
        if change.exec(db).await?.rows_affected == 0 {
            return Ok(None);
        }
        Self::find_by_id(guard.id).one(db).await
    }

    /// Deletes the class with its enrollments and its join code, if the guard admits it. Returns whether it did.
    pub async fn remove(db: &impl ConnectionTrait, guard: &Guard) -> Result<bool, DbErr> {
        Ok(Self::delete_many().filter(guard.condition()).exec(db).await?.rows_affected == 1)
    }

    /// A class, and the relation of a user to it.
    pub async fn find_with_standing(
        db: &impl ConnectionTrait,
        id: ClassId,
        user: UserId,
    ) -> Result<Option<(Model, Standing)>, DbErr> {
        let own = enrollment::Relation::Class.def().rev().on_condition(move |_, enrollment| {
            Expr::col((enrollment, enrollment::Column::StudentId)).eq(user).into_condition()
        });
        let found = Self::find_by_id(id).join(JoinType::LeftJoin, own).select_also(enrollment::Entity);
        Ok(found.one(db).await?.map(|(class, enrollment)| {
            let standing = match enrollment.map(|row| row.status) {
                _ if class.owner_id == user => Standing::Owner,
                None => Standing::Stranger,
                Some(Status::Pending) => Standing::Pending,
                Some(Status::Active) => Standing::Student,
                Some(Status::Dropped | Status::Completed | Status::Transferred | Status::Graduated) => {
                    Standing::Former
                }
            };
            (class, standing)
        }))
    }

    /// Inserts a class, unless its owner owns `limit` classes already. 0 sets no limit.
    ///
    /// The first statement locks the owner, so that concurrent requests count one after another (PostgreSQL takes the snapshot of a
    /// statement before it waits for a lock).
    pub async fn create(db: &impl ConnectionTrait, class: &Model, limit: u32) -> Result<Creation, DbErr> {
        let backend = db.get_database_backend();
        let lock = if backend == DbBackend::Postgres { " FOR NO KEY UPDATE" } else { "" };
        let sql = format!("SELECT school_account FROM users WHERE id = $1{lock}");
        let owner = Statement::from_sql_and_values(backend, sql, [class.owner_id.into()]);
        let Some(owner) = db.query_one_raw(owner).await? else { return Ok(Creation::NoSuchOwner) };
        if owner.try_get("", "school_account")? {
            return Ok(Creation::SchoolAccount);
        }
        if limit > 0 && Self::count_of_owner(db, class.owner_id).await? >= u64::from(limit) {
            return Ok(Creation::LimitReached);
        }
        Self::insert(class.clone().into_active_model()).exec_without_returning(db).await?;
        Ok(Creation::Created)
    }

    /// A class and its join code, valid or expired.
    pub async fn find_with_join_code(
        db: &impl ConnectionTrait,
        id: ClassId,
    ) -> Result<Option<(Model, Option<JoinCode>)>, DbErr> {
        let found = Self::find_by_id(id).find_also_related(join_code::Entity).one(db).await?;
        Ok(found.map(|(class, join_code)| (class, join_code.map(|row| row.code))))
    }

    /// Gives the classes of an owner to another one. Returns whether there are any.
    pub async fn hand_over(
        db: &impl ConnectionTrait,
        from: UserId,
        to: UserId,
        now: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let classes = Self::update_many()
            .col_expr(Column::OwnerId, Expr::value(to))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::OwnerId.eq(from));
        Ok(classes.exec(db).await?.rows_affected > 0)
    }

    /// The number of classes of an owner.
    pub async fn count_of_owner(db: &impl ConnectionTrait, owner: UserId) -> Result<u64, DbErr> {
        Self::find().filter(Column::OwnerId.eq(owner)).count(db).await
    }

    /// The classes of an owner, oldest first.
    pub async fn of_owner(db: &impl ConnectionTrait, owner: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::OwnerId.eq(owner)).order_by_asc(Column::Id).all(db).await
    }
}
