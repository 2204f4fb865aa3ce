//! Connecting to SQLite: one file, written to by one connection, but for what an operator changes, and read by several.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    num::NonZeroUsize,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
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
    ConnectOptions, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use super::{
    ACQUIRE,
    pool::Pool,
    request::{Answer, Request},
};

/// How long SQLite waits for a write of another connection, an operator's most likely.
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
    path: PathBuf,
    /// The file as it was opened.
    file: FileId,
    pub(super) readers: Readers,
    pub(super) writer: Connection,
    /// For changes that depend on what they find. There are few, and its one connection is not there before them.
    pub(super) transactions: DatabaseConnection,
}

/// Connects to a file, which is made if there is none.
pub(super) async fn connect(path: &Path) -> Result<Connected, DbErr> {
    let opened = |error| DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", path.display())));
    make_private(path).map_err(opened)?;
    // The writer comes first: it turns the file to write-ahead logging.
    let writer = Connection::open(writing(path)).await?;
    let file = FileId::of(path).map_err(opened)?;
    let readers = available_parallelism().unwrap_or(READERS).max(READERS);
    let readers = Readers::open(&reading(path), readers.get()).await?;
    let transactions = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(RESTING)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(has_no_transaction(connection)))
        .connect_lazy_with(writing(path));
    Ok(Connected { path: path.to_owned(), file, readers, writer, transactions: transactions.into() })
}

impl Connected {
    /// Closes all of them for good. The writer comes last: the last connection takes the log into the file and removes it,
    /// which SQLite does not do for one that only reads.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.transactions.close_by_ref().await?;
        for connection in self.readers.connections.iter().chain([&self.writer]) {
            connection.close().await?;
        }
        Ok(())
    }

    /// Whether writing and reading can be had, within `limit` each, and the path still leads to the open file. If the file was
    /// deleted or another one is in its place, what is written is lost when the server ends.
    pub(super) async fn ping(&self, limit: Duration) -> Result<(), DbErr> {
        if FileId::of(&self.path).ok() != Some(self.file) {
            let message =
                format!("{} is not the file that is open: start the server anew", self.path.display());
            return Err(DbErr::Conn(RuntimeErr::Internal(message)));
        }
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

/// What tells a file from another one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    number: u64,
}

impl FileId {
    fn of(path: &Path) -> std::io::Result<Self> {
        path.metadata().map(|metadata| Self { device: metadata.dev(), number: metadata.ino() })
    }
}

/// The write-ahead log of a file. SQLite makes it when the file is opened, and removes it when the last connection is closed.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = OsString::from(path);
    log.push("-wal");
    log.into()
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

/// A connection for one at a time, opened anew when nobody knows any more in what state it is. It is no pool's: a pool tries
/// a connection each time that it is given back, and each word to one of SQLite's is two changes of threads, for which
/// whoever signs in would wait.
pub(super) struct Connection {
    options: SqliteConnectOptions,
    held: Mutex<Held>,
}

/// What there is of it.
struct Held {
    /// None while it is opened anew, or since that failed; and once it is closed.
    connection: Option<SqliteConnection>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is under way on it, and it is in no transaction.
    Ready,
    /// Something is under way on it. Or was: it failed, or whoever asked for it has stopped waiting, and the driver's thread
    /// may be at it yet.
    Asked,
    /// For good.
    Closed,
}

impl Held {
    /// The connection to be asked something, once nothing that was asked before is under way, so that no change is made
    /// after one that was asked for later. Whoever stops waiting leaves it [`State::Asked`].
    async fn ask(&mut self, options: &SqliteConnectOptions) -> Result<&mut SqliteConnection, DbErr> {
        match self.state {
            State::Closed => return Err(closed()),
            State::Ready => self.state = State::Asked,
            State::Asked => {
                if let Some(connection) = &mut self.connection {
                    // Its turn comes when the thread has done what it is at. What it says then does not matter.
                    _ = connection.ping().await;
                }
                if let Some(connection) = self.connection.take() {
                    // With it ends its transaction, if it is in one.
                    _ = connection.close().await;
                }
            }
        }
        if self.connection.is_none() {
            self.connection = Some(open(options).await?);
        }
        self.connection.as_mut().ok_or_else(closed)
    }
}

impl Connection {
    async fn open(options: SqliteConnectOptions) -> Result<Self, DbErr> {
        let connection = Some(open(&options).await?);
        Ok(Self { options, held: Mutex::new(Held { connection, state: State::Ready }) })
    }

    /// Closes it for good.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let mut held = self.held.lock().await;
        held.state = State::Closed;
        match held.connection.take() {
            Some(connection) => connection.close().await.map_err(failed),
            None => Ok(()),
        }
    }

    /// Whether it can be had, and answers, within `limit`.
    pub(super) async fn ping(&self, limit: Duration) -> Result<(), DbErr> {
        let ping = self.ask(async |connection| connection.ping().await.map_err(failed));
        timeout(limit, ping).await.unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))
    }

    /// Has it do something, after which it is in no transaction unless it failed.
    pub(super) async fn ask<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        self.ask_held(self.held.lock().await, work).await
    }

    async fn ask_held<T>(
        &self,
        mut held: MutexGuard<'_, Held>,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let done = work(held.ask(&self.options).await?).await?;
        held.state = State::Ready;
        Ok(done)
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
        let work = async |connection: &mut SqliteConnection| read.make(connection).await;
        for connection in &self.connections {
            if let Ok(held) = connection.held.try_lock()
                && held.state == State::Ready
            {
                return connection.ask_held(held, work).await;
            }
        }
        self.next().ask(work).await
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
    use std::{future::pending, time::Duration};

    use sea_orm::{DbBackend, Statement};
    use sqlx::Executor;
    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::{Request, State, connect, failed};
    use crate::db::{DatabaseUrl, Db};

    #[tokio::test]
    async fn a_change_that_is_given_up_half_way_leaves_nothing_and_nobody_in_its_place() {
        let directory = TempDir::new().unwrap();
        let connected = connect(&directory.path().join("numbers.db")).await.unwrap();
        let write = async |sql: &'static str| {
            connected.writer.ask(async |writer| writer.execute(sql).await.map_err(failed)).await.unwrap()
        };
        write("CREATE TABLE numbers (number BIGINT PRIMARY KEY)").await;
        let half = connected.writer.ask(async |writer| {
            writer.execute("BEGIN IMMEDIATE; INSERT INTO numbers VALUES (1)").await.map_err(failed)?;
            pending::<Result<(), _>>().await
        });
        timeout(Duration::from_millis(100), half).await.unwrap_err();
        write("INSERT INTO numbers VALUES (2)").await;
        let count = Statement::from_string(DbBackend::Sqlite, "SELECT SUM(number) FROM numbers");
        let rows = connected.readers.read(&Request::one(count)).await.unwrap().rows();
        assert_eq!(rows[0].try_get_by_index::<i64>(0).unwrap(), 2);
    }

    /// So many rows of nothing, which takes SQLite a while.
    fn slowly(rows: u32) -> String {
        format!(
            "WITH RECURSIVE rows(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM rows WHERE n < {rows}) SELECT MAX(n) FROM rows"
        )
    }

    #[tokio::test]
    async fn a_change_that_was_given_up_is_made_before_what_was_asked_for_later_or_never() {
        let directory = TempDir::new().unwrap();
        let connected = connect(&directory.path().join("numbers.db")).await.unwrap();
        let write = |sql| connected.writer.ask(async move |writer| writer.execute(sql).await.map_err(failed));
        write("CREATE TABLE numbers (number BIGINT PRIMARY KEY)").await.unwrap();
        write("INSERT INTO numbers VALUES (0)").await.unwrap();
        // It waits for the lock that somebody else has, and nobody waits for it any more.
        let locked = crate::db::retry::begin(&connected.transactions).await.unwrap();
        let first = timeout(Duration::from_millis(100), write("UPDATE numbers SET number = 1"));
        first.await.unwrap_err();
        let unlock = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            locked.rollback().await.unwrap();
        };
        let (second, ()) = tokio::join!(write("UPDATE numbers SET number = 2"), unlock);
        second.unwrap();
        let number = Request::one(Statement::from_string(DbBackend::Sqlite, "SELECT number FROM numbers"));
        // If the first were waiting yet, it would try for the lock once more within 100 ms.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let rows = connected.readers.read(&number).await.unwrap().rows();
        assert_eq!(rows[0].try_get_by_index::<i64>(0).unwrap(), 2);
    }

    #[tokio::test]
    async fn nobody_waits_behind_what_was_given_up_while_another_reader_is_free() {
        let directory = TempDir::new().unwrap();
        let connected = connect(&directory.path().join("numbers.db")).await.unwrap();
        let read = |sql| Request::one(Statement::from_string(DbBackend::Sqlite, sql));
        let slow = read(slowly(10_000_000));
        timeout(Duration::from_millis(50), connected.readers.read(&slow)).await.map(drop).unwrap_err();
        for _ in 0..3 {
            connected.readers.read(&read("SELECT 1".to_owned())).await.unwrap();
        }
        let state = |reader: usize| connected.readers.connections[reader].held.try_lock().unwrap().state;
        assert_eq!([state(0), state(1)], [State::Asked, State::Ready]);
    }

    #[tokio::test]
    async fn nobody_else_may_read_the_file_or_what_is_beside_it() {
        use std::os::unix::fs::PermissionsExt;

        let directory = TempDir::new().unwrap();
        let db = Db::connect(&DatabaseUrl::in_directory(directory.path())).await.unwrap();
        db.migrate().await.unwrap();
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 3, "the database, its log and its index: {files:?}");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }
}
