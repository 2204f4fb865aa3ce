//! Read-only access to a database, for diagnosis and backup.
//!
//! [`Db::connect`](super::Db::connect) creates a missing SQLite file and switches it to write-ahead logging. A diagnosis must do
//! neither.

use std::{path::Path, sync::Arc};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, RuntimeErr, Statement};
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::{
    ACQUIRE, DatabaseUrl, MigrationStatus, postgres,
    sqlite::{self, BUSY},
};

/// A read-only connection.
pub struct Inspection(DatabaseConnection);

/// Facts about a SQLite file.
#[derive(Debug)]
pub struct SqliteFacts {
    /// Version of the SQLite library in this binary.
    pub version: String,
    /// `wal` after a server has opened the file.
    pub journal_mode: String,
    /// SQLite's reports of damage, one line each.
    pub damage: Vec<String>,
}

/// Facts about a PostgreSQL server.
#[derive(Debug)]
pub struct PostgresFacts {
    /// `server_version`, such as `15.14 (Debian 15.14-0+deb12u1)`.
    pub version: String,
    /// `server_version_num`, such as 150014.
    pub version_number: i32,
    /// Encoding of the database. It must be `UTF8`.
    pub encoding: String,
    /// Default isolation level of transactions.
    pub isolation: String,
    /// Whether commits survive a crash: `fsync` and `synchronous_commit` are both on.
    pub durable: bool,
    /// Whether the server refuses writes, as a standby does.
    pub read_only: bool,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// Upper bound on connections of users other than superusers.
    pub connections: i64,
    /// Connections in use, this one included.
    pub connections_used: i64,
    /// Time of the server's clock, in microseconds since 1970.
    pub clock: i64,
}

impl Inspection {
    /// Connects. A SQLite file must exist, and no file is created next to it.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, DbErr> {
        let connected: Result<DatabaseConnection, sqlx::Error> = match url {
            DatabaseUrl::Sqlite(path) => {
                let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
                pool.connect_with(read_only(path)).await.map(Into::into)
            }
            DatabaseUrl::Postgres(url) => {
                let options = postgres::options(url)?;
                test_connection(&options).await?;
                let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
                pool.connect_with(options).await.map(Into::into)
            }
        };
        connected.map(Self).map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
    }

    /// The connection, for further queries.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.0
    }

    /// The state of the schema.
    pub async fn migration_status(&self) -> Result<MigrationStatus, DbErr> {
        MigrationStatus::of(&self.0).await
    }

    /// The e-mail address of every account, oldest first.
    pub async fn addresses(&self) -> Result<Vec<String>, DbErr> {
        let rows = self.rows("SELECT email FROM users ORDER BY id").await?;
        rows.iter().map(|row| row.try_get("", "email")).collect()
    }

    /// Facts about the SQLite file. It reads the whole file, which takes long for a large one.
    pub async fn sqlite(&self) -> Result<SqliteFacts, DbErr> {
        Ok(SqliteFacts {
            version: self.row("SELECT sqlite_version() AS version").await?.try_get("", "version")?,
            journal_mode: self.row("PRAGMA journal_mode").await?.try_get("", "journal_mode")?,
            damage: self.damage("quick_check").await?,
        })
    }

    /// Facts about the PostgreSQL server.
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

    /// Copies one consistent state of a SQLite database into `copy`, while other connections may write. `copy` must be empty or
    /// missing.
    pub async fn copy_to(&self, copy: &Path) -> Result<(), DbErr> {
        let path = copy.to_str().ok_or_else(|| DbErr::Custom("the path is not UTF-8".to_owned()))?;
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.into()]);
        self.0.execute_raw(statement).await.map(drop)
    }

    /// SQLite's reports of damage after a full check, indexes included.
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

/// Tests a connection. A pool would retry until its timeout, and then not report the reason.
async fn test_connection(options: &PgConnectOptions) -> Result<(), DbErr> {
    let failed = |error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)));
    let timed_out = |_| DbErr::Conn(RuntimeErr::Internal("the database does not answer".to_owned()));
    let connecting = PgConnection::connect_with(options);
    let connection = tokio::time::timeout(ACQUIRE, connecting).await.map_err(timed_out)?;
    connection.map_err(failed)?.close().await.map_err(failed)
}

/// A file without a write-ahead log is not open anywhere and is complete. It is opened as immutable, because SQLite would otherwise
/// create an empty log, which a read-only connection cannot delete.
fn read_only(path: &Path) -> SqliteConnectOptions {
    let is_closed = sqlite::log_of(path).try_exists().is_ok_and(|there| !there);
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(is_closed)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}
