//! `homeroom backup`

use std::{fs::File, path::PathBuf};

use clap::Args;
use tempfile::NamedTempFile;

use super::{Failure, is_there, location, say};
use crate::{
    config::Data,
    db::{DatabaseUrl, inspect::Inspection},
};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to create, which must not exist. It does not contain the signing keys
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    data: Data,
}

/// The copy leaves the signing keys out, so that it contains only digests and hashes. With the keys, a thief could sign any token.
/// A server that is restored without keys creates a new one, and users sign in again.
pub async fn run(Arguments { to, data }: &Arguments) -> Result<(), Failure> {
    let url = location(data)?;
    let DatabaseUrl::Sqlite(source) = &url else {
        return Err(Failure::Usage(
            "the database is PostgreSQL; use `pg_dump --format=custom` for it".to_owned(),
        ));
    };
    let failed = |doing: &str, error: &(dyn std::error::Error + 'static)| {
        Failure::of(&format!("{doing} {url}"), error)
    };
    let directory = match (to.file_name(), to.parent()) {
        (Some(_), Some(parent)) if parent.as_os_str().is_empty() => ".".as_ref(),
        (Some(_), Some(parent)) => parent,
        _ => return Err(Failure::Usage(format!("--to '{}' is not the name of a file", to.display()))),
    };
    if to.symlink_metadata().is_ok() {
        return Err(Failure::Usage(format!("--to '{}' exists", to.display())));
    }
    if !is_there(source)? {
        return Err(Failure::Failed(format!("there is no database at {}", source.display())));
    }
    let writing =
        |error: &(dyn std::error::Error + 'static)| Failure::of(&format!("writing {}", to.display()), error);
    // Readable by its owner alone (0600), and deleted if this fails. It gets its name once it is complete and on disk.
    let copy = NamedTempFile::with_prefix_in(".homeroom-", directory).map_err(|error| writing(&error))?;
    let database = Inspection::open(&url).await.map_err(|error| failed("opening", &error))?;
    database.copy_to(copy.path()).await.map_err(|error| failed("copying", &error))?;
    let check = Inspection::open(&DatabaseUrl::Sqlite(copy.path().to_owned())).await;
    let damage =
        check.map_err(|error| writing(&error))?.all_damage().await.map_err(|error| writing(&error))?;
    if let Some(first) = damage.first() {
        return Err(Failure::Failed(format!("the copy is damaged, and probably {url} too: {first}")));
    }
    copy.as_file().sync_all().map_err(|error| writing(&error))?;
    copy.persist_noclobber(to).map_err(|error| writing(&error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| writing(&error))?;
    say(&format!("{}", to.display()))
}
