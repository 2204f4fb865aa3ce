//! Connecting to SQLite: one file, written to by one connection and read by several.

use std::{
    fs::OpenOptions,
    mem,
    num::NonZeroUsize,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    slice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use sea_orm::{ConnAcquireErr, DatabaseConnection, DbErr, RuntimeErr};
use sqlx::{
    ConnectOptions, Connection as _, Executor, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use super::{
    ACQUIRE, Kind, failure,
    leftovers::Leftovers,
    pool::Pool,
    request::{Answer, Request},
};

/// How long SQLite waits for another process's write.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// After how long without one the connection for transactions is closed.
const RESTING: Duration = Duration::from_secs(10);
/// Fewest readers. There is one for each core: most of what they read is in the system's memory, so that more of them read
/// no faster, and fewer find what they need where they left it.
const READERS: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// What a connection keeps of the file, as SQLite writes it: in KiB, with a minus. The system keeps the file's pages
/// anyway, and every commit makes worthless what a reader has kept; SQLite's own 2 MiB each would only be held.
const READER_CACHE: &str = "-256";
const WRITER_CACHE: &str = "-1024";

/// What there is of a file.
pub(super) struct Connected {
    pub(super) readers: Readers,
    pub(super) writer: Connection,
    /// For changes that depend on what they find. There are few, and its one connection is not there before them.
    pub(super) transactions: DatabaseConnection,
}

/// Connects to a file, which is made if there is none.
pub(super) async fn connect(path: &Path, leftovers: &Arc<Leftovers>) -> Result<Connected, DbErr> {
    make_private(path)
        .map_err(|error| DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", path.display()))))?;
    // The writer comes first: it turns the file to write-ahead logging.
    let writer = Connection::open(writing(path)).await?;
    let readers = available_parallelism().unwrap_or(READERS).max(READERS);
    let readers = Readers::open(&reading(path), readers.get()).await?;
    let leftovers = leftovers.clone();
    let transactions = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(RESTING)
        .test_before_acquire(false)
        .after_release(move |connection, _| {
            let distrusted = leftovers.is_distrusted();
            Box::pin(async move { Ok(!distrusted && has_no_transaction(connection).await?) })
        })
        .connect_lazy_with(writing(path));
    Ok(Connected { readers, writer, transactions: transactions.into() })
}

impl Connected {
    /// Closes all of them for good.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        for connection in self.readers.connections.iter().chain([&self.writer]) {
            connection.close().await?;
        }
        Ok(())
    }

    /// Whether writing and reading can be had, within `limit` each.
    pub(super) async fn ping(&self, limit: Duration) -> Result<(), DbErr> {
        self.writer.ping(limit).await?;
        self.readers.next().ping(limit).await
    }

    /// The pools that they are, so to speak.
    pub(super) fn pools(&self) -> Vec<Pool> {
        [("reader", self.readers.connections.as_slice()), ("writer", slice::from_ref(&self.writer))]
            .map(|(name, connections)| {
                let busy =
                    connections.iter().filter(|connection| connection.held.try_lock().is_err()).count();
                Pool::new(name, connections.len(), connections.len() - busy)
            })
            .into()
    }
}

/// Makes the file, if there is none, for the server's own user alone: password hashes are kept in it. SQLite gives the
/// files that it makes beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn options(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY);
    options.disable_statement_logging()
}

fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("query_only", "on").pragma("cache_size", READER_CACHE)
}

/// FULL: what was answered is on disk, whatever happens next.
fn writing(path: &Path) -> SqliteConnectOptions {
    options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", WRITER_CACHE)
}

/// A connection for one at a time, opened anew when it failed. It is no pool's: a pool tries a connection each time that it
/// is given back, and each word to one of SQLite's is two changes of threads, for which whoever signs in would wait.
pub(super) struct Connection {
    options: SqliteConnectOptions,
    held: Mutex<Held>,
}

enum Held {
    Open(SqliteConnection),
    /// It failed, or nobody knows in what state it was left.
    Lost,
    /// For good.
    Closed,
}

impl Connection {
    async fn open(options: SqliteConnectOptions) -> Result<Self, DbErr> {
        let held = Mutex::new(Held::Open(open(&options).await?));
        Ok(Self { options, held })
    }

    /// Closes it for good.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match mem::replace(&mut *self.held.lock().await, Held::Closed) {
            Held::Open(connection) => connection.close().await.map_err(failed),
            Held::Lost | Held::Closed => Ok(()),
        }
    }

    /// Whether it can be had, and answers, within `limit`.
    pub(super) async fn ping(&self, limit: Duration) -> Result<(), DbErr> {
        let ping = self.write(async |connection| connection.ping().await.map_err(failed));
        timeout(limit, ping).await.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))
    }

    /// Has it change something. What fails leaves it in a state that nobody knows, but for a statement that was refused for its
    /// values; and so does whoever stops waiting.
    pub(super) async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let mut held = self.held.lock().await;
        let mut connection = match mem::replace(&mut *held, Held::Lost) {
            Held::Open(connection) => connection,
            Held::Lost => open(&self.options).await?,
            Held::Closed => {
                *held = Held::Closed;
                return Err(closed());
            }
        };
        let done = work(&mut connection).await;
        let usable = match &done {
            Ok(_) => true,
            Err(error) => {
                matches!(failure::kind(error), Kind::Taken | Kind::Dangling)
                    && connection.execute("ROLLBACK").await.is_ok()
            }
        };
        if usable {
            *held = Held::Open(connection);
        }
        done
    }

    /// Has it look something up. Whoever stops waiting leaves nothing behind.
    async fn read(&self, read: &Request, mut held: MutexGuard<'_, Held>) -> Result<Answer, DbErr> {
        if matches!(*held, Held::Lost) {
            *held = Held::Open(open(&self.options).await?);
        }
        let Held::Open(connection) = &mut *held else { return Err(closed()) };
        let done = read.make(connection).await;
        if done.is_err() {
            *held = Held::Lost;
        }
        done
    }
}

async fn open(options: &SqliteConnectOptions) -> Result<SqliteConnection, DbErr> {
    let opened = SqliteConnection::connect_with(options).await;
    opened.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

fn closed() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}

pub(super) fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

/// The connections that only read.
pub(super) struct Readers {
    connections: Vec<Connection>,
    turn: AtomicUsize,
}

impl Readers {
    async fn open(options: &SqliteConnectOptions, count: usize) -> Result<Self, DbErr> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(options.clone()).await?);
        }
        Ok(Self { connections, turn: AtomicUsize::new(0) })
    }

    /// Looks something up, over the first connection that nobody uses, or else over each in turn.
    pub(super) async fn read(&self, read: &Request) -> Result<Answer, DbErr> {
        for connection in &self.connections {
            if let Ok(held) = connection.held.try_lock() {
                return connection.read(read, held).await;
            }
        }
        let connection = self.next();
        connection.read(read, connection.held.lock().await).await
    }

    fn next(&self) -> &Connection {
        &self.connections[self.turn.fetch_add(1, Ordering::Relaxed) % self.connections.len()]
    }
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
    use std::{future::pending, sync::Arc, time::Duration};

    use sea_orm::{DbBackend, Statement};
    use sqlx::Executor;
    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::{Request, connect, failed};
    use crate::store::{Location, Store};

    #[tokio::test]
    async fn a_change_that_is_given_up_half_way_leaves_nothing_and_nobody_in_its_place() {
        let directory = TempDir::new().unwrap();
        let connected = connect(&directory.path().join("numbers.db"), &Arc::default()).await.unwrap();
        let write = async |sql: &'static str| {
            connected.writer.write(async |writer| writer.execute(sql).await.map_err(failed)).await.unwrap()
        };
        write("CREATE TABLE numbers (number BIGINT PRIMARY KEY)").await;
        let half = connected.writer.write(async |writer| {
            writer.execute("BEGIN IMMEDIATE; INSERT INTO numbers VALUES (1)").await.map_err(failed)?;
            pending::<Result<(), _>>().await
        });
        timeout(Duration::from_millis(100), half).await.unwrap_err();
        write("INSERT INTO numbers VALUES (2)").await;
        let count = Statement::from_string(DbBackend::Sqlite, "SELECT SUM(number) FROM numbers");
        let rows = connected.readers.read(&Request::one(count)).await.unwrap().rows();
        assert_eq!(rows[0].try_get_by_index::<i64>(0).unwrap(), 2);
    }

    #[tokio::test]
    async fn nobody_else_may_read_the_file_or_what_is_beside_it() {
        use std::os::unix::fs::PermissionsExt;

        let directory = TempDir::new().unwrap();
        let store = Store::connect(&Location::in_directory(directory.path())).await.unwrap();
        store.migrate().await.unwrap();
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 3, "the database, its log and its index: {files:?}");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }
}
