//! Checks of the machine: clock, memory, limits, and the time of a hash.

use std::{fs, time::Instant};

use chrono::{DateTime, Datelike, Utc};
use rustix::process::{Resource, getrlimit};

use super::Report;
use crate::{
    cli,
    config::Hashing,
    domain::password::Password,
    identity::password_hashing::PasswordHashing,
    random::{self, OsRandom},
};

/// The years that a correct clock can show.
const YEARS: std::ops::RangeInclusive<i32> = 2026..=2099;
/// The time from which a hash is too slow, in milliseconds.
const SLOW_HASH: u128 = 500;
/// The memory of the server without the hash threads, in MiB.
const OTHER_MEMORY: u64 = 57;
/// Open files other than client connections: the database, the keys, the log, and a reserve.
const OTHER_FILES: u64 = 128;

pub fn clock(now: DateTime<Utc>, report: &mut Report) {
    const SUBJECT: &str = "clock";
    if YEARS.contains(&now.year()) {
        report.ok(SUBJECT, now.to_rfc3339());
    } else {
        let what = format!("it is not {} now", now.to_rfc3339());
        report.wrong(SUBJECT, what, "correct the clock: the expiry of codes and tokens depends on it");
    }
}

pub async fn password_hash(hashing: &Hashing, report: &mut Report) {
    const SUBJECT: &str = "password hash";
    let settings = match hashing.settings() {
        Ok(settings) => settings,
        Err(error) => return report.wrong(SUBJECT, error.to_string(), "raise one of the two"),
    };
    let failed = |report: &mut Report, failure: String| {
        report.wrong(SUBJECT, failure, "provide enough memory; otherwise the processor is faulty");
    };
    let workers = match PasswordHashing::start(settings, &OsRandom) {
        Ok(workers) => workers,
        Err(error) => return failed(report, cli::failed("starting", error)),
    };
    let mut fastest = u128::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        let hash = match Password::parse("a sample password") {
            Ok(password) => workers.hash(password, random::bytes(&OsRandom)).await,
            Err(error) => return failed(report, cli::failed("hashing", error)),
        };
        if let Err(error) = hash {
            return failed(report, cli::failed("hashing", error));
        }
        fastest = fastest.min(begun.elapsed().as_millis());
    }
    let what = format!("computes the known answers, {fastest} ms each, on {} threads", settings.workers);
    if workers.engine() != settings.engine {
        let what =
            format!("{what}; the fast engine fails its self-test here, and the reference does its work");
        report.warning(
            SUBJECT,
            what,
            "report it with the processor's name; --hash-engine argon2 silences this",
        );
    } else if fastest > SLOW_HASH {
        report.warning(SUBJECT, what, "give the server a faster processor, or cores of its own");
    } else {
        report.ok(SUBJECT, what);
    }
}

pub fn memory(hashing: &Hashing, report: &mut Report) {
    const SUBJECT: &str = "memory";
    // The check of the password hash reports a cost that is too low.
    let Ok(settings) = hashing.settings() else { return };
    let kibibytes = settings.workers.get() as u64 * u64::from(settings.cost.memory());
    let needed = OTHER_MEMORY + (kibibytes >> 10);
    let Some(available) = available_memory() else {
        return report.skipped(SUBJECT, format!("the free memory is unknown; up to {needed} MiB are needed"));
    };
    let what = format!("{available} MiB are free, and up to {needed} MiB are needed");
    if available < needed {
        report.warning(SUBJECT, what, "give the server more, or fewer --hash-workers");
    } else {
        report.ok(SUBJECT, what);
    }
}

/// The memory that the kernel and the control group of this process allow, in MiB.
fn available_memory() -> Option<u64> {
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? >> 10;
    Some(machine.min(group_memory().unwrap_or(u64::MAX)))
}

fn group_memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let read = |file: &str| {
        fs::read_to_string(format!("/sys/fs/cgroup{group}/{file}")).ok()?.trim().parse::<u64>().ok()
    };
    Some(read("memory.max")?.saturating_sub(read("memory.current")?) >> 20)
}

pub fn open_files(connections: usize, report: &mut Report) {
    const SUBJECT: &str = "open files";
    let needed = connections as u64 + OTHER_FILES;
    // `None` is no limit.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit < needed {
        report.warning(
            SUBJECT,
            format!("{limit} are allowed, too few for {connections} connections"),
            &format!("LimitNOFILE={needed} in the unit, or `ulimit -n {needed}`, or lower --max-connections"),
        );
    } else {
        report.ok(SUBJECT, format!("enough for {connections} connections"));
    }
}
