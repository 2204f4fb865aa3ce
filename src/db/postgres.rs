//! Connecting to PostgreSQL: one pool of connections for each node.

use std::{sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{ACQUIRE, leftovers::Leftovers, postgres_url};

/// After how long a resting connection is tried before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// How long a connection that is tried may take to answer.
const PING: Duration = Duration::from_secs(1);
/// What every connection is told first. A statement may take 5 s, and 3 of them waiting for a lock; a transaction that
/// its node has forgotten keeps others waiting for no longer than 10 s. What it would be warned of, that a transaction is open
/// already for one, whoever hangs up could write into the log.
///
/// It is told by a statement, for PgBouncer refuses to be told at connecting.
const LIMITS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '3s'; \
                      SET idle_in_transaction_session_timeout = '10s'; SET client_min_messages = 'error'";

/// The pool of a server. Nobody is connected yet when it cannot be reached, but that is found out.
pub(super) async fn connect(
    url: &str,
    connections: u32,
    leftovers: Arc<Leftovers>,
) -> Result<DatabaseConnection, DbErr> {
    let failed = |error: sqlx::Error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)));
    // PgBouncer knows no `extra_float_digits`, and we have no floats.
    for parameter in postgres_url::parse(url).map(|(_, unused)| unused).unwrap_or_default() {
        tracing::warn!(parameter, "a parameter of the database URL is not known, and not used");
    }
    let options = options(url)?.extra_float_digits(None);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(LIMITS).await.map(drop) }))
        // A connection is tried only if it has rested: a restart of the server costs no request, and the way of a busy
        // connection stays free of pings.
        .before_acquire(|connection, resting| {
            Box::pin(
                async move { if resting.idle_for < IDLE { Ok(true) } else { answers(connection).await } },
            )
        })
        .after_release(move |connection, _| {
            let tried = leftovers.are_there();
            Box::pin(async move { if tried { comes_clean(connection).await } else { Ok(true) } })
        })
        .connect_with(options.clone())
        .await;
    match pool {
        Ok(pool) => {
            refuse_encoding(&pool).await?;
            Ok(pool.into())
        }
        // The pool says that it has tried for long, and not what it met.
        Err(error @ sqlx::Error::PoolTimedOut) => {
            let met = in_time(PgConnection::connect_with(&options)).await;
            Err(failed(met.err().unwrap_or(error)))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Refuses a database that stores text in another encoding than UTF-8: it could not db every name, and would compare texts by
/// other rules.
async fn refuse_encoding(pool: &PgPool) -> Result<(), DbErr> {
    let failed = |error: sqlx::Error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)));
    let mut connection = pool.acquire().await.map_err(failed)?;
    let asked = sqlx::query_scalar("SELECT current_setting('server_encoding')");
    let encoding: String = asked.fetch_one(&mut *connection).await.map_err(failed)?;
    if encoding == "UTF8" {
        // Given back, it would come to the pool a moment later, and whoever asks meanwhile would have another one opened.
        return connection.close().await.map_err(failed);
    }
    let message = format!("its encoding is {encoding}, and Homeroom needs a database with the encoding UTF8");
    Err(DbErr::Conn(RuntimeErr::Internal(message)))
}

/// How to connect to the server of a URL.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, DbErr> {
    let options = postgres_url::options(url);
    let options = options.map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?;
    Ok(options.disable_statement_logging())
}

/// Tries a connection. One that fails, or takes too long, is broken, and the pool closes it without a word.
async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    in_time(connection.ping()).await.map(|()| true)
}

/// Tries a connection over which a statement may have been left, and ends the transaction that is open, if one is.
///
/// A `BEGIN` that was left opens one that the driver knows nothing of; all that is done over the connection after it would
/// be answered and then undone. If none is open, this opens one and ends it: a `ROLLBACK` alone would have the server warn.
async fn comes_clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    in_time(connection.execute("BEGIN; ROLLBACK")).await.map(|_| true)
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    timeout(PING, asked).await.map_err(late)?
}
