//! The measured data: users who all have the same password, and classes with a join code each.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    Outcome,
    client::{APP, REDIRECT_URI},
    engines, failed, server,
};

/// The creation instant of all rows, in the format in which the server stores it in SQLite.
pub const CREATION: &str = "2026-01-01T00:00:00.000+00:00";
/// The expiry of all join codes, in the same format.
pub const EXPIRY: &str = "2099-01-01T00:00:00.000+00:00";

/// The hash of the password of all users.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdCBvZiBldmVyeW9uZQ$8Ck/Qufvd8vf6LBakBqPf6QKtJc6HdPJH0iNmfvfqL4";

/// The number of rows.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Users, the owners included.
    pub users: usize,
    /// Classes. Class `n` belongs to user `n % owners`.
    pub classes: usize,
    /// Users who own classes: the first ones.
    pub owners: usize,
}

/// A data directory and its database.
#[derive(Debug)]
pub struct Data {
    /// The number of rows.
    pub size: Size,
    /// The URL of the PostgreSQL database, if the data is not in an SQLite file.
    pub postgres: Option<String>,
    directory: TempDir,
}

impl Data {
    /// A new SQLite database.
    pub fn sqlite(size: Size) -> Outcome<Self> {
        let data = Self { size, postgres: None, directory: directory()? };
        data.fill()?;
        Ok(data)
    }

    /// An empty PostgreSQL database, which is filled.
    pub fn postgres(size: Size, url: String) -> Outcome<Self> {
        let data = Self { size, postgres: Some(url), directory: directory()? };
        data.fill()?;
        Ok(data)
    }

    /// A second data directory for the same PostgreSQL database, with the same signing keys.
    pub fn second_node(&self) -> Outcome<Self> {
        let directory = directory()?;
        let keys = directory.path().join("keys");
        fs::create_dir(&keys)?;
        for key in fs::read_dir(self.path().join("keys"))? {
            let key = key?;
            fs::copy(key.path(), keys.join(key.file_name()))?;
        }
        Ok(Self { size: self.size, postgres: self.postgres.clone(), directory })
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        self.path().join("homeroom.db")
    }

    /// A copy of the SQLite file. Call it before the server starts.
    pub fn copy_of_file(&self) -> Outcome<PathBuf> {
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let copy = self.path().join("copy.db");
        fs::copy(self.file(), &copy)?;
        Ok(copy)
    }

    /// Executes SQL without the server.
    pub fn execute(&self, sql: &str) -> Outcome<()> {
        let Some(url) = &self.postgres else { return Ok(engines::open(&self.file())?.execute_batch(sql)?) };
        let mut psql = Command::new("psql")
            .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", url])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = psql.stdin.take() {
            stdin.write_all(sql.as_bytes())?;
        }
        let output = psql.wait_with_output()?;
        if output.status.success() { Ok(()) } else { failed(String::from_utf8_lossy(&output.stderr)) }
    }

    /// Creates the schema and the app with the server's own commands, and inserts the other rows with SQL.
    fn fill(&self) -> Outcome<()> {
        let add_app = ["app", "add", "--id", APP, "--name", "School", "--redirect-uri", REDIRECT_URI];
        server::run(&add_app, self.path(), self.postgres.as_deref())?;
        let user = |number| self.literal(user_id(number));
        let class = |number| self.literal(class_id(number));
        self.insert(
            "users (id, email, password_hash, enabled, email_verified_at, created_at)",
            self.size.users,
            |n| format!("{}, '{}', '{HASH}', true, '{CREATION}', '{CREATION}'", user(n), email(n)),
        )?;
        self.insert(
            "classes (id, owner_id, name, is_active, created_at, updated_at)",
            self.size.classes,
            |n| {
                let owner = user(n % self.size.owners);
                format!("{}, {owner}, 'Class {n}', true, '{CREATION}', '{CREATION}'", class(n))
            },
        )?;
        self.insert("join_codes (class_id, code, expires_at, created_at)", self.size.classes, |n| {
            format!("{}, '{}', '{EXPIRY}', '{CREATION}'", class(n), first_join_code(n))
        })?;
        self.execute("ANALYZE")
    }

    /// A UUID as an SQL literal: a BLOB in SQLite, text in PostgreSQL.
    fn literal(&self, id: u128) -> String {
        format!("{}'{id:032x}'", if self.postgres.is_none() { "x" } else { "" })
    }

    fn insert(&self, table: &str, count: usize, row: impl Fn(usize) -> String) -> Outcome<()> {
        // One statement per thousand rows, a hundred statements per transaction.
        let rows = |range: Range<usize>| range.map(|n| format!("({})", row(n))).collect::<Vec<_>>().join(",");
        for start in (0..count).step_by(100_000) {
            let mut sql = String::from("BEGIN;");
            for begin in (start..count.min(start + 100_000)).step_by(1000) {
                let values = rows(begin..count.min(begin + 1000));
                write!(sql, "INSERT INTO {table} VALUES {values};")?;
            }
            self.execute(&(sql + "COMMIT"))?;
        }
        Ok(())
    }
}

fn directory() -> Outcome<TempDir> {
    Ok(tempfile::Builder::new().prefix("data-").tempdir_in(crate::output_directory()?)?)
}

/// The e-mail address of a user.
pub fn email(user: usize) -> String {
    format!("user{user}@school.example")
}

/// The id of a user.
pub fn user_id(number: usize) -> u128 {
    0x7000_8000_0000_0000_0000 + number as u128
}

/// The id of a class.
pub fn class_id(number: usize) -> u128 {
    0x7000_9000_0000_0000_0000 + number as u128
}

/// The path of `generateJoinCode` for a class.
pub fn join_code_path(class: usize) -> String {
    format!("/classes/00000000-0000-7000-9000-{class:012x}/join-code")
}

/// The join code that a class has at the start of a run.
pub fn first_join_code(class: usize) -> String {
    join_code((class as u64 * 2_654_435_761) & 0xFFFF_FFFF)
}

/// The join code with this number in base 30.
pub fn join_code(mut number: u64) -> String {
    const ALPHABET: &[u8; 30] = b"0123456789BCDFGHJKMNPQRSTVWXYZ";
    let digit = |_| {
        let digit = ALPHABET[(number % 30) as usize];
        number /= 30;
        char::from(digit)
    };
    (0..8).map(digit).collect()
}
