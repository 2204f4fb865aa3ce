//! Ways to the database.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    Statement, prelude::async_trait,
};

use super::{
    batch::{BatchError, Batcher},
    commits::Commits,
    failure::Failure,
    request::{Answer, Request},
    retry::Retrying,
    sqlite::Connected,
};

/// A way to the database. For what it is, and what it does when nobody knows whether a change was made, see where it is
/// [had](super::Db::read).
#[derive(Clone)]
pub struct Access {
    retrying: Retrying,
    sqlite: Option<Sqlite>,
}

/// SQLite has no server that shares the work of commits by itself, as PostgreSQL does over as many connections as there
/// are.
#[derive(Clone)]
pub(super) enum Sqlite {
    /// Reads.
    Reader(Arc<Connected>),
    /// Writes.
    Writer(Arc<Batcher<Commits>>),
}

impl Access {
    pub(super) fn new(retrying: Retrying, sqlite: Option<Sqlite>) -> Self {
        Self { retrying, sqlite }
    }

    /// Makes a change of several statements: all of them or none. On SQLite their placeholders are plain `?`.
    ///
    /// The first of them changes a row, or else the change was made before, by an attempt whose answer was lost, and the
    /// others are not made once more. This is so on PostgreSQL; on SQLite nothing is made again that may have been made.
    pub async fn make(&self, change: Vec<Statement>) -> Result<(), DbErr> {
        if let Some(sqlite) = &self.sqlite {
            return self.ask(sqlite, Request::all(change)).await.map(drop);
        }
        if let [alone] = change.as_slice() {
            return self.retrying.execute_raw(alone.clone()).await.map(drop);
        }
        let change = &change;
        self.transaction(|transaction| async move {
            for (place, statement) in change.iter().enumerate() {
                let changed = transaction.execute_raw(statement.clone()).await?;
                if place == 0 && changed.rows_affected() == 0 {
                    break;
                }
            }
            Ok((transaction, ()))
        })
        .await
    }

    /// Makes a change that depends on what it finds: all of it, or none when a statement fails or `work` does. `work` is
    /// called again for every attempt, and hands the transaction back to be committed.
    pub async fn transaction<T, E, F>(&self, work: impl Fn(DatabaseTransaction) -> F) -> Result<T, E>
    where
        E: StdError + From<DbErr> + 'static,
        F: Future<Output = Result<(DatabaseTransaction, T), E>>,
    {
        self.retrying.transaction(work).await
    }

    /// Whether a server answers within `limit`.
    pub(super) async fn ping(&self, limit: Duration) -> Result<(), DbErr> {
        self.retrying.ping(limit).await
    }

    async fn ask(&self, sqlite: &Sqlite, asked: Request) -> Result<Answer, DbErr> {
        match sqlite {
            Sqlite::Reader(connected) => {
                let read = async || {
                    connected.readers.read(&asked).await.map_err(|error| (Failure::of(&error), error))
                };
                self.retrying.retry(read).await
            }
            Sqlite::Writer(commits) => commits.ask(asked).await.map_err(|error| match error {
                BatchError::Failed(error) => error,
                BatchError::Busy { .. } | BatchError::Ended => {
                    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
                }
            }),
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Access {
    fn get_database_backend(&self) -> DbBackend {
        self.retrying.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.sqlite {
            Some(sqlite) => Ok(self.ask(sqlite, Request::one(statement)).await?.changed()),
            None => self.retrying.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.sqlite {
            Some(_) => self.execute_raw(Statement::from_string(DbBackend::Sqlite, sql)).await,
            None => self.retrying.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.sqlite {
            Some(_) => Ok(self.query_all_raw(statement).await?.into_iter().next()),
            None => self.retrying.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.sqlite {
            Some(sqlite) => Ok(self.ask(sqlite, Request::one(statement)).await?.rows()),
            None => self.retrying.query_all_raw(statement).await,
        }
    }
}
