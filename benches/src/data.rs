//! The data that is measured on: users with one password, and classes of which each user who is an owner has as many.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tempfile::TempDir;

use crate::{
    Outcome, failed, hash,
    request::{APP, REDIRECT_URI},
    server,
    sqlite::{Connection, Value},
};

/// How many users own classes, if there are as many.
const OWNERS: usize = 1000;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Users.
    pub users: usize,
    /// Classes. The class of number `n` belongs to the user of number `n % owners`.
    pub classes: usize,
}

impl Size {
    /// How many of the users own classes.
    pub fn owners(self) -> usize {
        self.users.min(OWNERS)
    }
}

/// A data directory, and the database that goes with it.
#[derive(Debug)]
pub struct Data {
    /// How much there is in it.
    pub size: Size,
    /// The database, if it is not SQLite's file.
    pub postgres: Option<String>,
    directory: TempDir,
}

impl Data {
    /// A SQLite file. Its keys are those of `like`, so that its tokens are good here too.
    pub fn sqlite(size: Size, like: Option<&Self>) -> Outcome<Self> {
        Self::make(size, None, like)
    }

    /// A PostgreSQL database, which has nothing in it yet.
    pub fn postgres(size: Size, url: String, like: Option<&Self>) -> Outcome<Self> {
        Self::make(size, Some(url), like)
    }

    /// A directory for another server over the same PostgreSQL database.
    pub fn beside(other: &Self) -> Outcome<Self> {
        Self::bare(other.size, other.postgres.clone(), Some(other))
    }

    fn bare(size: Size, postgres: Option<String>, like: Option<&Self>) -> Outcome<Self> {
        let target = crate::output_directory()?;
        let directory = tempfile::Builder::new().prefix("data-").tempdir_in(target)?;
        let keys = directory.path().join("keys");
        if let Some(like) = like {
            fs::create_dir(&keys)?;
            for key in fs::read_dir(like.path().join("keys"))? {
                let key = key?;
                fs::copy(key.path(), keys.join(key.file_name()))?;
            }
        }
        Ok(Self { size, postgres, directory })
    }

    fn make(size: Size, postgres: Option<String>, like: Option<&Self>) -> Outcome<Self> {
        let data = Self::bare(size, postgres, like)?;
        server::run(
            &["app", "add", "--id", APP, "--name", "School", "--redirect-uri", REDIRECT_URI],
            data.path(),
            data.postgres.as_deref(),
        )?;
        data.fill()?;
        Ok(data)
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// SQLite's file.
    pub fn file(&self) -> PathBuf {
        self.path().join("homeroom.db")
    }

    /// Runs statements beside the server.
    pub fn execute(&self, statements: &str) -> Outcome<()> {
        match &self.postgres {
            None => Connection::open(&self.file())?.execute(statements),
            Some(url) => psql(url, statements),
        }
    }

    /// A copy of SQLite's file, as it is now: nobody may be writing.
    pub fn copy_of_file(&self) -> Outcome<PathBuf> {
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let copy = self.path().join("copy.db");
        fs::copy(self.file(), &copy)?;
        Ok(copy)
    }

    /// Stores so many codes, for one user after the other, as if all of them had just signed in; and says them.
    pub fn codes(&self, count: usize) -> Outcome<Vec<String>> {
        let connection = Connection::open(&self.file())?;
        connection.execute("BEGIN IMMEDIATE")?;
        let mut insert = connection.prepare(&format!(
            "INSERT INTO authorization_codes (digest, app_id, user_id, redirect_uri, state, issued_at, expires_at) \
             VALUES (?, x'{}', ?, '{REDIRECT_URI}', 'state-from-client', {}, {})",
            APP.replace('-', ""),
            sqlite_time("+0 seconds"),
            sqlite_time("+10 minutes"),
        ))?;
        let codes: Vec<String> = (0..count)
            .map(|number| {
                let mut bits = [0; 32];
                fastrand::fill(&mut bits);
                let code = URL_SAFE_NO_PAD.encode(bits);
                let digest = digest(&SHA256, code.as_bytes());
                let user = user_id(number % self.size.users);
                insert.run(&[Value::Blob(digest.as_ref()), Value::Blob(&user)]).map(|_| code)
            })
            .collect::<Outcome<_>>()?;
        drop(insert);
        connection.execute("COMMIT")?;
        Ok(codes)
    }

    fn fill(&self) -> Outcome<()> {
        let Size { users, classes } = self.size;
        let (owners, hash) = (self.size.owners(), hash::stored()?);
        // The same rows in both dialects: numbers, ids made of them, and codes that are no sequence.
        let (numbers, user, class, code, now, week, yes) = if self.postgres.is_none() {
            (
                "WITH RECURSIVE numbers(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < COUNT)",
                "unhex(printf('00000000000070008000%012x', N))",
                "unhex(printf('00000000000070009000%012x', N))",
                "printf('%08X', (n * 2654435761) & 4294967295)",
                sqlite_time("+0 seconds"),
                sqlite_time("+7 days"),
                "1",
            )
        } else {
            (
                "WITH numbers(n) AS (SELECT generate_series(0::bigint, COUNT - 1))",
                "('00000000-0000-7000-8000-' || lpad(to_hex(N), 12, '0'))::uuid",
                "('00000000-0000-7000-9000-' || lpad(to_hex(N), 12, '0'))::uuid",
                "upper(lpad(to_hex((n * 2654435761) & 4294967295), 8, '0'))",
                "now()".to_owned(),
                "now() + interval '7 days'".to_owned(),
                "true",
            )
        };
        let of = |text: &str, number: &str| text.replace('N', number);
        let numbers = |count: usize| numbers.replace("COUNT", &count.to_string());
        self.execute(&format!(
            "BEGIN;
             INSERT INTO users (id, email, password_hash, enabled, email_verified_at, created_at)
             {} SELECT {}, 'user' || n || '@school.example', '{hash}', {yes}, {now}, {now} FROM numbers;
             INSERT INTO classes (id, owner_id, name, is_active, join_code, join_code_expires_at, created_at, updated_at)
             {} SELECT {}, {}, 'Class ' || n, {yes}, {code}, {week}, {now}, {now} FROM numbers;
             COMMIT; ANALYZE",
            numbers(users),
            of(user, "n"),
            numbers(classes),
            of(class, "n"),
            of(user, &format!("(n % {owners})")),
        ))
    }
}

/// An instant as the server stores it in SQLite.
fn sqlite_time(shift: &str) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '{shift}')")
}

fn psql(url: &str, statements: &str) -> Outcome<()> {
    let output = Command::new("psql")
        .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", url, "--command", statements])
        .output()?;
    if output.status.success() { Ok(()) } else { failed(String::from_utf8_lossy(&output.stderr)) }
}

/// A user's id.
pub fn user_id(number: usize) -> [u8; 16] {
    id(0x80, number)
}

/// A class's id.
pub fn class_id(number: usize) -> [u8; 16] {
    id(0x90, number)
}

fn id(variant: u8, number: usize) -> [u8; 16] {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&(number as u64).to_be_bytes());
    (id[6], id[8]) = (0x70, variant);
    id
}

/// The join code that a class has from the beginning.
pub fn first_join_code(class: usize) -> String {
    join_code((class as u64 * 2_654_435_761) & 0xFFFF_FFFF)
}

/// A join code of 39 bits of chance.
pub fn join_code(mut bits: u64) -> String {
    const ALPHABET: &[u8; 30] = b"0123456789BCDFGHJKMNPQRSTVWXYZ";
    (0..8)
        .map(|_| {
            let character = ALPHABET[(bits % 30) as usize];
            bits /= 30;
            char::from(character)
        })
        .collect()
}
