//! The counts of the rate limiter. [`rate_limit`](crate::rate_limit) decides what they mean.
//!
//! A count forgets one failure after the other, at the pace of its policy (a leaky bucket). So a row does not contain the number of
//! failures but the time at which the last one is forgotten, and each failure moves that time. Times are milliseconds since 1970, so
//! that both databases calculate alike.

use std::ops::RangeInclusive;

use sea_orm::{
    QueryOrder, QuerySelect, QueryTrait, Statement, Value,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

use crate::domain::rate_limit_key::RateLimitKey;

/// The lifetime of a reservation in milliseconds, longer than any request. A killed node leaves reservations behind.
const RESERVATION: i64 = 30_000;
/// The maximum difference between the clocks of two nodes, in milliseconds. A row from further in the future was written by a wrong
/// clock and is ignored.
pub const SKEW: i64 = 30_000;

/// A count.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rate_limits")]
pub struct Model {
    /// The subject of the count.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: RateLimitKey,
    /// The time at which the last failure is forgotten.
    pub drained_at: i64,
    /// The time of the last failure.
    pub failed_at: i64,
    /// The number of attempts in progress.
    pub in_progress: i64,
    /// The time of the last reservation.
    pub reserved_at: i64,
    /// For an account at a network: the time until which it is known there.
    pub known_until: i64,
}

/// No relations.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// A count without failures.
    pub fn empty(key: RateLimitKey) -> Self {
        Self { key, drained_at: 0, failed_at: 0, in_progress: 0, reserved_at: 0, known_until: 0 }
    }

    /// The number of failures that are not forgotten at a time, if one is forgotten every `drain` milliseconds.
    pub fn failures(&self, drain: i64, at: i64) -> i64 {
        if self.failed_at > at + SKEW { 0 } else { (self.drained_at - at + drain - 1).max(0) / drain }
    }

    /// The number of attempts in progress at a time.
    pub fn attempts_in_progress(&self, at: i64) -> i64 {
        if (self.reserved_at - at).abs() < RESERVATION { self.in_progress } else { 0 }
    }
}

/// A failure to count: the key, and the milliseconds after which one failure is forgotten.
pub type Failure = (RateLimitKey, i64);

/// `in_progress` minus one attempt. It may be zero, as a reservation can expire.
const RELEASED: &str = "CASE WHEN rate_limits.in_progress > 0 THEN rate_limits.in_progress - 1 ELSE 0 END";

impl Entity {
    /// The rows of these keys, as far as they exist.
    pub async fn find_by_keys(
        db: &impl ConnectionTrait,
        keys: impl IntoIterator<Item = RateLimitKey>,
    ) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::Key.is_in(keys)).all(db).await
    }

    /// Reserves an attempt, and returns whether it did: if the count has not changed since it was `seen`, and fewer than `capacity`
    /// attempts are in progress. So concurrent attempts cannot exceed a limit.
    pub async fn reserve(
        db: &impl ConnectionTrait,
        seen: &Model,
        capacity: i64,
        at: i64,
    ) -> Result<bool, DbErr> {
        let in_progress = format!(
            "CASE WHEN abs(rate_limits.reserved_at - $2) < {RESERVATION} THEN rate_limits.in_progress ELSE 0 END"
        );
        let sql = format!(
            "INSERT INTO rate_limits (key, drained_at, failed_at, in_progress, reserved_at, known_until) \
             VALUES ($1, 0, 0, 1, $2, 0) \
             ON CONFLICT (key) DO UPDATE SET in_progress = {in_progress} + 1, reserved_at = excluded.reserved_at \
             WHERE rate_limits.drained_at = $3 AND {in_progress} < $4"
        );
        let values = [seen.key.clone().into(), at.into(), seen.drained_at.into(), capacity.into()];
        let reserved = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values));
        Ok(reserved.await?.rows_affected() == 1)
    }

    /// Counts an event, if fewer than `limit` are counted, and returns whether it did.
    pub async fn count(
        db: &impl ConnectionTrait,
        key: &RateLimitKey,
        limit: i64,
        drain: i64,
        at: i64,
    ) -> Result<bool, DbErr> {
        let valid = format!("rate_limits.drained_at > $2 AND rate_limits.failed_at <= $2 + {SKEW}");
        let sql = format!(
            "INSERT INTO rate_limits (key, drained_at, failed_at, in_progress, reserved_at, known_until) \
             VALUES ($1, $2 + {drain}, $2, 0, 0, 0) \
             ON CONFLICT (key) DO UPDATE SET failed_at = excluded.failed_at, \
               drained_at = excluded.drained_at + CASE WHEN {valid} THEN rate_limits.drained_at - $2 ELSE 0 END \
             WHERE NOT ({valid}) OR rate_limits.drained_at - $2 <= {max_counted}",
            max_counted = (limit - 1) * drain
        );
        let values = [key.clone().into(), at.into()];
        let count = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values));
        Ok(count.await?.rows_affected() == 1)
    }

    /// Counts a failure in each of these rows, and ends its reservation. All statements lock rows in the same order, which excludes
    /// deadlocks.
    pub async fn fail(db: &impl ConnectionTrait, failures: &[Failure], at: i64) -> Result<(), DbErr> {
        if failures.is_empty() {
            return Ok(());
        }
        let mut values: Vec<Value> = vec![at.into()];
        let mut rows = Vec::with_capacity(failures.len());
        for (key, drain) in failures {
            values.extend([key.clone().into(), (at + drain).into()]);
            rows.push(format!("(${}, ${}, $1, 0, 0, 0)", values.len() - 1, values.len()));
        }
        let sql = format!(
            "INSERT INTO rate_limits (key, drained_at, failed_at, in_progress, reserved_at, known_until) \
             VALUES {rows} \
             ON CONFLICT (key) DO UPDATE SET \
               drained_at = excluded.drained_at + CASE \
                 WHEN rate_limits.drained_at > $1 AND rate_limits.failed_at <= $1 + {SKEW} \
                 THEN rate_limits.drained_at - $1 ELSE 0 END, \
               failed_at = excluded.failed_at, \
               in_progress = {RELEASED}",
            rows = rows.join(", ")
        );
        db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
        Ok(())
    }

    /// Ends a reservation, resets the count, and makes the account known in its network.
    pub async fn succeed(
        db: &impl ConnectionTrait,
        key: RateLimitKey,
        known_until: i64,
    ) -> Result<(), DbErr> {
        Self::update_many()
            .col_expr(Column::DrainedAt, Expr::value(0_i64))
            .col_expr(Column::FailedAt, Expr::value(0_i64))
            .col_expr(Column::InProgress, Expr::cust(RELEASED))
            .col_expr(Column::KnownUntil, Expr::value(known_until))
            .filter(Column::Key.eq(key))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Ends a reservation. The count does not change.
    pub async fn release(db: &impl ConnectionTrait, key: RateLimitKey) -> Result<(), DbErr> {
        Self::update_many()
            .col_expr(Column::InProgress, Expr::cust(RELEASED))
            .filter(Column::Key.eq(key))
            .exec(db)
            .await?;
        Ok(())
    }

    /// Resets all counts with a key in `keys`. Known networks stay known. Each statement changes one row, to exclude deadlocks with
    /// concurrent attempts.
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

    /// Deletes all counts with a key in `keys`.
    pub async fn delete_range(
        db: &impl ConnectionTrait,
        keys: RangeInclusive<RateLimitKey>,
    ) -> Result<(), DbErr> {
        let (first, last) = keys.into_inner();
        Self::delete_many().filter(Column::Key.between(first, last)).exec(db).await?;
        Ok(())
    }

    /// All counts that have failures at a time.
    pub async fn with_failures(db: &impl ConnectionTrait, at: i64) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::DrainedAt.gt(at)).all(db).await
    }

    /// Deletes up to `limit` counts that have had no effect since `before`, and returns their number. Locked rows are skipped.
    pub async fn sweep(db: &impl ConnectionTrait, before: i64, limit: u64) -> Result<u64, DbErr> {
        let mut deletable = Self::find()
            .filter(Column::KnownUntil.lte(before))
            .filter(Column::DrainedAt.lte(before))
            .filter(Column::ReservedAt.lte(before))
            .limit(limit)
            .select_only()
            .column(Column::Key)
            .into_query();
        deletable.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let deleted = Self::delete_many().filter(Column::Key.in_subquery(deletable)).exec(db).await?;
        Ok(deleted.rows_affected)
    }
}
