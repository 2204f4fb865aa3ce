//! Where rows are kept: one SQLite file with a writer and readers, or PostgreSQL with a pool.
//!
//! Rooms take [`Store::reader`] for what they look up, and [`Store::writer`], [`Store::replacing`] or
//! [`Store::idempotent`] for what they change, if need be by way of [`Store::shared`]. On SQLite these are two pools over
//! one file: the writer's has one connection, so that concurrent writes queue for it instead of failing with "database is
//! locked", and the readers' see every commit that was answered. On PostgreSQL all are one pool. Either way, what fails in
//! passing is done again where that is safe: see [`retry`].

pub mod batch;
mod failure;
pub mod inspect;
mod leftovers;
mod location;
mod pool;
mod postgres;
pub mod retry;
mod shared;
mod sqlite;

use std::{sync::Arc, time::Duration};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    TransactionOptions, TransactionTrait,
};

pub use self::{
    failure::{Kind, kind},
    location::{InvalidLocation, Location},
    pool::Pool,
    retry::Retrying,
    shared::{Change, Shared},
};
use self::{leftovers::Leftovers, retry::Repeat, shared::Commits};

/// How long a request waits for a connection before it is told that the database is busy.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a ping may take.
const PING: Duration = Duration::from_secs(2);
/// How many connections to PostgreSQL a node has at most, unless it is told otherwise.
pub const CONNECTIONS: u32 = 16;

/// The number of PostgreSQL's advisory lock that a migrating node holds: "homeroom" in ASCII.
const MIGRATION_LOCK: i64 = 0x686f_6d65_726f_6f6d;

/// A connected database.
#[derive(Clone)]
pub struct Store {
    reader: Retrying,
    writer: Retrying,
    replacing: Retrying,
    idempotent: Retrying,
    commits: Commits,
    pool: DatabaseConnection,
}

impl Store {
    /// Connects, making the SQLite file if there is none, with [`CONNECTIONS`].
    pub async fn connect(location: &Location) -> Result<Self, DbErr> {
        Self::connect_with(location, CONNECTIONS).await
    }

    /// Connects, with at most so many connections to PostgreSQL.
    pub async fn connect_with(location: &Location, connections: u32) -> Result<Self, DbErr> {
        let leftovers = Arc::new(Leftovers::default());
        let (reader, writer) = match location {
            Location::Sqlite(path) => sqlite::connect(path, &leftovers).await?,
            Location::Postgres(url) => {
                let pool = postgres::connect(url, connections, leftovers.clone()).await?;
                (pool.clone(), pool)
            }
        };
        let changes = Retrying::new(writer.clone(), Repeat::IfUndone, leftovers.clone());
        Ok(Self {
            reader: Retrying::new(reader, Repeat::Always, leftovers.clone()),
            commits: Commits::new(&changes),
            writer: changes,
            replacing: Retrying::new(writer.clone(), Repeat::IfEnded, leftovers.clone()),
            idempotent: Retrying::new(writer.clone(), Repeat::Always, leftovers),
            pool: writer,
        })
    }

    /// Applies the schema's steps that are not there yet: all of them or none, and one node at a time.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        let transaction = if self.pool.get_database_backend() == DbBackend::Sqlite {
            self.begin().await?
        } else {
            // Who has waited for the lock must see what the one before has done, which a transaction that is serialized
            // would not: it sees what was there when it began to wait. And the wait is as long as it is.
            let isolation_level = Some(IsolationLevel::ReadCommitted);
            let options = TransactionOptions { isolation_level, ..Default::default() };
            let transaction = self.pool.begin_with_options(options).await?;
            transaction
                .execute_unprepared(&format!(
                    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                     SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
                ))
                .await?;
            transaction
        };
        Migrator::up(&transaction, None).await?;
        transaction.commit().await
    }

    /// For what is looked up.
    pub fn reader(&self) -> &Retrying {
        &self.reader
    }

    /// For a change. If the connection breaks under it, nobody knows whether it was made, and it fails.
    pub fn writer(&self) -> &Retrying {
        &self.writer
    }

    /// For a change that many make at the same time, each their own. On SQLite it is committed together with theirs; on
    /// PostgreSQL it is made over `connections`, which are one of the others.
    pub fn shared<'a>(&'a self, connections: &'a Retrying) -> Shared<'a> {
        self.commits.shared(connections)
    }

    /// For a change that takes the place of whatever was there, and may be made twice. If the server ends the connection
    /// under it, it is made again; if the connection breaks without a word, it fails, for the first attempt may yet be made
    /// and take the place of something newer.
    pub fn replacing(&self) -> &Retrying {
        &self.replacing
    }

    /// For a change that comes to the same when it is made twice, however late. If the connection breaks under it, it is made again: so
    /// the number of rows that it changed does not tell whether they had been as they are now before.
    pub fn idempotent(&self) -> &Retrying {
        &self.idempotent
    }

    /// Begins a change of several statements that is not made again. Dropped without a commit, it leaves nothing.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        retry::begin(&self.pool).await
    }

    /// Closes every connection. What is asked from now on fails as if the database were gone.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.writer.close().await?;
        self.reader.close().await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.writer.ping(PING).await?;
        self.reader.ping(PING).await
    }
}
