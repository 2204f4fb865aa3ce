//! PostgreSQL: one pool of connections per node, and writes that conflict with those of other nodes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, TransactionTrait};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{sleep, timeout};

use super::{ACQUIRE, Atomicity, Job, error, postgres_url};

/// A connection that was idle for longer is tested before use.
const IDLE: Duration = Duration::from_secs(1);
/// Longest wait for the answer of a connection that is tested.
const PING: Duration = Duration::from_secs(1);
/// Limits of every connection: 5 s for a statement, 3 s of it waiting for a lock, and 10 s for a transaction that its node has
/// abandoned. PgBouncer refuses such settings when it connects, so a statement sets them. The server's warnings stay out of the
/// log.
const LIMITS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '3s'; \
                      SET idle_in_transaction_session_timeout = '10s'; SET client_min_messages = 'error'";
/// Longest duration of one attempt at a job. It exceeds the limits above, and ends an attempt if the server has vanished.
const ATTEMPT: Duration = Duration::from_secs(6);
/// Upper bound on the attempts at one job.
const ATTEMPTS: u32 = 10;
/// A further attempt begins at most this long after the first one.
const RETRYING: Duration = Duration::from_secs(5);
/// Longest pause before the second attempt. Each further pause may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause before any attempt.
const MAX_PAUSE: Duration = Duration::from_millis(320);

/// Runs a job. It runs again only if the server says that the attempt changed nothing. After any other failure, such as a broken
/// connection, the fate of the change is unknown.
pub(super) async fn run<D, T>(
    pool: &DatabaseConnection,
    atomicity: Atomicity,
    data: &D,
    job: impl Job<D, T>,
) -> Result<T, DbErr> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        let outcome = timeout(ATTEMPT, run_once(pool, atomicity, data, &job)).await;
        match outcome.unwrap_or_else(|_| Err(timed_out())) {
            Err(error)
                if error::changed_nothing(&error) && attempt < ATTEMPTS && began.elapsed() < RETRYING =>
            {
                tracing::debug!(attempt, error = error::causes(&error), "the database job is tried again");
            }
            outcome => return outcome,
        }
        // Random, so that jobs that conflicted do not conflict again.
        sleep(pause.mul_f64(fastrand::f64())).await;
        pause = MAX_PAUSE.min(2 * pause);
        attempt += 1;
    }
}

async fn run_once<D, T>(
    pool: &DatabaseConnection,
    atomicity: Atomicity,
    data: &D,
    job: &impl Job<D, T>,
) -> Result<T, DbErr> {
    if atomicity == Atomicity::Statement {
        return job(&pool.into(), data).await;
    }
    let transaction = pool.begin().await?;
    let value = job(&(&transaction).into(), data).await?;
    transaction.commit().await?;
    Ok(value)
}

fn timed_out() -> DbErr {
    let timed_out = std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer");
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(timed_out.into())))
}

/// Connects to a server. A server that cannot be reached is an error.
pub(super) async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection, DbErr> {
    for parameter in postgres_url::parse(url).map(|(_, unused)| unused).unwrap_or_default() {
        tracing::warn!(parameter, "a parameter of the database URL is unknown and ignored");
    }
    // PgBouncer does not know `extra_float_digits`, and the schema has no floats.
    let options = options(url)?.extra_float_digits(None);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(LIMITS).await.map(drop) }))
        // An idle connection is tested, so that a restart of the server fails no request. A busy one is not, which saves a round
        // trip.
        .before_acquire(|connection, resting| {
            Box::pin(
                async move { if resting.idle_for < IDLE { Ok(true) } else { answers(connection).await } },
            )
        })
        .after_release(|connection, _| Box::pin(end_transaction(connection)))
        .connect_with(options.clone())
        .await;
    match pool {
        Ok(pool) => {
            refuse_encoding(&pool).await?;
            Ok(pool.into())
        }
        // The pool reports its own timeout, not the reason for it.
        Err(error @ sqlx::Error::PoolTimedOut) => {
            let reason = in_time(PgConnection::connect_with(&options)).await;
            Err(failed(reason.err().unwrap_or(error)))
        }
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Refuses a database with another encoding than UTF-8: it could not store every name, and would compare text by other rules.
async fn refuse_encoding(pool: &PgPool) -> Result<(), DbErr> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    let query = sqlx::query_scalar("SELECT current_setting('server_encoding')");
    let encoding: String = query.fetch_one(&mut *connection).await.map_err(failed)?;
    if encoding == "UTF8" {
        // Closed at once, because returning it to the pool takes a moment, in which another acquire opens a second connection.
        return connection.close().await.map_err(failed);
    }
    let message = format!("its encoding is {encoding}, and Homeroom needs a database with the encoding UTF8");
    Err(DbErr::Conn(RuntimeErr::Internal(message)))
}

/// The driver's options for a URL.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, DbErr> {
    let options = postgres_url::options(url);
    let options = options.map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?;
    Ok(options.disable_statement_logging())
}

/// Tests a connection. The pool closes a connection that fails the test.
async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    in_time(connection.ping()).await.map(|()| true)
}

/// Tests a connection that returns to the pool, and ends a transaction that is open on it.
///
/// If an attempt is abandoned during its `BEGIN`, the driver does not know of the transaction. Later changes over the connection
/// would be answered and then rolled back. The `BEGIN` here avoids the warning that a lone `ROLLBACK` causes.
async fn end_transaction(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    in_time(connection.execute("BEGIN; ROLLBACK")).await.map(|_| true)
}

async fn in_time<T>(query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let timed_out = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    timeout(PING, query).await.map_err(timed_out)?
}
