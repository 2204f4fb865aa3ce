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
    statements: usize,
    values: Vec<Value>,
}

impl Request {
    pub(super) fn one(statement: Statement) -> Self {
        Self::all(vec![statement])
    }

    /// The statements in a row, which SQLite takes as one, and gives each the next of the values.
    pub(super) fn all(all: Vec<Statement>) -> Self {
        let statements = all.len();
        let (mut sql, mut values) = (Vec::new(), Vec::new());
        for statement in all {
            debug_assert!(
                statements == 1 || !statement.sql.contains('$'),
                "a number would be of another's value"
            );
            sql.push(statement.sql);
            values.extend(statement.values.into_iter().flatten());
        }
        Self { sql: sql.join("; "), statements, values }
    }

    /// Whether it takes a transaction.
    pub(super) fn is_several(&self) -> bool {
        self.statements > 1
    }

    /// Makes it, within a transaction or by itself.
    pub(super) async fn make(&self, connection: &mut SqliteConnection) -> Result<Answer, DbErr> {
        make(self.sql.clone(), self.statements, self.values.clone(), connection).await
    }

    /// Makes it and commits it, in one go.
    pub(super) async fn commit(&self, connection: &mut SqliteConnection) -> Result<Answer, DbErr> {
        if !self.is_several() {
            return self.make(connection).await;
        }
        let sql = format!("{BEGIN}; {}; {COMMIT}", self.sql);
        make(sql, self.statements + 2, self.values.clone(), connection).await
    }
}

/// Says something that has no values, and is answered by nothing.
pub(super) async fn say(sql: &str, connection: &mut SqliteConnection) -> Result<(), DbErr> {
    make(sql.to_owned(), 1, Vec::new(), connection).await.map(drop)
}

/// Makes so many statements. The driver says of each that it is made; if its thread ends before, it says nothing more.
async fn make(
    sql: String,
    statements: usize,
    values: Vec<Value>,
    connection: &mut SqliteConnection,
) -> Result<Answer, DbErr> {
    let query = sqlx::query_with(AssertSqlSafe(sql), SqlxValues(Values(values)));
    let mut parts = connection.fetch_many(query);
    let (mut answer, mut made) = (Answer::default(), 0);
    while let Some(part) = parts.try_next().await.map_err(failed)? {
        match part {
            Either::Left(changed) => (answer.changed, made) = (changed, made + 1),
            Either::Right(row) => answer.rows.push(row),
        }
    }
    if made < statements { Err(failed(sqlx::Error::WorkerCrashed)) } else { Ok(answer) }
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

#[cfg(test)]
mod tests {
    use sqlx::{Connection, SqliteConnection};

    use super::{BEGIN, make, say};
    use crate::db::{ErrorKind, kind};

    #[tokio::test]
    async fn what_the_driver_does_not_say_is_made_was_not_made() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        say(BEGIN, &mut connection).await.unwrap();
        let text = "SELECT 1; SELECT 2".to_owned();
        make(text.clone(), 2, Vec::new(), &mut connection).await.unwrap();
        // As if its thread had ended before the third.
        let broken = make(text, 3, Vec::new(), &mut connection).await.map(drop).unwrap_err();
        assert_eq!(kind(&broken), ErrorKind::Unavailable);
    }
}
