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
    /// The file to write, which must not be there yet. The signing keys are not in it
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    data: Data,
}

/// The signing keys stay out by intent. With a backup of the database alone nobody can sign in, as it holds digests and
/// hashes; with the keys whoever finds it could write any token. A server that is restored without them makes
/// a new one, and people sign in once more.
pub async fn run(Arguments { to, data }: &Arguments) -> Result<(), Failure> {
    let location = location(data)?;
    let DatabaseUrl::Sqlite(source) = &location else {
        return Err(Failure::Usage(
            "this is PostgreSQL, which `pg_dump --format=custom` backs up".to_owned(),
        ));
    };
    let failed = |doing: &str, error: &(dyn std::error::Error + 'static)| {
        Failure::of(&format!("{doing} {location}"), error)
    };
    let directory = match (to.file_name(), to.parent()) {
        (Some(_), Some(parent)) if parent.as_os_str().is_empty() => ".".as_ref(),
        (Some(_), Some(parent)) => parent,
        _ => return Err(Failure::Usage(format!("--to '{}' is not a file's name", to.display()))),
    };
    if to.symlink_metadata().is_ok() {
        return Err(Failure::Usage(format!("--to '{}' is there already", to.display())));
    }
    if !is_there(source)? {
        return Err(Failure::Failed(format!("there is no database at {}", source.display())));
    }
    let written =
        |error: &(dyn std::error::Error + 'static)| Failure::of(&format!("writing {}", to.display()), error);
    // For its owner alone (0600), and gone if this fails. It has its name once it is whole and on the disk.
    let copy = NamedTempFile::with_prefix_in(".homeroom-", directory).map_err(|error| written(&error))?;
    let database = Inspection::open(&location).await.map_err(|error| failed("opening", &error))?;
    database.copy_to(copy.path()).await.map_err(|error| failed("copying", &error))?;
    let check = Inspection::open(&DatabaseUrl::Sqlite(copy.path().to_owned())).await;
    let damage =
        check.map_err(|error| written(&error))?.all_damage().await.map_err(|error| written(&error))?;
    if let Some(first) = damage.first() {
        return Err(Failure::Failed(format!(
            "the copy is damaged, and so is {location} most likely: {first}"
        )));
    }
    copy.as_file().sync_all().map_err(|error| written(&error))?;
    copy.persist_noclobber(to).map_err(|error| written(&error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| written(&error))?;
    say(&format!("{}", to.display()))
}
