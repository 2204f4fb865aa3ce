//! The database: one SQLite file, or a PostgreSQL server.
//!
//! [`Db::read`] gives a connection for queries. [`Db::write`] and [`Db::transaction`] run a job that changes rows, and return
//! once the change is durable. A job runs to its end even if the client disconnects. On SQLite, changes are made in the order in
//! which they were requested. On PostgreSQL, the network or a stopped server can delay a statement, so a statement that must not
//! replace newer data has a condition.
//!
//! On SQLite one task makes all changes of this process: changes share commits and do not wait for each other's locks. On
//! PostgreSQL all connections are one pool.

mod error;
mod migrate;
mod postgres;
mod postgres_url;
pub mod read_only;
mod sqlite;
mod url;
mod writer;

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseExecutor, DbBackend, DbErr, Statement,
};
use tokio::time::timeout;
use tracing::Instrument;

use self::writer::Writer;
pub use self::{
    error::{ErrorKind, causes, kind},
    migrate::MigrationStatus,
    url::{DatabaseUrl, InvalidDatabaseUrl},
};

/// Longest wait for a connection of a pool.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Longest wait for the answer to a ping.
const PING: Duration = Duration::from_secs(2);
/// Default of the upper bound on PostgreSQL connections of one node.
pub const CONNECTIONS: u32 = 16;

/// A change of rows: a function of a connection and of the data that it writes.
///
/// PostgreSQL may run it more than once, if the server says that an attempt changed nothing.
pub trait Job<D, T>:
    for<'c> Fn(&'c DatabaseExecutor<'c>, &'c D) -> BoxFuture<'c, Result<T, DbErr>> + Send + Sync + 'static
{
}

impl<D, T, F> Job<D, T> for F where
    F: for<'c> Fn(&'c DatabaseExecutor<'c>, &'c D) -> BoxFuture<'c, Result<T, DbErr>> + Send + Sync + 'static
{
}

/// A statement without an effect.
///
/// Each statement may be a round trip to another machine. If the duration of a request must not show which case it is, the shorter
/// case makes up for the statements of the longer one.
pub async fn round_trip(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    db.execute_unprepared("SELECT 1").await.map(drop)
}

/// Whether the statements of a job belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Atomicity {
    /// Each statement stands alone. Earlier ones stay if a later one fails.
    Statement,
    /// If one statement fails, none has an effect.
    Transaction,
}

/// A connected database.
#[derive(Clone)]
pub struct Db(Arc<Backend>);

enum Backend {
    Sqlite(sqlite::Connections, Writer),
    Postgres(DatabaseConnection),
}

/// The state of a connection pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// `reader` or `writer`. PostgreSQL has one pool, `writer`.
    pub name: &'static str,
    /// Connections in use.
    pub busy: u32,
    /// Connections not in use.
    pub idle: u32,
}

impl Db {
    /// Connects with [`CONNECTIONS`], and creates the SQLite file if it does not exist.
    pub async fn connect(url: &DatabaseUrl) -> Result<Self, DbErr> {
        Self::connect_with(url, CONNECTIONS).await
    }

    /// Connects, and limits the connections to PostgreSQL.
    pub async fn connect_with(url: &DatabaseUrl, connections: u32) -> Result<Self, DbErr> {
        let backend = match url {
            DatabaseUrl::Sqlite(path) => {
                let connections = sqlite::connect(path).await?;
                let writer = Writer::start(connections.writer.clone());
                Backend::Sqlite(connections, writer)
            }
            DatabaseUrl::Postgres(url) => Backend::Postgres(postgres::connect(url, connections).await?),
        };
        Ok(Self(Arc::new(backend)))
    }

    /// A connection for queries.
    pub fn read(&self) -> &DatabaseConnection {
        match &*self.0 {
            Backend::Sqlite(connections, _) => &connections.readers,
            Backend::Postgres(pool) => pool,
        }
    }

    /// The SQL dialect.
    pub fn backend(&self) -> DbBackend {
        self.read().get_database_backend()
    }

    /// The connection that makes changes. Tests prepare rows and hold locks with it. On SQLite it competes with the writer task.
    #[doc(hidden)]
    pub fn writer(&self) -> &DatabaseConnection {
        match &*self.0 {
            Backend::Sqlite(connections, _) => &connections.writer,
            Backend::Postgres(pool) => pool,
        }
    }

    /// Runs a job, and returns once its changes are durable. Each statement stands alone: if one fails, the earlier ones may stay.
    pub async fn write<D, T>(&self, data: D, job: impl Job<D, T>) -> Result<T, DbErr>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run(Atomicity::Statement, data, job).await
    }

    /// Runs a job of several statements in a transaction, and returns once its changes are durable. If the job fails, none of its
    /// statements has an effect.
    pub async fn transaction<D, T>(&self, data: D, job: impl Job<D, T>) -> Result<T, DbErr>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.run(Atomicity::Transaction, data, job).await
    }

    async fn run<D, T>(&self, atomicity: Atomicity, data: D, job: impl Job<D, T>) -> Result<T, DbErr>
    where
        D: Send + Sync + 'static,
        T: Send + 'static,
    {
        let pool = match &*self.0 {
            Backend::Sqlite(_, writer) => return writer.run(atomicity, data, job).await,
            Backend::Postgres(pool) => pool.clone(),
        };
        // Spawned, so that the job runs to its end when the client disconnects.
        let run = async move { postgres::run(&pool, atomicity, &data, job).await };
        match tokio::spawn(run.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Err(closed()),
            },
        }
    }

    /// Checks that the database answers queries and accepts changes. On SQLite it also checks that the path still names the open
    /// file.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let timed_out = |_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        timeout(PING, self.read().ping()).await.map_err(timed_out)??;
        match &*self.0 {
            Backend::Sqlite(connections, _) => {
                connections.check_file()?;
                timeout(PING, self.write((), |_, ()| Box::pin(async { Ok(()) }))).await.map_err(timed_out)?
            }
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// The time of the database's clock, in whole milliseconds. SQLite uses the clock of this machine.
    pub async fn clock(&self) -> Result<DateTime<Utc>, DbErr> {
        let sql = match self.backend() {
            DbBackend::Postgres => "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8",
            _ => "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        };
        let row = self.read().query_one_raw(Statement::from_string(self.backend(), sql)).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the database's clock".to_owned()))?;
        Ok(DateTime::from_timestamp_millis(row.try_get_by_index(0)?).unwrap_or_default())
    }

    /// Runs the queued changes, then closes every connection. Later calls fail as if the database were unreachable. On SQLite the
    /// last connection merges the write-ahead log into the file and deletes it.
    pub async fn close(&self) -> Result<(), DbErr> {
        match &*self.0 {
            Backend::Sqlite(connections, writer) => {
                writer.drain().await;
                connections.readers.close_by_ref().await?;
                // Last, because a read-only connection cannot merge the log.
                connections.writer.close_by_ref().await
            }
            Backend::Postgres(pool) => pool.close_by_ref().await,
        }
    }

    /// The state of the connection pools.
    pub fn pools(&self) -> Vec<Pool> {
        let pool = |name, open: u32, idle: usize| {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(open);
            Pool { name, busy: open - idle, idle }
        };
        match &*self.0 {
            Backend::Sqlite(connections, _) => {
                [("reader", &connections.readers), ("writer", &connections.writer)]
                    .map(|(name, connection)| {
                        let connections = connection.get_sqlite_connection_pool();
                        pool(name, connections.size(), connections.num_idle())
                    })
                    .into()
            }
            Backend::Postgres(connection) => {
                let connections = connection.get_postgres_connection_pool();
                vec![pool("writer", connections.size(), connections.num_idle())]
            }
        }
    }
}

fn closed() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

#[cfg(test)]
mod tests;
