//! Where rows are kept: one SQLite file with a writer and readers, or PostgreSQL with a pool.
//!
//! Rooms take [`Store::reader`] for what they look up and [`Store::writer`] for what they change. On SQLite these are
//! two pools over one file: the writer's has one connection, so that concurrent writes queue for it instead of failing
//! with "database is locked", and the readers' see every commit that was answered. On PostgreSQL both are one pool.

use std::{fmt, fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    RuntimeErr, SqlErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

/// How long a request waits for a connection before it is told that the database is busy.
const ACQUIRE: Duration = Duration::from_secs(5);
/// After how long a resting connection is tried before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// How long PostgreSQL works on one statement.
const STATEMENT: Duration = Duration::from_secs(10);
/// How long a ping may take.
const PING: Duration = Duration::from_secs(2);
/// How long SQLite waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);
/// SQLite's readers: more than cores, since each holds its connection only while it reads.
const SQLITE_READERS: u32 = 4;
/// PostgreSQL's connections for one node.
const POSTGRES_CONNECTIONS: u32 = 16;

/// The number of PostgreSQL's advisory lock that a migrating node holds: "homeroom" in ASCII.
const MIGRATION_LOCK: i64 = 0x686f_6d65_726f_6f6d;

/// Which database, and where.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(std::path::PathBuf),
    /// A PostgreSQL URL. It may hold a password and is not shown.
    Postgres(String),
}

/// The text names no database that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database URL is sqlite:PATH or postgres://USER@HOST/NAME")]
pub struct InvalidLocation;

impl std::str::FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // What follows a `?` would be options; ours are fixed, and a file of that name is nobody's wish.
            return if path.is_empty() || path.contains(['?', ':']) {
                Err(InvalidLocation)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if postgres && url::Url::parse(text).is_ok() {
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err(InvalidLocation)
        }
    }
}

impl Location {
    /// The file that is used when no URL is given.
    pub fn in_directory(data: &Path) -> Self {
        Self::Sqlite(data.join("homeroom.db"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite, {}", path.display()),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A connected database.
#[derive(Clone)]
pub struct Store {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
}

impl Store {
    /// Connects, making the SQLite file if there is none.
    pub async fn connect(location: &Location) -> Result<Self, DbErr> {
        match location {
            Location::Sqlite(path) => {
                make_private(path).map_err(|error| {
                    DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", path.display())))
                })?;
                // The writer comes first: it turns the file to write-ahead logging.
                let writer = Database::connect(sqlite(path, 1, false)).await?;
                let reader = Database::connect(sqlite(path, SQLITE_READERS, true)).await?;
                Ok(Self { reader, writer })
            }
            Location::Postgres(url) => {
                let mut options = ConnectOptions::new(url);
                options
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(ACQUIRE)
                    // A connection is tried only if it has rested: a restart of the server costs no request, and the way of a
                    // busy connection stays free of pings.
                    .test_before_acquire(false)
                    .test_before_acquire_if_idle_for(IDLE)
                    .statement_timeout(STATEMENT)
                    .sqlx_logging(false);
                let pool = Database::connect(options).await?;
                Ok(Self { reader: pool.clone(), writer: pool })
            }
        }
    }

    /// Applies the schema's steps that are not there yet: all of them or none, and one node at a time.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        if !self.is_sqlite() {
            transaction
                .execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                .await?;
        }
        Migrator::up(&transaction, None).await?;
        transaction.commit().await
    }

    /// For what is looked up.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For a change of one statement.
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// For a change of several statements. Dropped without a commit, it leaves nothing.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        // SQLite is told at once that this will write: a transaction that begins as a reader cannot always become one.
        let options = TransactionOptions {
            access_mode: Some(AccessMode::ReadWrite).filter(|_| !self.is_sqlite()),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate).filter(|_| self.is_sqlite()),
            ..Default::default()
        };
        self.writer.begin_with_options(options).await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let both = async {
            self.writer.ping().await?;
            self.reader.ping().await
        };
        let late = |_| DbErr::Conn(RuntimeErr::Internal("the database does not answer".to_owned()));
        tokio::time::timeout(PING, both).await.map_err(late)?
    }

    fn is_sqlite(&self) -> bool {
        self.writer.get_database_backend() == sea_orm::DbBackend::Sqlite
    }
}

/// Makes the file, if there is none, for the server's own user alone: password hashes are kept in it. SQLite gives the
/// files that it makes beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn sqlite(path: &Path, connections: u32, read_only: bool) -> ConnectOptions {
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .in_memory(false)
                .shared_cache(false)
                .filename(&path)
                .foreign_keys(true)
                .busy_timeout(BUSY);
            if read_only {
                options.pragma("query_only", "on")
            } else {
                // FULL: what was answered is on disk, whatever happens next.
                options
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
            }
        });
    options
}

/// What kind of failure a statement met, as far as rooms need to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The database cannot be reached, is going down, or has no connection to spare: the same call may succeed later.
    Unavailable,
    /// A value that must be unique is taken.
    Taken,
    /// A row that this one points to is gone.
    Dangling,
    /// Our statement or our data is wrong.
    Broken,
}

/// Tells a passing failure from a clash and from a fault of ours.
pub fn kind(error: &DbErr) -> Kind {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => return Kind::Taken,
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => return Kind::Dangling,
        _ => {}
    }
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Kind::Unavailable,
        DbErr::Exec(RuntimeErr::SqlxError(driver)) | DbErr::Query(RuntimeErr::SqlxError(driver)) => {
            match driver.as_ref() {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Kind::Unavailable,
                sqlx::Error::Database(database) if is_passing(database.code().as_deref()) => {
                    Kind::Unavailable
                }
                _ => Kind::Broken,
            }
        }
        _ => Kind::Broken,
    }
}

/// PostgreSQL's classes 08 (connection), 53 (resources), 57P (going down), 40 (serialization, deadlock); SQLite's
/// `SQLITE_BUSY` with its extended codes and `SQLITE_FULL`.
fn is_passing(code: Option<&str>) -> bool {
    code.is_some_and(|code| {
        let postgres =
            code.len() == 5 && ["08", "53", "57P", "40"].iter().any(|class| code.starts_with(class));
        postgres || ["5", "261", "517", "773", "13"].contains(&code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_else_may_read_the_file_or_what_is_beside_it() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::connect(&Location::in_directory(directory.path())).await.unwrap();
        store.migrate().await.unwrap();
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 3, "the database, its log and its index: {files:?}");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }

    #[test]
    fn a_location_is_a_file_or_a_server_and_shows_no_password() {
        assert_eq!("sqlite:a/b.db".parse(), Ok(Location::Sqlite("a/b.db".into())));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(Location::Sqlite("/a/b.db".into())));
        let server: Location = "postgres://u:secret@localhost/homeroom".parse().unwrap();
        assert!(!format!("{server} {server:?}").contains("secret"));
        for text in ["", "sqlite:", "sqlite::memory:", "mysql://localhost/a", "a.db"] {
            assert_eq!(text.parse::<Location>(), Err(InvalidLocation), "{text:?}");
        }
    }
}
