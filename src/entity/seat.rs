//! Seats: the statements that make a student of a class an active, a pending or a former one.
//!
//! A statement that makes a student active follows [`enrollment::Entity::lock_class`] in the same transaction. So no two of them
//! count the seats of a class at once. PostgreSQL takes the snapshot of a statement before it waits for a lock, so the lock is a
//! statement of its own. All transactions lock in this order: class, account, enrollment, join code.

use sea_orm::{QuerySelect, QueryTrait, Statement, entity::prelude::*, sea_query::Expr};

use super::{
    class,
    enrollment::{self, Column, Entity, Model, Origin, Status},
    join_code, user,
};
use crate::domain::{
    id::{ClassId, EnrollmentId, UserId},
    join_code::JoinCode,
};

/// The condition that the class `c` has a seat.
const HAS_SEAT: &str = "(c.max_students IS NULL OR (SELECT count(*) FROM enrollments e \
                        WHERE e.class_id = c.id AND e.status = 'active') < c.max_students)";

/// The origin of a former student who is back. Without the files of the school, the owner gets no power over an account of these files.
const RETURNED_ORIGIN: &str =
    "CASE WHEN enrollments.sourced_id IS NULL THEN enrollments.origin ELSE 'join_code' END";

/// A student who joins a class with its code.
#[derive(Debug, Clone)]
pub struct Joining {
    /// The id of a new enrollment.
    pub id: EnrollmentId,
    /// The class.
    pub class: ClassId,
    /// The student.
    pub student: UserId,
    /// The join code of the class.
    pub code: JoinCode,
    /// The time.
    pub now: DateTimeUtc,
}

/// The outcome of [`join`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// The student is an active or a pending one now.
    Enrolled(Model),
    /// The student was an active or a pending one before.
    AlreadyEnrolled,
    /// The student owns the class.
    OwnClass,
    /// The class has no free seat.
    ClassFull,
    /// The code is not the valid code of an active class.
    NoSuchCode,
    /// The account does not exist.
    NoSuchUser,
}

/// A student of a class, whom its owner makes an active one.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// The class.
    pub class: ClassId,
    /// The owner of the class.
    pub owner: UserId,
    /// The student.
    pub student: UserId,
    /// The time.
    pub now: DateTimeUtc,
}

/// The outcome of [`admit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The student was pending and is active now.
    Admitted,
    /// The student was active before.
    AlreadyActive,
    /// The class has no such pending student.
    NoSuchStudent,
    /// The class has no seat to give.
    Refused(NoSeat),
}

/// Why a class has no seat to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSeat {
    /// Another user owns the class, or it was deleted.
    NotOwned,
    /// The class is not in use.
    Inactive,
    /// The class has fewer free seats than wanted.
    Full,
}

/// Enrolls a student with a join code, as a pending one if the class requires approval. A former student gets the same row again,
/// with the origin of [`readmit`]. Call it in a transaction.
pub async fn join(db: &impl ConnectionTrait, joining: &Joining) -> Result<Joined, DbErr> {
    let Joining { id, class, student, code, now } = joining.clone();
    Entity::lock_class(db, class).await?;
    let Some(key) = user::Entity::hold_sort_key(db, student).await? else { return Ok(Joined::NoSuchUser) };
    // Locked, so that the student does not leave before the statement below.
    if matches!(hold_status(db, class, student).await?, Some(Status::Active | Status::Pending)) {
        return Ok(Joined::AlreadyEnrolled);
    }
    let sql = format!(
        "INSERT INTO enrollments (id, class_id, student_id, enrolled_at, status, origin, student_key, created_at, updated_at) \
         SELECT $1, c.id, $3, $4, CASE WHEN c.requires_approval THEN 'pending' ELSE 'active' END, 'join_code', $5, $6, $6 \
         FROM classes c JOIN join_codes j ON j.class_id = c.id \
         WHERE c.id = $2 AND j.code = $7 AND j.expires_at > $6 AND c.is_active AND c.owner_id <> $3 AND {HAS_SEAT} \
         ON CONFLICT (class_id, student_id) DO UPDATE SET status = excluded.status, enrolled_at = excluded.enrolled_at, \
         student_key = excluded.student_key, updated_at = excluded.updated_at, origin = {RETURNED_ORIGIN} \
         WHERE enrollments.status NOT IN ('active', 'pending') RETURNING *"
    );
    let values = [
        id.into(),
        class.into(),
        student.into(),
        now.date_naive().into(),
        key.into(),
        now.into(),
        code.clone().into(),
    ];
    let insert = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    if let Some(row) = Entity::find().from_raw_sql(insert).one(db).await? {
        join_code::Entity::count_join(db, class, &code).await?;
        return Ok(Joined::Enrolled(row));
    }
    let Some(found) = class::Entity::find_by_id(class).one(db).await? else { return Ok(Joined::NoSuchCode) };
    if found.owner_id == student {
        return Ok(Joined::OwnClass);
    }
    let valid = join_code::Entity::find_valid(db, class, now).await?;
    let is_valid = found.is_active && valid.is_some_and(|row| row.code == code);
    // All other conditions of the statement hold.
    Ok(if is_valid { Joined::ClassFull } else { Joined::NoSuchCode })
}

/// Makes a pending student an active one. Call it in a transaction.
pub async fn admit(db: &impl ConnectionTrait, candidate: Candidate) -> Result<Admission, DbErr> {
    let Candidate { class, owner, student, .. } = candidate;
    Entity::lock_class(db, class).await?;
    match hold_status(db, class, student).await? {
        Some(Status::Pending) => {}
        Some(Status::Active) => return Ok(Admission::AlreadyActive),
        _ => return Ok(Admission::NoSuchStudent),
    }
    if take(db, candidate, "origin", "= 'pending'").await? {
        return Ok(Admission::Admitted);
    }
    // A student who left meanwhile may have freed a seat. The class was full when it was asked for one.
    let reason = no_seats(db, class, owner, 1).await?.unwrap_or(NoSeat::Full);
    Ok(Admission::Refused(reason))
}

/// Makes a former student an active one. A student whom the files of the school put into the class comes back without them, so the
/// owner gets no power over the account. Call it in a transaction.
pub async fn readmit(db: &impl ConnectionTrait, candidate: Candidate) -> Result<Option<NoSeat>, DbErr> {
    Entity::lock_class(db, candidate.class).await?;
    let reason = no_seats(db, candidate.class, candidate.owner, 1).await?;
    if reason.is_none() {
        take(db, candidate, RETURNED_ORIGIN, "NOT IN ('active', 'pending')").await?;
    }
    Ok(reason)
}

/// Makes an active or a pending student a former one. With an owner, only in a class of this owner. A student who leaves ends the
/// owner's power over the account. Returns whether it did.
pub async fn end(
    db: &impl ConnectionTrait,
    class: ClassId,
    student: UserId,
    owner: Option<UserId>,
    now: DateTimeUtc,
) -> Result<bool, DbErr> {
    let mut end = Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Dropped))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::ClassId.eq(class))
        .filter(Column::StudentId.eq(student))
        .filter(Column::Status.is_in([Status::Active, Status::Pending]));
    if let Some(owner) = owner {
        let classes = class::Entity::find()
            .select_only()
            .column(class::Column::Id)
            .filter(class::Column::Id.eq(class))
            .filter(class::Column::OwnerId.eq(owner));
        end = end.filter(Column::ClassId.in_subquery(classes.into_query()));
    } else {
        end = end.col_expr(Column::Origin, Expr::value(Origin::JoinCode));
    }
    Ok(end.exec(db).await?.rows_affected == 1)
}

/// The status of a student in a class. Keeps it until the end of the transaction.
async fn hold_status(
    db: &impl ConnectionTrait,
    class: ClassId,
    student: UserId,
) -> Result<Option<Status>, DbErr> {
    let row = Entity::find().filter(Column::ClassId.eq(class)).filter(Column::StudentId.eq(student));
    row.lock_exclusive().select_only().column(Column::Status).into_tuple().one(db).await
}

/// Makes a student with a certain status an active one, if the class is an active one of the owner and has a seat. `origin` is the SQL
/// of the new origin. Returns whether it did. The class must be locked.
async fn take(
    db: &impl ConnectionTrait,
    candidate: Candidate,
    origin: &str,
    status: &str,
) -> Result<bool, DbErr> {
    let Candidate { class, owner, student, now } = candidate;
    let sql = format!(
        "UPDATE enrollments SET status = 'active', origin = {origin}, enrolled_at = $1, updated_at = $2 \
         WHERE class_id = $3 AND student_id = $4 AND status {status} AND EXISTS \
         (SELECT 1 FROM classes c WHERE c.id = $3 AND c.owner_id = $5 AND c.is_active AND {HAS_SEAT})"
    );
    let values = [now.date_naive().into(), now.into(), class.into(), student.into(), owner.into()];
    let update = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(update).await?.rows_affected() == 1)
}

/// Why a class of an owner has fewer free seats than `wanted`. `None` if it has as many. The result stays true only if the class is
/// locked.
pub async fn no_seats(
    db: &impl ConnectionTrait,
    id: ClassId,
    owner: UserId,
    wanted: usize,
) -> Result<Option<NoSeat>, DbErr> {
    let class = class::Entity::find_by_id(id).one(db).await?;
    let Some(class) = class.filter(|class| class.owner_id == owner) else {
        return Ok(Some(NoSeat::NotOwned));
    };
    if !class.is_active {
        return Ok(Some(NoSeat::Inactive));
    }
    let Some(most) = class.max_students else { return Ok(None) };
    let after = enrollment::Entity::seats(db, id).await?.saturating_add(wanted as u64);
    Ok((after > u64::try_from(most.get()).unwrap_or_default()).then_some(NoSeat::Full))
}
