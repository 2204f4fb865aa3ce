//! What SQLite is asked, and what it answers.

use futures_util::TryStreamExt;
use sea_orm::{DbErr, ExecResult, QueryResult, Statement, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Either, Executor, SqliteConnection,
    sqlite::{SqliteQueryResult, SqliteRow},
};

use super::sqlite::failed;

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// What is asked: a statement, or several of which all are made or none.
pub(super) struct Request {
    sql: String,
    values: Vec<Value>,
    several: bool,
}

impl Request {
    pub(super) fn one(statement: Statement) -> Self {
        Self::all(vec![statement])
    }

    /// The statements in a row, which SQLite takes as one, and gives each the next of the values.
    pub(super) fn all(statements: Vec<Statement>) -> Self {
        let several = statements.len() > 1;
        let (mut sql, mut values) = (Vec::new(), Vec::new());
        for statement in statements {
            debug_assert!(!several || !statement.sql.contains('$'), "a number would be of another's value");
            sql.push(statement.sql);
            values.extend(statement.values.into_iter().flatten());
        }
        Self { sql: sql.join("; "), values, several }
    }

    /// Whether it takes a transaction.
    pub(super) fn is_several(&self) -> bool {
        self.several
    }

    /// Makes it, within a transaction or by itself.
    pub(super) async fn make(&self, connection: &mut SqliteConnection) -> Result<Answer, DbErr> {
        self.make_as(self.sql.clone(), connection).await
    }

    /// Makes it and commits it, in one go.
    pub(super) async fn commit(&self, connection: &mut SqliteConnection) -> Result<Answer, DbErr> {
        let Self { sql, several, .. } = self;
        let sql = if *several { format!("{BEGIN}; {sql}; {COMMIT}") } else { sql.clone() };
        self.make_as(sql, connection).await
    }

    async fn make_as(&self, sql: String, connection: &mut SqliteConnection) -> Result<Answer, DbErr> {
        let query = sqlx::query_with(AssertSqlSafe(sql), SqlxValues(Values(self.values.clone())));
        let mut parts = connection.fetch_many(query);
        let mut answer = Answer::default();
        while let Some(part) = parts.try_next().await.map_err(failed)? {
            match part {
                Either::Left(changed) => answer.changed = changed,
                Either::Right(row) => answer.rows.push(row),
            }
        }
        Ok(answer)
    }
}

/// What SQLite answered.
#[derive(Default)]
pub(super) struct Answer {
    /// Of the last statement.
    changed: SqliteQueryResult,
    rows: Vec<SqliteRow>,
}

impl Answer {
    pub(super) fn changed(self) -> ExecResult {
        self.changed.into()
    }

    pub(super) fn rows(self) -> Vec<QueryResult> {
        self.rows.into_iter().map(QueryResult::from).collect()
    }
}
