//! Making a statement again that failed in passing, where that is safe.
//!
//! Statements of nodes that work on the same rows may clash, in which case a database rolls one of them back for it to be
//! made again: PostgreSQL when two deadlock or, if it is told to serialize transactions, when they cannot be; databases
//! that are like it at any time. And the connection that a statement is sent over may turn out to be broken, because the
//! server was restarted or another one has taken its place. Then nobody knows whether the statement was done.
//!
//! So it depends on the statement. What is looked up can be looked up again. A change is made again if it surely was not
//! made: the database says that it was rolled back, or the connection broke before a commit was sent. And if a change
//! comes to the same when it is made twice, it is made again in any case. In between are changes that may be made twice, but
//! not late: a connection that broke without a word may still have one on its way, which would then be made besides.

use std::{
    error::Error as StdError,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::TryFutureExt;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, prelude::async_trait,
};
use tokio::time::{sleep, timeout};

use super::{
    failure::{Failure, causes},
    leftovers::Leftovers,
};

/// How often a statement is made at most.
const ATTEMPTS: u32 = 10;
/// How long after the first attempt another one may begin.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause before the second attempt. It doubles with each attempt.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest pause before any attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// How long one attempt may take: a little longer than the database itself gives it, for a database that does not answer
/// at all.
const ANSWER: Duration = Duration::from_secs(6);

/// Whether a statement may be made again when nobody knows whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Only if it surely was not done.
    IfUndone,
    /// Only if it surely will not be done from now on.
    IfEnded,
    /// In any case.
    Always,
}

/// Connections whose statements are made again when they failed in passing.
#[derive(Clone)]
pub struct Retrying {
    pool: DatabaseConnection,
    repeat: Repeat,
    leftovers: Arc<Leftovers>,
}

/// A failed attempt, with what became of it.
type Failed<E> = (Option<Failure>, E);

impl Retrying {
    pub(super) fn new(pool: DatabaseConnection, repeat: Repeat, leftovers: Arc<Leftovers>) -> Self {
        Self { pool, repeat, leftovers }
    }

    /// Makes a change of several statements: all of them, or none when one fails or `work` does. `work` is called again
    /// for every attempt, and hands the transaction back to be committed.
    pub async fn transaction<T, E, F>(&self, work: impl Fn(DatabaseTransaction) -> F) -> Result<T, E>
    where
        E: StdError + From<DbErr> + 'static,
        F: Future<Output = Result<(DatabaseTransaction, T), E>>,
    {
        self.retry(|| async {
            // Until the commit is sent, a connection that breaks takes with it what was done over it.
            let undone = |error: E| match cause(&error).and_then(Failure::of) {
                Some(Failure::Ended | Failure::Unknown) => (Some(Failure::Undone), error),
                failure => (failure, error),
            };
            let transaction = begin(&self.pool).await.map_err(|error| undone(error.into()))?;
            let (transaction, value) = work(transaction).await.map_err(undone)?;
            transaction.commit().await.map_err(|error| (Failure::of(&error), error.into()))?;
            Ok(value)
        })
        .await
    }

    /// Whether the database answers within `limit`.
    pub(super) async fn ping(&self, limit: Duration) -> Result<(), DbErr> {
        let ping = self.statement(|| Box::pin(self.pool.ping())).map_err(|error| (None, error));
        self.within(limit, ping).await.map_err(|(_, error)| error)
    }

    async fn statement<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        self.retry(|| attempt().map_err(|error| (Failure::of(&error), error))).await
    }

    /// Makes an attempt, and again if it failed in passing and that is safe.
    pub(super) async fn retry<T, E, F>(&self, attempt: impl Fn() -> F) -> Result<T, E>
    where
        E: StdError + From<DbErr> + 'static,
        F: Future<Output = Result<T, Failed<E>>>,
    {
        let began = Instant::now();
        let mut pause = PAUSE;
        let mut number = 1;
        loop {
            let (failure, error) = match self.within(ANSWER, attempt()).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            let safe = match failure {
                Some(Failure::Undone) => true,
                Some(Failure::Ended) => self.repeat != Repeat::IfUndone,
                Some(Failure::Unknown) => self.repeat == Repeat::Always,
                Some(Failure::Lasting) | None => false,
            };
            if !safe || number == ATTEMPTS || began.elapsed() > PATIENCE {
                return Err(error);
            }
            tracing::debug!(attempt = number, error = causes(&error), "a statement is made again");
            // All that clashed at once must not clash again.
            sleep(pause.mul_f64(fastrand::f64())).await;
            pause = LONGEST_PAUSE.min(2 * pause);
            number += 1;
        }
    }

    /// Gives an attempt up that takes too long.
    async fn within<T, E: From<DbErr>>(
        &self,
        limit: Duration,
        attempt: impl Future<Output = Result<T, Failed<E>>>,
    ) -> Result<T, Failed<E>> {
        let mut attempt = pin!(attempt);
        // Declared after the attempt, and so dropped before it.
        let unfinished = self.leftovers.unless_finished();
        if let Ok(outcome) = timeout(limit, attempt.as_mut()).await {
            unfinished.finish();
            return outcome;
        }
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer");
        let late = DbErr::Query(RuntimeErr::SqlxError(Arc::new(late.into())));
        Err((Some(Failure::Unknown), late.into()))
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Retrying {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.statement(|| self.pool.execute_raw(statement.clone())).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.statement(|| self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.statement(|| self.pool.query_one_raw(statement.clone())).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.statement(|| self.pool.query_all_raw(statement.clone())).await
    }
}

/// Begins a transaction that will write.
pub(super) async fn begin(pool: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    // SQLite is told so at once: a transaction that begins as a reader cannot always become a writer.
    let sqlite = pool.get_database_backend() == DbBackend::Sqlite;
    let sqlite_transaction_mode = sqlite.then_some(SqliteTransactionMode::Immediate);
    pool.begin_with_options(TransactionOptions { sqlite_transaction_mode, ..Default::default() }).await
}

/// The database's failure among the causes of an error.
fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e DbErr> {
    let mut error = Some(error);
    while let Some(cause) = error {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        error = cause.source();
    }
    None
}
