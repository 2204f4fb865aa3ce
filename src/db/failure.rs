//! Telling the failures of a database apart: what a room needs to know of one, and whether to try again.

use std::{borrow::Cow, error::Error as StdError};

use sea_orm::{DbErr, RuntimeErr, SqlErr};
use sqlx::postgres::PgDatabaseError;

/// What kind of failure a statement met, as far as rooms need to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The database cannot be reached, is going down, is too busy or too slow, or has no room: the same call may succeed
    /// later.
    Unavailable,
    /// A value that must be unique is taken.
    UniqueViolation,
    /// A row that this one points to is gone.
    ForeignKeyViolation,
    /// Our statement or our data is wrong.
    Other,
}

/// An error and its causes, as they are logged and printed. A cause that the error tells in its own words is not repeated.
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = words(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = words(error);
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// An error in its own words. To a message of a PostgreSQL server the driver adds ` at line 1234`, which is a line of the server's
/// own source, and reads like one of a statement: it is left out.
fn words(error: &(dyn StdError + 'static)) -> String {
    let words = error.to_string();
    let Some(of_server) = of_server(error) else { return words };
    let message = of_server.message();
    words.replace(&of_server.to_string(), message)
}

/// The error of a PostgreSQL server that this one is about.
fn of_server<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e PgDatabaseError> {
    let driver =
        if let Some(DbErr::Conn(error) | DbErr::Exec(error) | DbErr::Query(error)) = error.downcast_ref() {
            of_runtime(error)
        } else if let Some(error) = error.downcast_ref() {
            of_runtime(error)
        } else {
            error.downcast_ref()
        };
    let sqlx::Error::Database(database) = driver? else { return None };
    database.try_downcast_ref()
}

fn of_runtime(error: &RuntimeErr) -> Option<&sqlx::Error> {
    let RuntimeErr::SqlxError(driver) = error else { return None };
    Some(driver)
}

/// Tells a passing failure from a clash and from a fault of ours.
pub fn kind(error: &DbErr) -> ErrorKind {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => ErrorKind::UniqueViolation,
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => ErrorKind::ForeignKeyViolation,
        _ => Failure::of(error).map_or(ErrorKind::Other, |_| ErrorKind::Unavailable),
    }
}

/// Whether somebody held a row or a table for longer than the statement may wait for it (PostgreSQL's
/// `lock_not_available`).
pub fn is_held(error: &DbErr) -> bool {
    sqlstate(error).is_some_and(|code| code == "55P03")
}

/// Whether somebody may have held a row for so long, or several rows, one after the other, for longer than the statement may
/// take (`query_canceled`).
pub fn may_be_held(error: &DbErr) -> bool {
    is_held(error) || sqlstate(error).is_some_and(|code| code == "57014")
}

/// Whether a change that failed so was surely not made, and may be a while later.
pub fn is_undone(error: &DbErr) -> bool {
    matches!(Failure::of(error), Some(Failure::Undone | Failure::Lasting))
}

/// Whether somebody else's change was in the way (PostgreSQL's class 40: serialization failure, deadlock).
pub(super) fn is_conflict(error: &DbErr) -> bool {
    sqlstate(error).is_some_and(|code| code.starts_with("40"))
}

/// PostgreSQL's code of an error. SQLite's are never of five characters.
fn sqlstate(error: &DbErr) -> Option<Cow<'_, str>> {
    let (DbErr::Exec(RuntimeErr::SqlxError(driver)) | DbErr::Query(RuntimeErr::SqlxError(driver))) = error
    else {
        return None;
    };
    let sqlx::Error::Database(database) = driver.as_ref() else { return None };
    database.code().filter(|code| code.len() == 5)
}

/// A failure that passes, and what became of the statement that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It never began, or was rolled back, and may succeed in a moment.
    Undone,
    /// The server ended the connection and said so: it may have been done, but will not be from now on.
    Ended,
    /// The connection broke under it: it may have been done, or be done yet, and a new connection may be had in a moment.
    Unknown,
    /// It was not done, and will not be for a while.
    Lasting,
}

impl Failure {
    /// How the statement failed, unless our statement or our data is wrong.
    pub(super) fn of(error: &DbErr) -> Option<Self> {
        match error {
            // No connection could be made, so that nothing was sent over it.
            DbErr::Conn(_) => Some(Self::Undone),
            // Whoever waits for a connection of the pool has waited for long.
            DbErr::ConnectionAcquire(_) => Some(Self::Lasting),
            DbErr::Exec(RuntimeErr::SqlxError(driver)) | DbErr::Query(RuntimeErr::SqlxError(driver)) => {
                match driver.as_ref() {
                    sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
                        Some(Self::Unknown)
                    }
                    sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Some(Self::Lasting),
                    sqlx::Error::Database(database) => {
                        let code = database.code()?;
                        if database.try_downcast_ref::<PgDatabaseError>().is_some() {
                            Self::of_postgres(&code)
                        } else {
                            Self::of_sqlite(code.parse().ok()?)
                        }
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// PostgreSQL's codes, by their classes (its manual, appendix A).
    fn of_postgres(code: &str) -> Option<Self> {
        match code {
            // serialization_failure, deadlock_detected
            "40001" | "40P01" => Some(Self::Undone),
            // statement_completion_unknown
            "40003" => Some(Self::Unknown),
            // idle_in_transaction_session_timeout
            "25P03" => Some(Self::Ended),
            // query_canceled (a statement took too long), lock_not_available, and read_only_sql_transaction: a server
            // that another one takes the place of
            "57014" | "55P03" | "25006" => Some(Self::Lasting),
            _ => match code.get(..2) {
                // connection_exception
                Some("08") => Some(Self::Unknown),
                // operator_intervention: the server is going down, or is not up yet
                Some("57") => Some(Self::Ended),
                // transaction_rollback; insufficient_resources; system_error
                Some("40" | "53" | "58") => Some(Self::Lasting),
                _ => None,
            },
        }
    }

    /// SQLite's result codes, whose lowest byte is the primary one.
    fn of_sqlite(code: u32) -> Option<Self> {
        match code & 0xff {
            // BUSY, LOCKED, PROTOCOL: another process was in the way
            5 | 6 | 15 => Some(Self::Undone),
            // NOMEM, READONLY, IOERR, FULL, CANTOPEN
            7 | 8 | 10 | 13 | 14 => Some(Self::Lasting),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_is_wrong() {
        for (code, failure) in [
            ("40001", Some(Failure::Undone)),
            ("40P01", Some(Failure::Undone)),
            ("40003", Some(Failure::Unknown)),
            ("08006", Some(Failure::Unknown)),
            ("08P01", Some(Failure::Unknown)),
            ("57P01", Some(Failure::Ended)),
            ("57P02", Some(Failure::Ended)),
            ("57P03", Some(Failure::Ended)),
            ("25P03", Some(Failure::Ended)),
            ("57014", Some(Failure::Lasting)),
            ("55P03", Some(Failure::Lasting)),
            ("53100", Some(Failure::Lasting)),
            ("58030", Some(Failure::Lasting)),
            ("25006", Some(Failure::Lasting)),
            ("42703", None),
            ("22001", None),
            ("XX001", None),
        ] {
            assert_eq!(Failure::of_postgres(code), failure, "{code}");
        }
        for (code, failure) in [
            (5, Some(Failure::Undone)),
            (517, Some(Failure::Undone)),
            (8, Some(Failure::Lasting)),
            (1032, Some(Failure::Lasting)),
            (10, Some(Failure::Lasting)),
            (778, Some(Failure::Lasting)),
            (13, Some(Failure::Lasting)),
            (14, Some(Failure::Lasting)),
            (11, None),
            (26, None),
            (1, None),
        ] {
            assert_eq!(Failure::of_sqlite(code), failure, "{code}");
        }
    }
}
