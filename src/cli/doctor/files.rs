//! The data directory and the signing keys in it: there, whose, and how full.

use std::{
    ffi::OsString,
    fs::{self, Metadata},
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use rustix::{
    fs::{Access, access, statvfs},
    process::geteuid,
};

use super::Report;
use crate::{
    cli::{
        failed,
        file_ownership::{self, Foreign},
    },
    config::Data,
    identity::signing_keys::{self, KeyInfo, KeyState},
};

/// The free space below which writes fail soon: the write-ahead log and some growth, in bytes.
const FULL: u64 = 16 << 20;
/// The free space below which a warning is due, in bytes.
const FILLING: u64 = 256 << 20;
/// A key that signs for longer should be changed.
const OLD: TimeDelta = TimeDelta::days(365);
/// Clocks of two machines may be this far apart.
const APART: TimeDelta = TimeDelta::minutes(1);

/// Whether there is something in the directory to look at.
pub fn data_directory(directory: &Path, report: &mut Report) -> bool {
    const SUBJECT: &str = "data directory";
    let shown = directory.display();
    if geteuid().is_root() {
        report.warning(
            "user",
            "this is root, which may read and write everything",
            "run this again as the user that the server runs as",
        );
    }
    match fs::metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => {
            report.wrong(SUBJECT, format!("{shown} is a file"), "name a directory with --data-dir");
            return false;
        }
        Ok(metadata) => {
            if may_be_changed(directory, SUBJECT, report) {
                private(SUBJECT, &[(directory.to_owned(), metadata)], report);
            }
            disk(directory, report);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = directory.ancestors().skip(1).find(|parent| parent.exists());
            let parent = parent.unwrap_or(Path::new("."));
            if may_be_changed(parent, SUBJECT, report) {
                report.warning(
                    SUBJECT,
                    format!("there is no {shown}"),
                    "nothing, if this is a new server, which makes it; else name the right one with --data-dir",
                );
            }
            return false;
        }
        Err(error) => {
            report.wrong(SUBJECT, format!("{shown}: {error}"), "let the server's user into it");
            return false;
        }
    }
    true
}

/// Whether the server can create files in the directory.
fn may_be_changed(directory: &Path, subject: &str, report: &mut Report) -> bool {
    let outcome = access(directory, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
    if let Err(error) = outcome {
        report.wrong(
            subject,
            format!("files cannot be created in {}: {error}", directory.display()),
            "give it to the server's user, on a file system that can be written",
        );
    }
    outcome.is_ok()
}

/// Reports files with keys or password hashes that other users may read or change. The files of one subject share one line. The server
/// does not start if another user owns or may write to one.
pub fn private(subject: &str, files: &[(PathBuf, Metadata)], report: &mut Report) {
    if let Some(Foreign { what, remedy }) = file_ownership::foreign(files) {
        return report.wrong(subject, what, &remedy);
    }
    let open_to = |bits: u32| files.iter().find(|(_, metadata)| metadata.permissions().mode() & bits != 0);
    let shown = |(path, metadata): &(PathBuf, Metadata)| {
        let (mode, right) =
            (metadata.permissions().mode() & 0o7777, if metadata.is_dir() { 700 } else { 600 });
        (format!("{} (mode {mode:o})", path.display()), format!("chmod {right} {}", path.display()))
    };
    // A readable directory shows names only.
    let exposed = files.iter().find(|(_, file)| file.is_file() && file.permissions().mode() & 0o004 != 0);
    if let Some((what, remedy)) = exposed.map(shown) {
        report.wrong(subject, format!("every user of this machine can get at {what}"), &remedy);
    } else if let Some((what, remedy)) = open_to(0o077).map(shown) {
        report.warning(subject, format!("others than its owner can get at {what}"), &remedy);
    } else if let Some((path, _)) = files.first() {
        let others = if files.len() > 1 { " and the files next to it" } else { "" };
        report.ok(subject, format!("{}{others}: for its owner alone", path.display()));
    }
}

fn disk(directory: &Path, report: &mut Report) {
    const SUBJECT: &str = "disk";
    match statvfs(directory) {
        Err(error) => report.skipped(SUBJECT, format!("the free space is unknown: {error}")),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let what = format!("{} MiB are free under {}", free >> 20, directory.display());
            match free {
                0..FULL => {
                    report.wrong(
                        SUBJECT,
                        what,
                        "free disk space: requests whose data cannot be written get 503",
                    );
                }
                FULL..FILLING => report.warning(SUBJECT, what, "free disk space before writes fail"),
                _ => report.ok(SUBJECT, what),
            }
        }
    }
}

/// Checks the keys, if there is a data directory.
pub fn keys(data: &Data, readable: bool, now: DateTime<Utc>, report: &mut Report) {
    const SUBJECT: &str = "signing keys";
    let directory = data.keys();
    if !readable {
        return report.skipped(SUBJECT, "there is no data directory");
    }
    if matches!(directory.try_exists(), Ok(false)) {
        return report.warning(
            SUBJECT,
            format!("there is no {}", directory.display()),
            "nothing, if this is a new server, which makes a key; else restore it: tokens of before are refused without",
        );
    }
    // Reading a pipe would block.
    let mut found = file_ownership::keys(&directory).into_iter().skip(1);
    if let Some((path, _)) = found.find(|(_, metadata)| !metadata.is_file()) {
        return report.wrong(SUBJECT, format!("{} is no file", path.display()), "remove it");
    }
    let (keys, passed_over) = match signing_keys::inspect(&directory, now) {
        Ok(found) => found,
        Err(error) => {
            let what = failed("reading", error);
            return report.wrong(SUBJECT, what, "let the server's user read the directory");
        }
    };
    let (closed, passed_over): (Vec<_>, Vec<_>) = passed_over.into_iter().partition(|name| {
        let opened = fs::File::open(directory.join(name));
        opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    });
    let list = |names: &[OsString]| {
        let names: Vec<_> = names.iter().map(|name| name.display().to_string()).collect();
        format!("in {}: {}", directory.display(), names.join(", "))
    };
    if !closed.is_empty() {
        report.wrong(
            SUBJECT,
            format!("this user may not read, {}", list(&closed)),
            "give them to the server's user: it passes them over, and refuses what they have signed",
        );
    }
    if !passed_over.is_empty() {
        report.warning(
            SUBJECT,
            format!("not usable as a key, {}", list(&passed_over)),
            "remove what is no key, and restore what was one: an RSA key of 2048 bits or more in PKCS#8 PEM, named \
             <UUIDv7>.pem",
        );
    }
    for key in &keys {
        report_key(key, now, report);
    }
    let is_pem = |name: &OsString| Path::new(name).extension().is_some_and(|extension| extension == "pem");
    if keys.is_empty() && closed.iter().chain(&passed_over).any(is_pem) {
        report.wrong(
            SUBJECT,
            format!("none in {} can be used", directory.display()),
            "repair them before the server starts: it would create another key, and all users would have to sign in again",
        );
    } else if keys.is_empty() {
        report.warning(
            SUBJECT,
            format!("there is none in {}", directory.display()),
            "nothing, if this is a new server, which makes one; else restore them: tokens of before are refused without",
        );
    }
    let files = file_ownership::keys(&directory);
    private(SUBJECT, &files, report);
    in_the_future(SUBJECT, &files, now, report);
}

fn report_key(key: &KeyInfo, now: DateTime<Utc>, report: &mut Report) {
    const SUBJECT: &str = "signing keys";
    let (kid, age) = (key.kid, now - key.created_at);
    match key.state {
        _ if age < -APART => report.warning(
            SUBJECT,
            format!("{kid} was made in the future, at {}", key.created_at.to_rfc3339()),
            "set the clock right; if it was wrong when the key was made, rotate and retire it",
        ),
        KeyState::Signing if age > OLD => report.warning(
            SUBJECT,
            format!("{kid} signs, and is {} days old", age.num_days()),
            "make a new one with `homeroom keys rotate`",
        ),
        KeyState::Signing => report.ok(SUBJECT, format!("{kid} signs, and is {} days old", age.num_days())),
        KeyState::Waiting { signs_at } => {
            report.ok(SUBJECT, format!("{kid} is published, and signs from {} on", signs_at.to_rfc3339()));
        }
        KeyState::Verifying => {
            report
                .ok(SUBJECT, format!("{kid} checks what it has signed, and is {} days old", age.num_days()));
        }
    }
}

/// Reports files from the future: the clock was set back, or another machine wrote them.
pub fn in_the_future(subject: &str, files: &[(PathBuf, Metadata)], now: DateTime<Utc>, report: &mut Report) {
    let future = files.iter().find_map(|(path, metadata)| {
        let written = DateTime::<Utc>::from(metadata.modified().ok()?);
        (written > now + APART).then(|| format!("{} was written at {}", path.display(), written.to_rfc3339()))
    });
    if let Some(what) = future {
        report.warning(
            subject,
            format!("{what}, and it is {} now", now.to_rfc3339()),
            "see whether the clock is right",
        );
    }
}
