//! Counts of failures, and the statements that hold an attempt against them.
//!
//! A count is *in a row*, until something succeeds, or *in a window* of time, with which it ends. An attempt is charged to
//! all the counts that it is held against by one statement, before anybody knows whether it fails, so that attempts at
//! the same time cannot outrun a count: the limits are in the statement, and PostgreSQL judges them by each row as it
//! is when it is changed. Rows are changed in one order everywhere, by which no two statements wait for each other.
//!
//! Times are milliseconds since 1970, so that both databases do the same sums with them.

use std::{
    fmt::{Display, Write},
    ops::RangeInclusive,
};

use sea_orm::{
    DbBackend, FromQueryResult, QueryOrder, QuerySelect, QueryTrait, Statement, Value,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

use crate::domain::throttle_key::ThrottleKey;

/// The longest that anybody waits after a failure in a row, in milliseconds.
pub const LONGEST_DELAY: i64 = 900_000;
/// The longest delay that is set: so much less that it holds for an attempt that arrived before.
const LONGEST_SET: i64 = LONGEST_DELAY - SKEW;
/// How long a count in a row is remembered for each failure in it, in milliseconds: what a spray over many accounts leaves
/// behind goes soon, and a count that comes near its limit stays.
const MEMORY: i64 = 7 * 24 * 3_600_000;
/// When a count in a row is forgotten that is full.
const FOREVER: i64 = i64::MAX;

/// A count.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "throttles")]
pub struct Model {
    /// What is counted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: ThrottleKey,
    /// Failures, and attempts that may become some.
    pub failures: i64,
    /// How many there may be, by the limit that the last one was held against.
    pub allowed: i64,
    /// In a row: until when the next attempt has to wait. In a window: when the window ends.
    pub resumes_at: i64,
    /// For an account from a network: until when a success from there speaks for it.
    pub known_until: i64,
    /// From when on this row means nothing.
    pub forgotten_at: i64,
}

/// Nothing is read from a count's side.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// One count that an attempt is held against.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Which.
    pub key: ThrottleKey,
    /// How many failures there may be.
    pub allowed: i64,
    /// How many there may be if the attempt's first count has a failure already.
    pub allowed_again: i64,
    /// When a window that begins now ends; 0 of a count in a row.
    pub window_ends: i64,
}

/// What an attempt is held against.
///
/// Of the first count more is asked: whether it has failures decides between [`Limit::allowed`] and
/// [`Limit::allowed_again`]; only it makes the next attempt wait; and while [`Model::known_until`] speaks for it, the others do
/// not count.
#[derive(Debug)]
pub struct Attempt {
    /// When it is made.
    pub at: i64,
    /// The counts, at least one, in the order in which they are changed everywhere.
    pub limits: Vec<Limit>,
    /// How many of them it is charged to, from the first on. The others are only asked.
    pub charged: usize,
    /// How many of them, from the first on, are of one account or user alone. The others many share.
    pub own: usize,
    /// How many failures in a row nobody waits for.
    pub free: i64,
}

/// A count that an attempt was charged to, as it was left.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct Charged {
    /// Which.
    pub key: ThrottleKey,
    /// The delay or the window that the charge falls in.
    pub resumes_at: i64,
    /// See [`Model::known_until`].
    pub known_until: i64,
}

impl Attempt {
    /// The counts that are of one account or user alone.
    pub fn own(&self) -> &[Limit] {
        &self.limits[..self.own]
    }

    /// A statement on the counts that this attempt is held against, which it knows as `asked`.
    fn statement(&self, db: &impl ConnectionTrait, then: &str) -> Statement {
        let mut given = String::new();
        let mut values: Vec<Value> = vec![self.at.into()];
        for (place, Limit { key, allowed, allowed_again, window_ends }) in self.limits.iter().enumerate() {
            row(&mut given, place, numbered(values.len()));
            values.extend([
                key.clone().into(),
                (*allowed).into(),
                (*allowed_again).into(),
                (*window_ends).into(),
            ]);
        }
        let sql = format!(
            "WITH given (place, key, allowed, allowed_again, resumes_at) AS (VALUES {given}), \
             asked AS ( \
               SELECT place, key, resumes_at, CASE WHEN EXISTS ( \
                   SELECT 1 FROM throttles WHERE key = $2 AND failures > 0 AND forgotten_at > $1 \
                 ) THEN allowed_again ELSE allowed END AS allowed \
               FROM given \
               WHERE place = 0 OR NOT EXISTS (SELECT 1 FROM throttles WHERE key = $2 AND known_until > $1) \
             ) {then}"
        );
        Statement::from_sql_and_values(db.get_database_backend(), sql, values)
    }
}

/// Adds a row to the `VALUES` that are given: its place, and four of the statement's values.
fn row(given: &mut String, place: usize, [first, second, third, fourth]: [impl Display; 4]) {
    let separator = if place == 0 { "" } else { ", " };
    // Writing to a text cannot fail.
    let _ = write!(given, "{separator}({place}, {first}, {second}, {third}, {fourth})");
}

/// The four values behind so many others.
fn numbered(values: usize) -> [String; 4] {
    [1, 2, 3, 4].map(|next| format!("${}", values + next))
}

/// By how many milliseconds an attempt may be older than the one that opened its window or set its delay: it is judged as
/// of its arrival, and may have waited since for as long as any request may, or be on a node whose clock is a little behind.
const SKEW: i64 = 30_000;

/// Whether the count `row` refuses what it is asked. A time further ahead than the rule can have set it is of a clock
/// that was wrong, and means nothing.
fn refuses(row: &str, asked: &str) -> String {
    format!(
        "CASE WHEN {asked}.resumes_at > 0 \
         THEN {row}.failures >= {asked}.allowed AND {row}.resumes_at > $1 \
           AND {row}.resumes_at <= {asked}.resumes_at + {SKEW} \
         ELSE {row}.failures >= {asked}.allowed \
           OR ({row}.resumes_at > $1 AND {row}.resumes_at <= $1 + {LONGEST_DELAY}) END"
    )
}

impl Entity {
    /// Charges an attempt, if every count that it is held against allows it.
    ///
    /// If one does not, nothing is written. If one was filled in the same moment, it is missing from the answer, and
    /// whoever asked gives the others [back](Self::give_back). A count that is known answers alone. The answer is in the
    /// order of the attempt's counts.
    pub async fn charge(db: &impl ConnectionTrait, attempt: &Attempt) -> Result<Vec<Charged>, DbErr> {
        let Attempt { charged, free, .. } = attempt;
        let refused = refuses("held", "other");
        let overtaken = refuses("throttles", "excluded");
        let ended = format!(
            "excluded.resumes_at > 0 \
             AND (throttles.resumes_at <= $1 OR throttles.resumes_at > excluded.resumes_at + {SKEW})"
        );
        let charge = attempt.statement(
            db,
            &format!(
                "INSERT INTO throttles (key, failures, allowed, resumes_at, known_until, forgotten_at) \
                 SELECT key, 1, allowed, resumes_at, 0, \
                   CASE WHEN resumes_at > 0 THEN resumes_at ELSE $1 + {MEMORY} END \
                 FROM asked \
                 WHERE place < {charged} AND NOT EXISTS ( \
                   SELECT 1 FROM asked AS other JOIN throttles AS held ON held.key = other.key WHERE {refused}) \
                 ORDER BY place \
                 ON CONFLICT (key) DO UPDATE SET \
                   failures = CASE WHEN {ended} THEN 1 ELSE throttles.failures + 1 END, \
                   allowed = excluded.allowed, \
                   resumes_at = CASE \
                     WHEN {ended} THEN excluded.resumes_at \
                     WHEN excluded.resumes_at > 0 THEN throttles.resumes_at \
                     WHEN throttles.key <> $2 OR throttles.failures < {free} THEN 0 \
                     WHEN throttles.failures - {free} >= 10 THEN $1 + {LONGEST_SET} \
                     ELSE $1 + 1000 * (1 << CAST(throttles.failures - {free} AS INTEGER)) END, \
                   forgotten_at = CASE \
                     WHEN {ended} THEN excluded.resumes_at \
                     WHEN excluded.resumes_at > 0 THEN throttles.resumes_at \
                     WHEN throttles.failures + 1 >= excluded.allowed THEN {FOREVER} \
                     WHEN throttles.known_until > $1 + {MEMORY} * (throttles.failures + 1) \
                       THEN throttles.known_until \
                     ELSE $1 + {MEMORY} * (throttles.failures + 1) END \
                 WHERE NOT ({overtaken}) \
                 RETURNING key, resumes_at, known_until"
            ),
        );
        let mut charged = Charged::find_by_statement(charge).all(db).await?;
        charged.sort_by_key(|charged| attempt.limits.iter().position(|limit| limit.key == charged.key));
        Ok(charged)
    }

    /// For how many more milliseconds an attempt would be refused, if it would be. A count in a row that is full answers
    /// the longest delay: it waits for an operator.
    pub async fn refusal(db: &impl ConnectionTrait, attempt: &Attempt) -> Result<Option<i64>, DbErr> {
        #[derive(FromQueryResult)]
        struct Refusal {
            wait: Option<i64>,
        }
        let refused = refuses("held", "asked");
        let refusal = attempt.statement(
            db,
            &format!(
                "SELECT MAX(CASE \
                     WHEN asked.resumes_at = 0 AND held.failures >= asked.allowed THEN {LONGEST_DELAY} \
                     ELSE held.resumes_at - $1 END) AS wait \
                 FROM asked JOIN throttles AS held ON held.key = asked.key WHERE {refused}"
            ),
        );
        Ok(Refusal::find_by_statement(refusal).one(db).await?.and_then(|refusal| refusal.wait))
    }

    /// Ends two counts in a row, as something has succeeded: the one of an account from a network, which is known
    /// from now on, and the one of the account. `others` are given [back](Self::give_back).
    pub fn settling<'a>(
        backend: DbBackend,
        [pair, account]: [&ThrottleKey; 2],
        others: impl Iterator<Item = &'a Charged>,
        now: i64,
        known_until: i64,
    ) -> Statement {
        let ended = [(pair, 0, known_until, known_until), (account, 0, 0, now)].into_iter();
        let given_back = others.map(|Charged { key, resumes_at, .. }| (key, *resumes_at, 0, *resumes_at));
        let mut given = String::new();
        let mut values: Vec<Value> = Vec::new();
        for (place, (key, resumes_at, known_until, forgotten_at)) in ended.chain(given_back).enumerate() {
            match backend {
                // Others may stand before it, whose values come first.
                DbBackend::Sqlite => row(&mut given, place, ["?"; 4]),
                _ => row(&mut given, place, numbered(values.len())),
            }
            values.extend([key.clone().into(), resumes_at.into(), known_until.into(), forgotten_at.into()]);
        }
        let sql = format!(
            "WITH given (place, key, resumes_at, known_until, forgotten_at) AS (VALUES {given}) \
             INSERT INTO throttles (key, failures, allowed, resumes_at, known_until, forgotten_at) \
             SELECT key, 0, 0, resumes_at, known_until, forgotten_at FROM given \
             WHERE place = 0 OR EXISTS (SELECT 1 FROM throttles AS held WHERE held.key = given.key) \
             ORDER BY place \
             ON CONFLICT (key) DO UPDATE SET \
               failures = CASE WHEN excluded.resumes_at > 0 THEN throttles.failures - 1 ELSE 0 END, \
               resumes_at = excluded.resumes_at, \
               known_until = excluded.known_until, \
               forgotten_at = excluded.forgotten_at \
             WHERE excluded.resumes_at = 0 \
               OR (throttles.resumes_at = excluded.resumes_at AND throttles.failures > 0)"
        );
        Statement::from_sql_and_values(backend, sql, values)
    }

    /// Takes back the charge of an attempt that was made `at` a time, unless it is of a window that is over.
    pub async fn give_back(
        db: &impl ConnectionTrait,
        Charged { key, resumes_at, .. }: &Charged,
        at: i64,
    ) -> Result<(), DbErr> {
        // A window goes on; a delay is over with the failure that it was for, and stays if it is another one's. What was full
        // is forgotten in its time again, and what counts nothing any more at once.
        let windowed = "forgotten_at = resumes_at";
        let sql = format!(
            "UPDATE throttles SET failures = failures - 1, \
               resumes_at = CASE WHEN resumes_at = $2 AND NOT {windowed} THEN 0 ELSE resumes_at END, \
               forgotten_at = CASE \
                 WHEN {windowed} OR (failures > 1 AND forgotten_at < {FOREVER}) THEN forgotten_at \
                 WHEN known_until > $3 + {MEMORY} * (failures - 1) THEN known_until \
                 ELSE $3 + {MEMORY} * (failures - 1) END \
             WHERE key = $1 AND failures > 0 AND (resumes_at = $2 OR NOT {windowed})"
        );
        let values = [key.clone().into(), (*resumes_at).into(), at.into()];
        db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
        Ok(())
    }

    /// Makes every count with a key in `keys` as if nothing had ever failed; what is known stays so. One row at a time,
    /// so that nobody who guesses meanwhile gets in its way.
    pub async fn reset(db: &impl ConnectionTrait, keys: RangeInclusive<ThrottleKey>) -> Result<(), DbErr> {
        let (first, last) = keys.into_inner();
        let keys: Vec<ThrottleKey> = Self::find()
            .select_only()
            .column(Column::Key)
            .filter(Column::Key.between(first, last))
            .order_by_asc(Column::Key)
            .into_tuple()
            .all(db)
            .await?;
        for key in keys {
            Self::update_many()
                .col_expr(Column::Failures, Expr::value(0_i64))
                .col_expr(Column::ResumesAt, Expr::value(0_i64))
                .col_expr(Column::ForgottenAt, Expr::col(Column::KnownUntil))
                .filter(Column::Key.eq(key))
                .exec(db)
                .await?;
        }
        Ok(())
    }

    /// Deletes up to `limit` counts that mean nothing any more, and says how many it were. Those that somebody works on
    /// are left for the next time.
    pub async fn sweep(db: &impl ConnectionTrait, now: i64, limit: u64) -> Result<u64, DbErr> {
        let mut forgotten = Self::find()
            .filter(Column::ForgottenAt.lte(now))
            .limit(limit)
            .select_only()
            .column(Column::Key)
            .into_query();
        forgotten.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let swept = Self::delete_many().filter(Column::Key.in_subquery(forgotten)).exec(db).await?;
        Ok(swept.rows_affected)
    }
}
