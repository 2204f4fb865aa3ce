//! Whose the data directory, the signing keys and the SQLite database are. A user that owns one of them, or may write to it, can
//! forge every token or change every password.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::{Failure, location};
use crate::{config::Data, db::DatabaseUrl};

/// Group and others may write.
const WRITABLE: u32 = 0o022;

/// A file, or a directory, that another user can change.
pub struct Foreign {
    /// Which, and what is wrong with it.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A file with what the system knows of it.
pub type Found = (PathBuf, Metadata);

/// The first of these that another user owns or may write to. What root owns is as safe as the machine.
pub fn foreign(files: &[Found]) -> Option<Foreign> {
    let user = geteuid().as_raw();
    files.iter().find_map(|(path, metadata)| {
        let (owner, mode) = (metadata.uid(), metadata.permissions().mode() & 0o7777);
        let shown = path.display();
        if owner != user && owner != 0 {
            Some(Foreign {
                what: format!("{shown} is owned by the user {owner}, and the server runs as {user}"),
                remedy: format!("run the server as that user, or chown {user} {shown}"),
            })
        } else if mode & WRITABLE != 0 {
            let right = if metadata.is_dir() { 700 } else { 600 };
            Some(Foreign {
                what: format!("others than its owner may write to {shown} (mode {mode:o})"),
                remedy: format!("chmod {right} {shown}"),
            })
        } else {
            None
        }
    })
}

/// What there is of the directory of keys: itself, and the keys.
pub fn keys(directory: &Path) -> Vec<Found> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let keys =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "pem"));
    found(std::iter::once(directory.to_owned()).chain(keys))
}

/// What there is of a SQLite database: its file, and those that SQLite keeps beside it.
pub fn database(file: &Path) -> Vec<Found> {
    found(["", "-wal", "-shm"].map(|suffix| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }))
}

fn found(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Found> {
    paths.into_iter().filter_map(|path| path.metadata().ok().map(|metadata| (path, metadata))).collect()
}

/// Refuses to serve from files that another user can change.
pub fn check(data: &Data) -> Result<(), Failure> {
    // A user that may write to the directory may put other files in the place of these.
    let mut files = found([data.directory().to_owned()]);
    files.extend(keys(&data.keys()));
    if let DatabaseUrl::Sqlite(file) = location(data)? {
        files.extend(database(&file));
    }
    match foreign(&files) {
        Some(Foreign { what, remedy }) => Err(Failure::Failed(format!("{what}: {remedy}"))),
        None => Ok(()),
    }
}
