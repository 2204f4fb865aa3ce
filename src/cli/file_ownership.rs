//! Ownership of the data directory, the signing keys and the SQLite database. Another user that owns or may write to one of them
//! could forge tokens or change passwords.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use rustix::process::geteuid;

use super::database_url;
use crate::{config::Data, db::DatabaseUrl};

/// Group and others may write.
const WRITABLE: u32 = 0o022;

/// A file, or a directory, that another user can change.
pub struct Foreign {
    /// The file, and its problem.
    pub what: String,
    /// The remedy.
    pub remedy: String,
}

/// A file with its metadata.
pub type Found = (PathBuf, Metadata);

/// The first file that another user owns or may write to. Files of root are accepted.
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

/// The key directory and the keys, as far as they exist.
pub fn keys(directory: &Path) -> Vec<Found> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let keys =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "pem"));
    found(std::iter::once(directory.to_owned()).chain(keys))
}

/// The files of a SQLite database, as far as they exist.
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

/// Fails if another user can change one of the files.
pub fn check(data: &Data) -> anyhow::Result<()> {
    // A user that may write to the directory can replace the files in it.
    let mut files = found([data.directory().to_owned()]);
    files.extend(keys(&data.keys()));
    if let DatabaseUrl::Sqlite(file) = database_url(data)? {
        files.extend(database(&file));
    }
    match foreign(&files) {
        Some(Foreign { what, remedy }) => Err(anyhow!("{what}: {remedy}")),
        None => Ok(()),
    }
}
