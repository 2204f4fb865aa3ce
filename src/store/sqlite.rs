//! Connecting to SQLite: one file, written to by one connection and read by several.

use std::{
    fs::OpenOptions, num::NonZeroUsize, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc,
    thread::available_parallelism, time::Duration,
};

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use super::{ACQUIRE, leftovers::Leftovers};

/// How long SQLite waits for another process's write.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Fewest readers. There is one for each core: most of what they read is in the system's memory, so that more of them read
/// no faster, and fewer find what they need where they left it.
const READERS: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// What a connection keeps of the file, as SQLite writes it: in KiB, with a minus. The system keeps the file's pages
/// anyway, and every commit makes worthless what a reader has kept; SQLite's own 2 MiB each would only be held.
const READER_CACHE: &str = "-256";
const WRITER_CACHE: &str = "-1024";

/// The reader and the writer of a file, which is made if there is none.
pub(super) async fn connect(
    path: &Path,
    leftovers: &Arc<Leftovers>,
) -> Result<(DatabaseConnection, DatabaseConnection), DbErr> {
    make_private(path)
        .map_err(|error| DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", path.display()))))?;
    // The writer comes first: it turns the file to write-ahead logging.
    let mut writer = options(path, 1, false);
    let leftovers = leftovers.clone();
    writer.map_sqlx_sqlite_pool_opts(move |options| {
        let leftovers = leftovers.clone();
        options.after_release(move |connection, _| {
            let distrusted = leftovers.is_distrusted();
            Box::pin(async move { Ok(!distrusted && has_no_transaction(connection).await?) })
        })
    });
    let writer = Database::connect(writer).await?;
    let readers = available_parallelism().unwrap_or(READERS).max(READERS);
    let readers = u32::try_from(readers.get()).unwrap_or(u32::MAX);
    let reader = Database::connect(options(path, readers, true)).await?;
    Ok((reader, writer))
}

/// Makes the file, if there is none, for the server's own user alone: password hashes are kept in it. SQLite gives the
/// files that it makes beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn options(path: &Path, connections: u32, read_only: bool) -> ConnectOptions {
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
                options.pragma("query_only", "on").pragma("cache_size", READER_CACHE)
            } else {
                // FULL: what was answered is on disk, whatever happens next.
                options
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("cache_size", WRITER_CACHE)
            }
        });
    options
}

/// Whether a connection that comes back to the pool is in no transaction, and may be used again.
///
/// SQLite itself rolls a transaction back when the disk is full or broken. The driver's own roll-back then fails, and it
/// takes the next transaction for one within the first: what is answered afterwards would never be committed.
async fn has_no_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A roll-back may still be under way.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use crate::store::{Location, Store};

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
}
