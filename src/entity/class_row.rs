//! The rows that the commands about classes print. Every page begins behind the last row of the one before, so that a page costs the
//! same everywhere in a list.

use sea_orm::{Condition, JoinType, QueryOrder, QuerySelect, Select, SelectTwo, entity::prelude::*};

use super::{
    class::{self, Column},
    enrollment::{self, Status},
    user,
};
use crate::domain::{
    id::{ClassId, UserId},
    sort_key::SortKey,
    sourced_id::SourcedId,
};

/// Which classes a list has.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The owner.
    pub owner: Option<UserId>,
    /// A part of `name_key`. With it the list is sorted by name, otherwise by id: oldest first.
    pub search: Option<SortKey>,
    /// Whether the classes are in use.
    pub is_active: Option<bool>,
}

/// Up to `limit` classes behind another one.
pub fn page(selection: &Selection, after: Option<&class::Model>, limit: u64) -> Select<class::Entity> {
    let Selection { owner, search, is_active } = selection;
    let pattern = search.as_ref().map(class::name_contains);
    let behind = after.map(|class| {
        let later = Column::Id.gt(class.id);
        if search.is_none() {
            return Condition::all().add(later);
        }
        // The first condition is implied. It is the range of the index.
        let later = Condition::any().add(Column::NameKey.gt(class.name_key.clone())).add(later);
        Condition::all().add(Column::NameKey.gte(class.name_key.clone())).add(later)
    });
    let filters = Condition::all()
        .add_option(owner.map(|owner| Column::OwnerId.eq(owner)))
        .add_option(is_active.map(|is_active| Column::IsActive.eq(is_active)))
        .add_option(pattern)
        .add_option(behind);
    let mut sorted = class::Entity::find().filter(filters);
    if search.is_some() {
        sorted = sorted.order_by_asc(Column::NameKey);
    }
    sorted.order_by_asc(Column::Id).limit(limit)
}

/// Up to `limit` students of a class with this status behind another one, sorted by name.
pub fn students(
    class: ClassId,
    status: Status,
    after: Option<&enrollment::Model>,
    limit: u64,
) -> SelectTwo<enrollment::Entity, user::Entity> {
    use enrollment::Column;
    let behind = after.map(|row| {
        let later =
            Condition::any().add(Column::StudentKey.gt(row.student_key.clone())).add(Column::Id.gt(row.id));
        Condition::all().add(Column::StudentKey.gte(row.student_key.clone())).add(later)
    });
    let filters =
        Condition::all().add(Column::ClassId.eq(class)).add(Column::Status.eq(status)).add_option(behind);
    let account = enrollment::Entity::belongs_to(user::Entity).from(Column::StudentId).to(user::Column::Id);
    enrollment::Entity::find()
        .filter(filters)
        .order_by_asc(Column::StudentKey)
        .order_by_asc(Column::Id)
        .limit(limit)
        .join(JoinType::InnerJoin, account.into())
        .select_also(user::Entity)
}

/// The number of students of a class for each status that one of them has.
pub async fn count_students(db: &impl ConnectionTrait, class: ClassId) -> Result<Vec<(Status, i64)>, DbErr> {
    use enrollment::Column;
    let counts = enrollment::Entity::find()
        .select_only()
        .column(Column::Status)
        .column_as(Column::Id.count(), "students")
        .filter(Column::ClassId.eq(class))
        .group_by(Column::Status)
        .order_by_asc(Column::Status);
    counts.into_tuple().all(db).await
}

/// The class with this id in the school's own system.
pub async fn find_by_sourced_id(
    db: &impl ConnectionTrait,
    id: SourcedId,
) -> Result<Option<class::Model>, DbErr> {
    class::Entity::find().filter(Column::SourcedId.eq(id)).one(db).await
}

/// The classes whose names have this key, up to `limit`.
pub async fn find_by_name_key(
    db: &impl ConnectionTrait,
    key: SortKey,
    limit: u64,
) -> Result<Vec<class::Model>, DbErr> {
    let found = class::Entity::find().filter(Column::NameKey.eq(key));
    found.order_by_asc(Column::Id).limit(limit).all(db).await
}
