//! A database as it is: looked at, and copied, without a change to it.
//!
//! [`Store::connect`](super::Store::connect) makes a file that is missing and turns it to write-ahead logging. Whoever
//! asks what is wrong with a database wants neither.

use std::{path::Path, sync::Arc, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, QueryResult, RuntimeErr,
    Statement,
};
use sqlx::{Connection, PgConnection};

use super::{ACQUIRE, Location, sqlite::BUSY, steps::Steps};

/// A database that is only read.
pub struct Inspection(DatabaseConnection);

/// What there is to know of a SQLite file.
#[derive(Debug)]
pub struct SqliteFacts {
    /// SQLite's version, which is built into this binary.
    pub version: String,
    /// `wal` once a server has used it.
    pub journal_mode: String,
    /// What SQLite finds damaged, a line each.
    pub damage: Vec<String>,
}

/// What there is to know of a PostgreSQL server.
#[derive(Debug)]
pub struct PostgresFacts {
    /// As it calls itself: `15.14 (Debian 15.14-0+deb12u1)`.
    pub version: String,
    /// The same as a number: 150014.
    pub version_number: i32,
    /// The database's character set. It must be `UTF8`.
    pub encoding: String,
    /// The isolation that transactions have by default.
    pub isolation: String,
    /// Whether what was committed survives a crash: `fsync` and `synchronous_commit` are both on.
    pub durable: bool,
    /// Whether it refuses to write: a standby, or read-only by its configuration.
    pub read_only: bool,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// How many connections it has for users that are no superusers.
    pub connections: i64,
    /// How many are in use, this one included.
    pub connections_used: i64,
    /// Its clock, in microseconds since 1970.
    pub clock: i64,
}

impl Inspection {
    /// Connects. A SQLite file must be there. Beside one that nobody has open SQLite leaves an empty log.
    pub async fn open(location: &Location) -> Result<Self, DbErr> {
        let mut options = match location {
            Location::Sqlite(path) => read_only(path),
            Location::Postgres(url) => {
                reach(url).await?;
                ConnectOptions::new(url)
            }
        };
        options.max_connections(1).acquire_timeout(ACQUIRE).sqlx_logging(false);
        Database::connect(options).await.map(Self)
    }

    /// How far the schema is.
    pub async fn steps(&self) -> Result<Steps, DbErr> {
        Steps::of(&self.0).await
    }

    /// Reads the whole file, and so takes its time with a large one.
    pub async fn sqlite(&self) -> Result<SqliteFacts, DbErr> {
        Ok(SqliteFacts {
            version: self.row("SELECT sqlite_version() AS version").await?.try_get("", "version")?,
            journal_mode: self.row("PRAGMA journal_mode").await?.try_get("", "journal_mode")?,
            damage: self.damage("quick_check").await?,
        })
    }

    /// Asks a PostgreSQL server about itself.
    pub async fn postgres(&self) -> Result<PostgresFacts, DbErr> {
        let row = self
            .row(
                "SELECT current_setting('server_version') AS version,
                    current_setting('server_version_num')::int4 AS version_number,
                    current_setting('server_encoding') AS encoding,
                    current_setting('default_transaction_isolation') AS isolation,
                    current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' AS durable,
                    current_setting('transaction_read_only')::bool AS read_only,
                    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted,
                    current_setting('max_connections')::int8
                        - current_setting('superuser_reserved_connections')::int8 AS connections,
                    (SELECT sum(numbackends)::int8 FROM pg_stat_database) AS connections_used,
                    (extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS clock",
            )
            .await?;
        Ok(PostgresFacts {
            version: row.try_get("", "version")?,
            version_number: row.try_get("", "version_number")?,
            encoding: row.try_get("", "encoding")?,
            isolation: row.try_get("", "isolation")?,
            durable: row.try_get("", "durable")?,
            read_only: row.try_get("", "read_only")?,
            encrypted: row.try_get("", "encrypted")?,
            connections: row.try_get("", "connections")?,
            connections_used: row.try_get("", "connections_used")?,
            clock: row.try_get("", "clock")?,
        })
    }

    /// Copies a SQLite database as it is at one moment into `copy`, which is empty or not there, while others write.
    pub async fn copy_to(&self, copy: &Path) -> Result<(), DbErr> {
        let path = copy.to_str().ok_or_else(|| DbErr::Custom("the path is not UTF-8".to_owned()))?;
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.into()]);
        self.0.execute_raw(statement).await.map(drop)
    }

    /// What SQLite finds damaged when it looks at everything, indexes included.
    pub async fn all_damage(&self) -> Result<Vec<String>, DbErr> {
        self.damage("integrity_check").await
    }

    async fn damage(&self, check: &str) -> Result<Vec<String>, DbErr> {
        let rows = self.rows(&format!("PRAGMA {check}")).await?;
        let lines: Vec<String> = rows.iter().map(|row| row.try_get("", check)).collect::<Result<_, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    async fn rows(&self, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all_raw(Statement::from_string(self.0.get_database_backend(), sql)).await
    }

    async fn row(&self, sql: &str) -> Result<QueryResult, DbErr> {
        let none = || DbErr::RecordNotFound(sql.to_owned());
        self.rows(sql).await?.into_iter().next().ok_or_else(none)
    }
}

/// Tries a connection. A pool would try until its time is up, and then know no reason.
async fn reach(url: &str) -> Result<(), DbErr> {
    let failed = |error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)));
    let late = |_| DbErr::Conn(RuntimeErr::Internal("the database does not answer".to_owned()));
    let connection = tokio::time::timeout(ACQUIRE, PgConnection::connect(url)).await.map_err(late)?;
    connection.map_err(failed)?.close().await.map_err(failed)
}

fn read_only(path: &Path) -> ConnectOptions {
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>).map_sqlx_sqlite_opts(
        move |options| {
            options.in_memory(false).shared_cache(false).filename(&path).read_only(true).busy_timeout(BUSY)
        },
    );
    options
}
