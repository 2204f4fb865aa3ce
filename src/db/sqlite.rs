//! Connecting to SQLite: one file, with one connection that writes and several that read.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    num::NonZeroUsize,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};

use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use sqlx::{
    ConnectOptions, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::ACQUIRE;

/// Longest wait for the write of another process, such as an operator's command.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Fewest readers. There is one per core, because more do not read faster.
const MIN_READERS: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// Page cache of a connection, in KiB (SQLite's syntax has a minus). It is small, because the operating system caches the file.
const READER_CACHE: &str = "-256";
const WRITER_CACHE: &str = "-1024";

/// The connections to a file.
pub(super) struct Connections {
    path: PathBuf,
    /// The file that was opened.
    file: FileId,
    pub(super) readers: DatabaseConnection,
    /// A pool of one connection.
    pub(super) writer: DatabaseConnection,
}

/// Connects to a file, and creates it if it does not exist.
pub(super) async fn connect(path: &Path) -> Result<Connections, DbErr> {
    let failed = |error| DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", path.display())));
    create_private(path).map_err(failed)?;
    // The writer is first, because it switches the file to write-ahead logging.
    let writer = pool(1, writing(path)).await?;
    let file = FileId::of(path).map_err(failed)?;
    let readers = available_parallelism().unwrap_or(MIN_READERS).max(MIN_READERS).get();
    let readers = pool(u32::try_from(readers).unwrap_or(u32::MAX), reading(path)).await?;
    Ok(Connections { path: path.to_owned(), file, readers, writer })
}

impl Connections {
    /// Checks that the path still names the open file. If the file was deleted or replaced, changes are lost when the server ends.
    pub(super) fn check_file(&self) -> Result<(), DbErr> {
        if FileId::of(&self.path).ok() == Some(self.file) {
            return Ok(());
        }
        let message = format!("{} is not the file that is open: restart the server", self.path.display());
        Err(DbErr::Conn(RuntimeErr::Internal(message)))
    }
}

/// The identity of a file, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> std::io::Result<Self> {
        path.metadata().map(|metadata| Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let pool = SqlitePoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(has_no_transaction(connection)))
        .connect_with(options);
    Ok(pool.await.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?.into())
}

/// Closes the writer's connection after a failure, so that the next batch opens the file again. If a file is read-only for a moment,
/// SQLite opens it for reading alone, and would refuse every later change on that connection.
pub(super) async fn close_writer(writer: &DatabaseConnection) {
    if let Ok(connection) = writer.get_sqlite_connection_pool().acquire().await {
        _ = connection.close().await;
    }
}

/// The path of a file's write-ahead log. SQLite creates the log when the file is opened, and deletes it with the last connection.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = OsString::from(path);
    log.push("-wal");
    log.into()
}

/// Creates the file, if it does not exist, readable by the server's user alone, because it contains password hashes. SQLite creates
/// the log and its index with the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn options(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY);
    options.disable_statement_logging()
}

fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("query_only", "on").pragma("cache_size", READER_CACHE)
}

/// `FULL`: a committed transaction survives a power failure.
fn writing(path: &Path) -> SqliteConnectOptions {
    options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", WRITER_CACHE)
}

/// Whether a connection that returns to its pool is in no transaction. Otherwise the pool closes it.
///
/// SQLite rolls a transaction back by itself if the disk is full or fails. Then the driver's own roll-back fails, and the driver
/// would take the next transaction for a savepoint, which is never committed.
async fn has_no_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A roll-back may still be running.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use crate::db::{DatabaseUrl, Db};

    async fn connected(directory: &TempDir) -> Db {
        let db = Db::connect(&DatabaseUrl::in_directory(directory.path())).await.unwrap();
        db.migrate().await.unwrap();
        db
    }

    #[tokio::test]
    async fn database_files_are_readable_by_their_owner_alone() {
        let directory = TempDir::new().unwrap();
        let _db = connected(&directory).await;
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 3, "the database, its log and the log's index: {files:?}");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }

    #[tokio::test]
    async fn close_database_leaves_one_file() {
        let directory = TempDir::new().unwrap();
        connected(&directory).await.close().await.unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn ping_after_file_was_replaced_fails() {
        let directory = TempDir::new().unwrap();
        let db = connected(&directory).await;
        db.ping().await.unwrap();
        let path = directory.path().join("homeroom.db");
        std::fs::copy(&path, directory.path().join("copy")).unwrap();
        std::fs::rename(directory.path().join("copy"), &path).unwrap();
        let error = db.ping().await.unwrap_err().to_string();
        assert!(error.contains("restart the server"), "{error}");
    }
}
