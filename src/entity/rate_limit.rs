//! Counts of failures, and the statements that change them. What the numbers mean is decided in
//! [`rate_limit`](crate::rate_limit).
//!
//! A count drains: one failure is forgotten after the other, at a pace that its policy sets. So a row holds no number of
//! failures, but the time at which the last of them is forgotten; a failure adds its share of time to that. Times are
//! milliseconds since 1970, so that both databases do the same sums with them.

use std::ops::RangeInclusive;

use sea_orm::{
    QueryOrder, QuerySelect, QueryTrait, Statement, Value,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

use crate::domain::rate_limit_key::RateLimitKey;

/// For how long a reservation counts, in milliseconds: longer than any request may take. A node that was killed leaves
/// reservations behind.
const RESERVATION: i64 = 30_000;
/// How far the clocks of two nodes may be apart, in milliseconds. A row that was written later than that from now was written
/// by a clock that was wrong, and counts nothing.
pub const SKEW: i64 = 30_000;

/// A count.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rate_limits")]
pub struct Model {
    /// What is counted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: RateLimitKey,
    /// When the last failure is forgotten.
    pub drained_at: i64,
    /// When the last failure happened.
    pub failed_at: i64,
    /// Attempts that are being judged.
    pub under_way: i64,
    /// When the last of these was reserved.
    pub reserved_at: i64,
    /// For an account as tried from a network: until when a success from there makes it known there.
    pub known_until: i64,
}

/// A count has no relations.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// A count without failures.
    pub fn empty(key: RateLimitKey) -> Self {
        Self { key, drained_at: 0, failed_at: 0, under_way: 0, reserved_at: 0, known_until: 0 }
    }

    /// How many failures are not forgotten `at` a time, if one is forgotten every `drain` milliseconds.
    pub fn failures(&self, drain: i64, at: i64) -> i64 {
        if self.failed_at > at + SKEW { 0 } else { (self.drained_at - at + drain - 1).max(0) / drain }
    }

    /// How many attempts are being judged `at` a time.
    pub fn attempts_under_way(&self, at: i64) -> i64 {
        if (self.reserved_at - at).abs() < RESERVATION { self.under_way } else { 0 }
    }
}

/// A failure of a count: its key, and for how many milliseconds it is remembered beyond those before it.
pub type Failure = (RateLimitKey, i64);

/// `under_way`, less one attempt. A reservation may have been forgotten since it was made.
const RELEASED: &str = "CASE WHEN rate_limits.under_way > 0 THEN rate_limits.under_way - 1 ELSE 0 END";

impl Entity {
    /// The counts of these keys, as far as there are rows.
    pub async fn find_by_keys(
        db: &impl ConnectionTrait,
        keys: impl IntoIterator<Item = RateLimitKey>,
    ) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::Key.is_in(keys)).all(db).await
    }

    /// Reserves an attempt, and says whether there was room: the count is as it was `seen`, and fewer than `room` attempts are
    /// under way. So attempts at the same time cannot outrun a limit.
    pub async fn reserve(db: &impl ConnectionTrait, seen: &Model, room: i64, at: i64) -> Result<bool, DbErr> {
        let under_way = format!(
            "CASE WHEN abs(rate_limits.reserved_at - $2) < {RESERVATION} THEN rate_limits.under_way ELSE 0 END"
        );
        let sql = format!(
            "INSERT INTO rate_limits (key, drained_at, failed_at, under_way, reserved_at, known_until) \
             VALUES ($1, 0, 0, 1, $2, 0) \
             ON CONFLICT (key) DO UPDATE SET under_way = {under_way} + 1, reserved_at = excluded.reserved_at \
             WHERE rate_limits.drained_at = $3 AND {under_way} < $4"
        );
        let values = [seen.key.clone().into(), at.into(), seen.drained_at.into(), room.into()];
        let reserved = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values));
        Ok(reserved.await?.rows_affected() == 1)
    }

    /// Counts an event, if fewer than `limit` are counted, and says whether it did.
    pub async fn count(
        db: &impl ConnectionTrait,
        key: &RateLimitKey,
        limit: i64,
        drain: i64,
        at: i64,
    ) -> Result<bool, DbErr> {
        let valid = format!("rate_limits.drained_at > $2 AND rate_limits.failed_at <= $2 + {SKEW}");
        let sql = format!(
            "INSERT INTO rate_limits (key, drained_at, failed_at, under_way, reserved_at, known_until) \
             VALUES ($1, $2 + {drain}, $2, 0, 0, 0) \
             ON CONFLICT (key) DO UPDATE SET failed_at = excluded.failed_at, \
               drained_at = excluded.drained_at + CASE WHEN {valid} THEN rate_limits.drained_at - $2 ELSE 0 END \
             WHERE NOT ({valid}) OR rate_limits.drained_at - $2 <= {room}",
            room = (limit - 1) * drain
        );
        let values = [key.clone().into(), at.into()];
        let count = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values));
        Ok(count.await?.rows_affected() == 1)
    }

    /// Counts a failure in each of these, and ends its reservation. Rows are locked in the order of `failures`, by which no two
    /// statements wait for each other.
    pub async fn fail(db: &impl ConnectionTrait, failures: &[Failure], at: i64) -> Result<(), DbErr> {
        let mut values: Vec<Value> = vec![at.into()];
        let mut rows = Vec::with_capacity(failures.len());
        for (key, drain) in failures {
            values.extend([key.clone().into(), (at + drain).into()]);
            rows.push(format!("(${}, ${}, $1, 0, 0, 0)", values.len() - 1, values.len()));
        }
        let sql = format!(
            "INSERT INTO rate_limits (key, drained_at, failed_at, under_way, reserved_at, known_until) \
             VALUES {rows} \
             ON CONFLICT (key) DO UPDATE SET \
               drained_at = excluded.drained_at + CASE \
                 WHEN rate_limits.drained_at > $1 AND rate_limits.failed_at <= $1 + {SKEW} \
                 THEN rate_limits.drained_at - $1 ELSE 0 END, \
               failed_at = excluded.failed_at, \
               under_way = {RELEASED}",
            rows = rows.join(", ")
        );
        db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
        Ok(())
    }

    /// Ends a reservation, and forgets the failures of an account as tried from a network, which is known from now on.
    pub async fn succeed(
        db: &impl ConnectionTrait,
        key: RateLimitKey,
        known_until: i64,
    ) -> Result<(), DbErr> {
        Self::update_many()
            .col_expr(Column::DrainedAt, Expr::value(0_i64))
            .col_expr(Column::FailedAt, Expr::value(0_i64))
            .col_expr(Column::UnderWay, Expr::cust(RELEASED))
            .col_expr(Column::KnownUntil, Expr::value(known_until))
            .filter(Column::Key.eq(key))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Ends a reservation. The count stays as it is.
    pub async fn release(db: &impl ConnectionTrait, key: RateLimitKey) -> Result<(), DbErr> {
        Self::update_many()
            .col_expr(Column::UnderWay, Expr::cust(RELEASED))
            .filter(Column::Key.eq(key))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Forgets the failures of every count with a key in `keys`. Known networks stay known. Rows are changed one at a time, so
    /// that no attempt at the same time gets in the way.
    pub async fn forget(db: &impl ConnectionTrait, keys: RangeInclusive<RateLimitKey>) -> Result<(), DbErr> {
        let (first, last) = keys.into_inner();
        let keys: Vec<RateLimitKey> = Self::find()
            .select_only()
            .column(Column::Key)
            .filter(Column::Key.between(first, last))
            .order_by_asc(Column::Key)
            .into_tuple()
            .all(db)
            .await?;
        for key in keys {
            Self::update_many()
                .col_expr(Column::DrainedAt, Expr::value(0_i64))
                .col_expr(Column::FailedAt, Expr::value(0_i64))
                .filter(Column::Key.eq(key))
                .exec(db)
                .await?;
        }
        Ok(())
    }

    /// Deletes up to `limit` counts that neither count a failure nor know a network since `before`, and says how many it
    /// were. Rows that another statement works on are left for the next time.
    pub async fn sweep(db: &impl ConnectionTrait, before: i64, limit: u64) -> Result<u64, DbErr> {
        let mut over = Self::find()
            .filter(Column::KnownUntil.lte(before))
            .filter(Column::DrainedAt.lte(before))
            .filter(Column::ReservedAt.lte(before))
            .limit(limit)
            .select_only()
            .column(Column::Key)
            .into_query();
        over.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let swept = Self::delete_many().filter(Column::Key.in_subquery(over)).exec(db).await?;
        Ok(swept.rows_affected)
    }
}
