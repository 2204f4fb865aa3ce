//! The password hash and the database without a server: the reference values of the ratios.

use std::{
    path::Path,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use argon2_rust::{
    Algorithm, Argon2, Hasher, Params, Version,
    params::{Memory, TagLen},
};
use rusqlite::{Connection, params};

use crate::{
    Outcome,
    client::PASSWORD,
    cores,
    data::{self, Size},
    failed,
};

fn hash(hasher: &mut Hasher) -> Outcome<()> {
    let mut tag = [0; 32];
    hasher
        .hash_into(PASSWORD.as_bytes(), b"salt of everyone", &mut tag)
        .map_err(|error| format!("argon2: {error}").into())
}

/// A hasher with the parameters of the server. Its memory is already allocated.
fn hasher() -> Outcome<Hasher> {
    let params = Params::builder()
        .memory(Memory::kib(19_456))
        .passes(2)
        .lanes(1)
        .tag_len(TagLen::bytes(32))
        .build()
        .map_err(|error| format!("argon2: {error}"))?;
    let mut hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hasher();
    hash(&mut hasher)?;
    Ok(hasher)
}

/// Password hashes per second on `threads` threads. Each thread reuses its own memory, as in the server.
pub fn hashes_per_second(threads: usize, duration: Duration) -> Outcome<f64> {
    let barrier = Barrier::new(threads);
    let measure = || -> Outcome<f64> {
        let hasher = hasher();
        barrier.wait();
        let (mut hasher, begin, mut count) = (hasher?, Instant::now(), 0_u32);
        while begin.elapsed() < duration {
            hash(&mut hasher)?;
            count += 1;
        }
        Ok(f64::from(count) / begin.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(measure)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| failed("a thread panicked"))).sum()
    })
}

/// Password hashes per second on all cores.
pub fn hashes_per_second_on_all_cores(seconds: f64) -> Outcome<f64> {
    hashes_per_second(cores(), Duration::from_secs_f64(seconds))
}

/// Opens a database file with the settings of the server: write-ahead log, and each commit synchronized to disk.
pub fn open(file: &Path) -> Outcome<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
    )?;
    Ok(connection)
}

/// Executions per second of the statement of `generateJoinCode` on one connection, each with its own commit. The comparison with the
/// previous code is left out, because nothing else writes.
pub fn upserts_per_second(file: &Path, size: Size, seconds: f64) -> Outcome<f64> {
    let connection = open(file)?;
    let mut upsert = connection.prepare(
        "INSERT INTO join_codes (class_id, code, expires_at, created_at)
         SELECT id, ?, ?, ? FROM classes WHERE id = ?
         ON CONFLICT (class_id) DO UPDATE SET
         code = excluded.code, expires_at = excluded.expires_at, created_at = excluded.created_at",
    )?;
    let (begin, mut count) = (Instant::now(), 0_u32);
    while begin.elapsed().as_secs_f64() < seconds {
        let class = fastrand::usize(..size.classes);
        let code = data::join_code(fastrand::u64(..));
        let values = params![code, data::EXPIRY, data::CREATION, data::class_id(class).to_be_bytes()];
        if upsert.execute(values)? != 1 {
            return failed("the upsert changed no row");
        }
        count += 1;
    }
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}
