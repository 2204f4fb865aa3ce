//! The rows that a roster import compares with its files, and the statements by which it changes them.

use sea_orm::{
    ActiveValue::Set,
    Condition, IntoActiveModel, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};

use super::{class, enrollment, user};
use crate::domain::{
    email::Email,
    id::{ClassId, EnrollmentId, UserId},
    mail_domain::MailDomain,
    sourced_id::SourcedId,
};

/// The number of values or rows of one statement.
const CHUNK: usize = 500;
/// The number of classes whose enrollments one statement reads.
const CLASSES: usize = 20;
/// The number of rows that one statement reads. The driver holds them in a form that takes much memory.
const PAGE: u64 = 1_000;

/// All rows of which a column has one of the values.
async fn find_in<E: EntityTrait>(
    db: &impl ConnectionTrait,
    column: E::Column,
    values: Vec<Value>,
    chunk: usize,
) -> Result<Vec<E::Model>, DbErr> {
    let mut rows = Vec::new();
    for values in values.chunks(chunk) {
        rows.extend(E::find().filter(column.is_in(values.to_vec())).all(db).await?);
    }
    Ok(rows)
}

/// The accounts that an import made or linked.
pub async fn users(db: &impl ConnectionTrait) -> Result<Vec<user::Model>, DbErr> {
    user_pages(db, user::Column::SourcedId.is_not_null()).await
}

async fn user_pages(db: &impl ConnectionTrait, filter: Expr) -> Result<Vec<user::Model>, DbErr> {
    let mut users: Vec<user::Model> = Vec::new();
    loop {
        let behind = users.last().map(|user| user::Column::Id.gt(user.id));
        let page = user::Entity::find().filter(Condition::all().add(filter.clone()).add_option(behind));
        let page = page.order_by_asc(user::Column::Id).limit(PAGE).all(db).await?;
        if page.is_empty() {
            return Ok(users);
        }
        users.extend(page);
    }
}

/// The accounts with these ids.
pub async fn users_with_ids(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = UserId>,
) -> Result<Vec<user::Model>, DbErr> {
    find_in::<user::Entity>(db, user::Column::Id, ids.into_iter().map(Into::into).collect(), CHUNK).await
}

/// The accounts of these addresses.
pub async fn users_with_addresses(
    db: &impl ConnectionTrait,
    addresses: impl IntoIterator<Item = Email>,
) -> Result<Vec<user::Model>, DbErr> {
    find_in::<user::Entity>(db, user::Column::Email, addresses.into_iter().map(Into::into).collect(), CHUNK)
        .await
}

/// All addresses in a domain. Reads every account once.
pub async fn addresses_in(db: &impl ConnectionTrait, domain: &MailDomain) -> Result<Vec<Email>, DbErr> {
    let addresses =
        user::Entity::find().filter(user::Column::Email.ends_with(format!("@{}", domain.as_str())));
    addresses.select_only().column(user::Column::Email).into_tuple().all(db).await
}

/// The classes that an import made or linked.
pub async fn classes(db: &impl ConnectionTrait) -> Result<Vec<class::Model>, DbErr> {
    class::Entity::find().filter(class::Column::SourcedId.is_not_null()).all(db).await
}

/// The classes with these ids.
pub async fn classes_with_ids(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = ClassId>,
) -> Result<Vec<class::Model>, DbErr> {
    find_in::<class::Entity>(db, class::Column::Id, ids.into_iter().map(Into::into).collect(), CHUNK).await
}

/// All enrollments of these classes.
pub async fn enrollments_of_classes(
    db: &impl ConnectionTrait,
    classes: impl IntoIterator<Item = ClassId>,
) -> Result<Vec<enrollment::Model>, DbErr> {
    let classes = classes.into_iter().map(Into::into).collect();
    find_in::<enrollment::Entity>(db, enrollment::Column::ClassId, classes, CLASSES).await
}

/// All accounts that the school made.
pub async fn school_accounts(db: &impl ConnectionTrait) -> Result<Vec<user::Model>, DbErr> {
    user_pages(db, user::Column::SchoolAccount.eq(true)).await
}

/// The classes in use, oldest first.
pub async fn active_classes(db: &impl ConnectionTrait) -> Result<Vec<class::Model>, DbErr> {
    let classes = class::Entity::find().filter(class::Column::IsActive.eq(true));
    classes.order_by_asc(class::Column::Id).all(db).await
}

/// Inserts rows. A second row with the same id, address or `sourcedId` is a violation of a unique constraint.
pub async fn insert<E, M>(db: &impl ConnectionTrait, rows: &[M]) -> Result<(), DbErr>
where
    E: EntityTrait<Model = M>,
    E::ActiveModel: Send,
    M: ModelTrait<Entity = E> + IntoActiveModel<E::ActiveModel> + Clone + Sync,
{
    for rows in rows.chunks(CHUNK) {
        let rows = rows.iter().cloned().map(IntoActiveModel::into_active_model);
        E::insert_many(rows).exec_without_returning(db).await?;
    }
    Ok(())
}

/// Changes a class, whoever owns it, and returns whether it exists.
pub async fn change_class(
    db: &impl ConnectionTrait,
    id: ClassId,
    columns: class::ActiveModel,
    now: DateTimeUtc,
) -> Result<bool, DbErr> {
    let change = class::Entity::update_many()
        .set(columns)
        .col_expr(class::Column::Version, Expr::col(class::Column::Version).add(1))
        .col_expr(class::Column::UpdatedAt, Expr::value(now))
        .filter(class::Column::Id.eq(id));
    Ok(change.exec(db).await?.rows_affected == 1)
}

/// Makes an enrollment an active one of the files. `since` is the day on which an enrollment that was not active becomes active.
pub async fn keep_enrollment(
    db: &impl ConnectionTrait,
    id: EnrollmentId,
    sourced_id: SourcedId,
    origin: enrollment::Origin,
    since: Option<Date>,
    now: DateTimeUtc,
) -> Result<(), DbErr> {
    let row = enrollment::ActiveModel {
        status: Set(enrollment::Status::Active),
        origin: Set(origin),
        sourced_id: Set(Some(sourced_id)),
        updated_at: Set(now),
        enrolled_at: since.map_or(sea_orm::ActiveValue::NotSet, Set),
        ..Default::default()
    };
    enrollment::Entity::update_many().set(row).filter(enrollment::Column::Id.eq(id)).exec(db).await?;
    Ok(())
}

/// Ends enrollments that left the files, and with them the power of the owner over the accounts. With `release` they also lose their
/// `sourcedId`, which the files give to others.
pub async fn drop_enrollments(
    db: &impl ConnectionTrait,
    ids: &[EnrollmentId],
    release: bool,
    now: DateTimeUtc,
) -> Result<(), DbErr> {
    for ids in ids.chunks(CHUNK) {
        let row = enrollment::ActiveModel {
            status: Set(enrollment::Status::Dropped),
            origin: Set(enrollment::Origin::JoinCode),
            updated_at: Set(now),
            sourced_id: if release { Set(None) } else { sea_orm::ActiveValue::NotSet },
            ..Default::default()
        };
        let ended = enrollment::Entity::update_many().set(row);
        ended.filter(enrollment::Column::Id.is_in(ids.iter().copied())).exec(db).await?;
    }
    Ok(())
}
