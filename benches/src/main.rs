//! `bench ratios [--quick] [PART...]`, `bench soak MINUTES`, `bench timing`, `bench school SECONDS`: drives
//! `$HOMEROOM_BINARY` over loopback, prints what it measured beside its bound, and fails if one was not kept.
//!
//! It is started by `scripts/bench`, `scripts/soak`, `scripts/timing` and `scripts/school`, which say what they do.

mod data;
mod driver;
mod hash;
mod ideal;
mod parts;
mod report;
mod request;
mod school;
mod server;
mod soak;
mod sqlite;
mod timing;
mod work;

use std::{
    env,
    error::Error,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

/// A run ends at its first error, and says it.
type Outcome<T> = Result<T, Box<dyn Error>>;

fn failed<T>(why: impl Into<String>) -> Outcome<T> {
    Err(why.into().into())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<bool> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["ratios", "--quick", ref parts @ ..] => parts::run(parts, true),
        ["ratios", ref parts @ ..] => parts::run(parts, false),
        ["soak", minutes] => soak::run(minutes.parse()?),
        ["timing", samples] => timing::run(samples.parse()?),
        ["school", seconds] => school::run(seconds.parse()?),
        _ => {
            failed("usage: bench ratios [--quick] [PART...] | soak MINUTES | timing SAMPLES | school SECONDS")
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Cargo's target directory.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new("target").to_owned(), PathBuf::from)
}

/// Where everything that a run leaves is left.
fn output_directory() -> Outcome<PathBuf> {
    let directory = target().join("bench");
    fs::create_dir_all(&directory)?;
    // A program is started with it as an argument, and may be at home elsewhere.
    Ok(directory.canonicalize()?)
}

/// The throw-away PostgreSQL that `scripts/postgres` serves.
fn postgres() -> Outcome<String> {
    env::var("HOMEROOM_TEST_POSTGRES_URL")
        .map_err(|_| "HOMEROOM_TEST_POSTGRES_URL is not set: see scripts/postgres".into())
}
