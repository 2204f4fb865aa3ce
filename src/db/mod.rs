//! Where rows are kept: one SQLite file with a writer and readers, or PostgreSQL with a pool.
//!
//! Rooms take [`Db::read`] for what they look up, and [`Db::writer`], [`Db::repeatable`] or
//! [`Db::idempotent`] for what they change. On SQLite one connection makes all changes of the rooms, so that they queue for it
//! and share commits instead of failing with "database is locked", and readers see every commit that was answered; what an
//! operator changes goes over another one, often from another process, and waits its turn at SQLite's own lock. On PostgreSQL
//! all are one pool. Either way, what fails in passing is done again where that is safe: see [`retry`].

mod access;
pub mod batch;
mod commits;
mod failure;
pub mod inspect;
mod leftovers;
mod pool;
mod postgres;
mod postgres_url;
mod request;
pub mod retry;
mod sqlite;
mod steps;
mod url;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, Statement,
    TransactionOptions, TransactionTrait,
};

use tokio::time::sleep;

pub use self::{
    access::Access,
    failure::{ErrorKind, causes, is_held, is_undone, kind, may_be_held},
    pool::Pool,
    steps::MigrationStatus,
    url::{DatabaseUrl, InvalidDatabaseUrl},
};
use self::{
    access::Sqlite,
    batch::Batcher,
    commits::Commits,
    leftovers::Leftovers,
    retry::{Repeat, Retrying},
    sqlite::Connected,
};

/// How long a request waits for a connection before it is told that the database is busy.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a ping may take.
const PING: Duration = Duration::from_secs(2);
/// How many connections to PostgreSQL a node has at most, unless it is told otherwise.
pub const CONNECTIONS: u32 = 16;

/// How many changes may wait for SQLite's writer, beside those that are made: each is a request's, of which there are not
/// many more.
const WAITING: usize = 1024;

/// The number of PostgreSQL's advisory lock that a migrating node holds: "homeroom" in ASCII.
const MIGRATION_LOCK: i64 = 0x686f_6d65_726f_6f6d;

/// How long a step waits for a table that somebody works on, in milliseconds: less than the nodes of the version before
/// wait behind it.
const MIGRATION_PATIENCE: u32 = 2_000;
/// After how long it tries again. Meanwhile those nodes go on.
const MIGRATION_PAUSE: Duration = Duration::from_secs(1);

/// A connected database.
#[derive(Clone)]
pub struct Db {
    reader: Access,
    writer: Access,
    repeatable: Access,
    idempotent: Access,
    sqlite: Option<Arc<Connected>>,
    /// PostgreSQL's connections; SQLite's for changes that depend on what they find.
    pool: DatabaseConnection,
}

impl Db {
    /// Connects, making the SQLite file if there is none, with [`CONNECTIONS`].
    pub async fn connect(location: &DatabaseUrl) -> Result<Self, DbErr> {
        Self::connect_with(location, CONNECTIONS).await
    }

    /// Connects, with at most so many connections to PostgreSQL.
    pub async fn connect_with(location: &DatabaseUrl, connections: u32) -> Result<Self, DbErr> {
        let leftovers = Arc::new(Leftovers::default());
        let (sqlite, pool): (_, DatabaseConnection) = match location {
            DatabaseUrl::Sqlite(path) => {
                let connected = Arc::new(sqlite::connect(path).await?);
                let pool = connected.transactions.clone();
                (Some(connected), pool)
            }
            DatabaseUrl::Postgres(url) => {
                (None, postgres::connect(url, connections, leftovers.clone()).await?)
            }
        };
        let retrying = |repeat| Retrying::new(pool.clone(), repeat, leftovers.clone());
        let reads = sqlite.clone().map(Sqlite::Reader);
        let writes = sqlite.clone().map(|connected| {
            let commits = Commits::over(connected, retrying(Repeat::IfUndone));
            Sqlite::Writer(Arc::new(Batcher::start(commits, WAITING)))
        });
        let changing = |repeat| Access::new(retrying(repeat), writes.clone());
        Ok(Self {
            reader: Access::new(retrying(Repeat::Always), reads),
            writer: changing(Repeat::IfUndone),
            repeatable: changing(Repeat::IfEnded),
            idempotent: changing(Repeat::Always),
            sqlite,
            pool,
        })
    }

    /// How far the schema is.
    pub async fn steps(&self) -> Result<MigrationStatus, DbErr> {
        MigrationStatus::of(&self.pool).await
    }

    /// Applies the schema's steps that are not there yet: all of them or none, and one node at a time. A node that misses none
    /// waits for no other. Says how far the schema was before.
    pub async fn migrate(&self) -> Result<MigrationStatus, DbErr> {
        let before = self.steps().await?;
        if !before.pending.is_empty() {
            self.apply().await?;
            tracing::debug!(steps = ?before.pending, "the schema is up to date");
        }
        Ok(before)
    }

    async fn apply(&self) -> Result<(), DbErr> {
        if self.pool.get_database_backend() == DbBackend::Sqlite {
            return apply(self.begin().await?).await;
        }
        // Other nodes that would migrate wait for this one meanwhile, and do not take its turn at the table.
        let migration = self.begin_migration().await?;
        while let Err(error) = apply(migration.begin().await?).await {
            if !failure::is_held(&error) {
                return Err(error);
            }
            tracing::warn!("the schema's steps wait for somebody who works on a table, as a dump does");
            sleep(MIGRATION_PAUSE).await;
        }
        migration.commit().await
    }

    async fn begin_migration(&self) -> Result<DatabaseTransaction, DbErr> {
        // Who has waited for the lock must see what the one before has done, which a transaction that is serialized
        // would not: it sees what was there when it began to wait. And the wait is as long as it is.
        let isolation_level = Some(IsolationLevel::ReadCommitted);
        let options = TransactionOptions { isolation_level, ..Default::default() };
        let transaction = self.pool.begin_with_options(options).await?;
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
        let free = format!("SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK})");
        let free = transaction.query_one_raw(Statement::from_string(DbBackend::Postgres, free)).await?;
        if !free.is_some_and(|row| row.try_get_by_index(0).unwrap_or(false)) {
            tracing::warn!("the schema's steps wait for another node that applies them");
            transaction
                .execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                .await?;
        }
        // But whoever waits for a table keeps all others from it that come after.
        transaction.execute_unprepared(&format!("SET LOCAL lock_timeout = {MIGRATION_PATIENCE}")).await?;
        Ok(transaction)
    }

    /// For what is looked up.
    pub fn read(&self) -> &Access {
        &self.reader
    }

    /// For a change. If the connection breaks under it, nobody knows whether it was made, and it fails; on SQLite, so does
    /// every other.
    pub fn writer(&self) -> &Access {
        &self.writer
    }

    /// For a change that may be made twice, but not late. If the server ends the connection under it, it is made again; if
    /// the connection breaks without a word, it fails, for the first attempt may yet be made.
    pub fn repeatable(&self) -> &Access {
        &self.repeatable
    }

    /// For a change that comes to the same when it is made twice, however late. If the connection breaks under it, it is made again: so
    /// the number of rows that it changed does not tell whether they had been as they are now before.
    pub fn idempotent(&self) -> &Access {
        &self.idempotent
    }

    /// Begins a change of several statements that is not made again. Dropped without a commit, it leaves nothing.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        retry::begin(&self.pool).await
    }

    /// Closes every connection, once what is under way on it has ended. What is asked from now on fails as if the database were
    /// gone. The last connection to a SQLite file takes the log into the file and removes it, if it is one that may write.
    pub async fn close(&self) -> Result<(), DbErr> {
        match &self.sqlite {
            Some(sqlite) => sqlite.close().await,
            None => self.pool.close_by_ref().await,
        }
    }

    /// The time by the database's clock. SQLite has the machine's.
    pub async fn clock(&self) -> Result<DateTime<Utc>, DbErr> {
        let sql = match self.pool.get_database_backend() {
            DbBackend::Postgres => "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8",
            _ => "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        };
        let statement = Statement::from_string(self.reader.get_database_backend(), sql);
        let row = self.reader.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the database's clock".to_owned()))?;
        Ok(DateTime::from_timestamp_millis(row.try_get_by_index(0)?).unwrap_or_default())
    }

    /// Whether the database answers, and is the one that was opened.
    pub async fn ping(&self) -> Result<(), DbErr> {
        match &self.sqlite {
            Some(sqlite) => sqlite.ping(PING).await,
            None => self.reader.ping(PING).await,
        }
    }
}

/// Applies the steps within a transaction of their own, which holds nothing any more if they fail.
async fn apply(steps: DatabaseTransaction) -> Result<(), DbErr> {
    match Migrator::up(&steps, None).await {
        Ok(()) => steps.commit().await,
        Err(error) => {
            steps.rollback().await?;
            Err(error)
        }
    }
}
