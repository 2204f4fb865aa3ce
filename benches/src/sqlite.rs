//! SQLite through its own functions: what fills a database, and the bare loop that the server is compared with. The one
//! module that may be `unsafe`.
#![expect(unsafe_code, reason = "SQLite is a C library, and a wrapper's cost is not to be measured")]

use std::{
    ffi::{CStr, CString},
    os::raw::{c_char, c_int},
    path::Path,
    ptr::{self, NonNull},
    time::{Duration, Instant},
};

use libsqlite3_sys as sqlite;

use crate::{Outcome, data::Size, failed};

/// A connection, used by one thread.
#[derive(Debug)]
pub struct Connection(NonNull<sqlite::sqlite3>);

impl Connection {
    /// Opens a file as the server's writer does: write-ahead log, and every commit on disk before it is answered.
    pub fn open(path: &Path) -> Outcome<Self> {
        let name = CString::new(path.to_str().ok_or("the path is not UTF-8")?)?;
        let mut handle = ptr::null_mut();
        let flags = sqlite::SQLITE_OPEN_READWRITE | sqlite::SQLITE_OPEN_NOMUTEX;
        // SAFETY: the name ends with a zero and outlives the call; the handle is written to before it returns.
        let status = unsafe { sqlite::sqlite3_open_v2(name.as_ptr(), &raw mut handle, flags, ptr::null()) };
        let connection = Self(NonNull::new(handle).ok_or("no memory for a connection to SQLite")?);
        connection.check(status)?;
        connection.execute(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
        )?;
        Ok(connection)
    }

    /// Runs statements, one after the other.
    pub fn execute(&self, statements: &str) -> Outcome<()> {
        let text = CString::new(statements)?;
        // SAFETY: the connection is open, the text ends with a zero and outlives the call, and nothing is called back.
        let status = unsafe {
            sqlite::sqlite3_exec(self.0.as_ptr(), text.as_ptr(), None, ptr::null_mut(), ptr::null_mut())
        };
        self.check(status)
    }

    /// Prepares one statement.
    pub fn prepare(&self, statement: &str) -> Outcome<Statement<'_>> {
        let mut handle = ptr::null_mut();
        let length = c_int::try_from(statement.len())?;
        let text = statement.as_ptr().cast::<c_char>();
        // SAFETY: the connection is open, the text has the length that is told, and the handle is written to before the
        // call returns.
        let status = unsafe {
            sqlite::sqlite3_prepare_v2(self.0.as_ptr(), text, length, &raw mut handle, ptr::null_mut())
        };
        self.check(status)?;
        Ok(Statement { handle: NonNull::new(handle).ok_or("an empty statement")?, connection: self })
    }

    fn check(&self, status: c_int) -> Outcome<()> {
        if matches!(status, sqlite::SQLITE_OK | sqlite::SQLITE_DONE | sqlite::SQLITE_ROW) {
            return Ok(());
        }
        // SAFETY: the connection is open.
        let message = unsafe { sqlite::sqlite3_errmsg(self.0.as_ptr()) };
        // SAFETY: SQLite keeps the text, which ends with a zero, until the connection is used again.
        let message = unsafe { CStr::from_ptr(message) };
        failed(format!("SQLite: {}", message.to_string_lossy()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the connection was opened, nothing uses it any more, and statements do not outlive it.
        unsafe { sqlite::sqlite3_close(self.0.as_ptr()) };
    }
}

/// A statement that is prepared once and run often.
#[derive(Debug)]
pub struct Statement<'a> {
    handle: NonNull<sqlite::sqlite3_stmt>,
    connection: &'a Connection,
}

/// What stands for a `?`.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl Statement<'_> {
    /// Runs it with these values, and says how many rows it changed.
    pub fn run(&mut self, values: &[Value]) -> Outcome<i64> {
        for (index, value) in values.iter().enumerate() {
            let place = c_int::try_from(index + 1)?;
            let (bytes, text) = match value {
                Value::Text(text) => (text.as_bytes(), true),
                Value::Blob(bytes) => (*bytes, false),
            };
            let (start, length) = (bytes.as_ptr(), c_int::try_from(bytes.len())?);
            let status = if text {
                // SAFETY: the statement is prepared, and the text stays where it is until the statement has run.
                unsafe { sqlite::sqlite3_bind_text(self.handle.as_ptr(), place, start.cast(), length, None) }
            } else {
                // SAFETY: the statement is prepared, and the bytes stay where they are until the statement has run.
                unsafe { sqlite::sqlite3_bind_blob(self.handle.as_ptr(), place, start.cast(), length, None) }
            };
            self.connection.check(status)?;
        }
        // SAFETY: the statement is prepared, and what is bound to it lives.
        let stepped = unsafe { sqlite::sqlite3_step(self.handle.as_ptr()) };
        let outcome = self.connection.check(stepped);
        // SAFETY: the statement is prepared.
        unsafe { sqlite::sqlite3_reset(self.handle.as_ptr()) };
        outcome?;
        // SAFETY: the connection is open.
        Ok(unsafe { sqlite::sqlite3_changes64(self.connection.0.as_ptr()) })
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement was prepared, and nothing uses it any more.
        unsafe { sqlite::sqlite3_finalize(self.handle.as_ptr()) };
    }
}

/// The bare loop: the statement of `generateJoinCode`, prepared once, run over and over, each with a commit of its own.
/// Says how often a second.
pub fn bare_draws(path: &Path, size: Size, duration: Duration) -> Outcome<f64> {
    let connection = Connection::open(path)?;
    let mut update = connection.prepare(
        "UPDATE classes SET join_code = ?, join_code_expires_at = ? WHERE id = ? AND owner_id = ?",
    )?;
    let mut random = fastrand::Rng::new();
    let expires_at = "2099-01-01T00:00:00+00:00";
    let (begin, mut count) = (Instant::now(), 0_u32);
    while begin.elapsed() < duration {
        let code = crate::data::join_code(random.u64(..));
        let class = random.usize(..size.classes);
        let (class_id, owner) = (crate::data::class_id(class), crate::data::user_id(class % size.owners()));
        let values =
            [Value::Text(&code), Value::Text(expires_at), Value::Blob(&class_id), Value::Blob(&owner)];
        if update.run(&values)? != 1 {
            return failed("the bare loop changed no row");
        }
        count += 1;
    }
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}

/// Which SQLite this is.
pub fn version() -> &'static str {
    sqlite::SQLITE_VERSION.to_str().unwrap_or_default()
}
