//! Classification of database errors.

use std::error::Error as StdError;

use sea_orm::{DbErr, RuntimeErr, SqlErr};
use sqlx::postgres::PgDatabaseError;

/// The kind of a database error, as far as callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The database is unreachable, shutting down, overloaded, too slow, out of space, or faulty. The same call may succeed later.
    Unavailable,
    /// Another row has the same unique value.
    UniqueViolation,
    /// A referenced row does not exist.
    ForeignKeyViolation,
    /// The statement or the data is wrong.
    Other,
}

/// The kind of a database error.
pub fn kind(error: &DbErr) -> ErrorKind {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => ErrorKind::UniqueViolation,
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => ErrorKind::ForeignKeyViolation,
        _ if is_unavailable(error) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

/// Whether the database says that the attempt changed nothing, and that another one may succeed soon.
pub(super) fn changed_nothing(error: &DbErr) -> bool {
    match error {
        // No connection was established.
        DbErr::Conn(_) => true,
        // serialization_failure, deadlock_detected, too_many_connections, cannot_connect_now, internal_error. PostgreSQL 15 refuses a
        // change with the last one ("new multixact has more than one updating member") if another change of the row is just being
        // undone.
        _ => matches!(Code::of(error), Some(Code::Postgres("40001" | "40P01" | "53300" | "57P03" | "XX000"))),
    }
}

/// Whether a lock was not granted in time (PostgreSQL's `lock_not_available`).
pub(super) fn is_lock_timeout(error: &DbErr) -> bool {
    matches!(Code::of(error), Some(Code::Postgres("55P03")))
}

fn is_unavailable(error: &DbErr) -> bool {
    let driver = match error {
        DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => return true,
        DbErr::Exec(RuntimeErr::SqlxError(driver)) | DbErr::Query(RuntimeErr::SqlxError(driver)) => driver,
        _ => return false,
    };
    match driver.as_ref() {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => true,
        _ => Code::of(error).is_some_and(Code::is_unavailable),
    }
}

/// The error code of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code<'a> {
    /// An SQLSTATE (PostgreSQL manual, appendix A).
    Postgres(&'a str),
    /// A primary or extended result code.
    Sqlite(u32),
}

impl<'a> Code<'a> {
    fn of(error: &'a DbErr) -> Option<Self> {
        let (DbErr::Exec(RuntimeErr::SqlxError(driver)) | DbErr::Query(RuntimeErr::SqlxError(driver))) =
            error
        else {
            return None;
        };
        let sqlx::Error::Database(database) = driver.as_ref() else { return None };
        if let Some(postgres) = database.try_downcast_ref::<PgDatabaseError>() {
            return Some(Self::Postgres(postgres.code()));
        }
        database.code()?.parse().ok().map(Self::Sqlite)
    }

    fn is_unavailable(self) -> bool {
        match self {
            Self::Postgres(code) => {
                // idle_in_transaction_session_timeout; read_only_sql_transaction, from a standby; lock_not_available; internal_error
                matches!(code, "25P03" | "25006" | "55P03" | "XX000")
                    // connection_exception; transaction_rollback; insufficient_resources; operator_intervention;
                    // system_error
                    || matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58"))
            }
            // BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL. The lowest byte is the primary code.
            Self::Sqlite(code) => matches!(code & 0xff, 5 | 6 | 7 | 8 | 10 | 13 | 14 | 15),
        }
    }
}

/// An error and its causes, for logs and messages. A cause that the text before it contains is not repeated.
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = message(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = message(error);
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

/// The message of an error. The driver adds ` at line 1234` to the messages of a PostgreSQL server. That is a line of the server's
/// source code, which readers would take for a line of the statement, so it is removed.
fn message(error: &(dyn StdError + 'static)) -> String {
    let message = error.to_string();
    match postgres_error(error) {
        Some(postgres) => message.replace(&postgres.to_string(), postgres.message()),
        None => message,
    }
}

fn postgres_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e PgDatabaseError> {
    let runtime = match error.downcast_ref() {
        Some(DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime)) => Some(runtime),
        _ => error.downcast_ref(),
    };
    let driver = match runtime {
        Some(RuntimeErr::SqlxError(driver)) => Some(driver.as_ref()),
        _ => error.downcast_ref(),
    };
    let sqlx::Error::Database(database) = driver? else { return None };
    database.try_downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_unavailable_code_of_overload_or_shutdown_is_true() {
        for code in [
            "40001", "40P01", "40003", "08006", "08P01", "57P01", "57P02", "57P03", "57014", "25P03",
            "55P03", "53100", "58030", "25006", "XX000",
        ] {
            assert!(Code::Postgres(code).is_unavailable(), "{code}");
        }
        for code in [5, 517, 6, 8, 1032, 10, 778, 13, 14, 15] {
            assert!(Code::Sqlite(code).is_unavailable(), "{code}");
        }
    }

    #[test]
    fn is_unavailable_code_of_wrong_statement_is_false() {
        for code in ["42703", "22001", "23505", "XX001", "25001", "55000"] {
            assert!(!Code::Postgres(code).is_unavailable(), "{code}");
        }
        for code in [11, 26, 1, 19, 2067] {
            assert!(!Code::Sqlite(code).is_unavailable(), "{code}");
        }
    }
}
