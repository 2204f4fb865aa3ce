//! `bench bounds [--quick] [PART...]`, `bench soak MINUTES`, `bench timing SAMPLES`, `bench school SECONDS`: sends requests
//! to `$HOMEROOM_BINARY` over loopback, prints each figure with its bound, and fails if a bound is missed.
//!
//! `scripts/bench`, `scripts/soak`, `scripts/timing` and `scripts/school` start this program and describe it.

mod bounds;
mod client;
mod data;
mod engines;
mod oha;
mod report;
mod school;
mod server;
mod soak;
mod timing;

use std::{
    env,
    error::Error,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

/// The result of a step. The first error ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn failed<T>(message: impl Into<String>) -> Outcome<T> {
    Err(message.into().into())
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

/// Returns whether all bounds are met.
fn run() -> Outcome<bool> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bounds", "--quick", ref parts @ ..] => bounds::run(parts, true),
        ["bounds", ref parts @ ..] => bounds::run(parts, false),
        ["soak", minutes] => soak::run(minutes.parse()?),
        ["timing", samples] => timing::run(samples.parse()?),
        ["school", seconds] => school::run(seconds.parse()?),
        _ => {
            failed("usage: bench bounds [--quick] [PART...] | soak MINUTES | timing SAMPLES | school SECONDS")
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The directory of results and of temporary data. Absolute, because the server runs in another directory.
fn output_directory() -> Outcome<PathBuf> {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new("target").to_owned(), PathBuf::from);
    let directory = target.join("bench");
    fs::create_dir_all(&directory)?;
    Ok(directory.canonicalize()?)
}
