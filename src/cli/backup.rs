//! `homeroom backup`

use std::{fs::File, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use tempfile::NamedTempFile;

use super::{database_url, exists, say, usage};
use crate::{
    config::Data,
    db::{DatabaseUrl, read_only::Inspection},
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
pub async fn run(Arguments { to, data }: &Arguments) -> anyhow::Result<()> {
    let url = database_url(data)?;
    let DatabaseUrl::Sqlite(source) = &url else {
        return Err(usage("the database is PostgreSQL; use `pg_dump --format=custom` for it"));
    };
    let directory = match (to.file_name(), to.parent()) {
        (Some(_), Some(parent)) if parent.as_os_str().is_empty() => ".".as_ref(),
        (Some(_), Some(parent)) => parent,
        _ => return Err(usage(format!("--to '{}' is not the name of a file", to.display()))),
    };
    if to.symlink_metadata().is_ok() {
        return Err(usage(format!("--to '{}' exists", to.display())));
    }
    if !exists(source)? {
        return Err(anyhow!("there is no database at {}", source.display()));
    }
    let writing = || format!("writing {}", to.display());
    // Readable by its owner alone (0600), and deleted if this fails. It gets its name once it is complete and on disk.
    let copy = NamedTempFile::with_prefix_in(".homeroom-", directory).with_context(writing)?;
    let database = Inspection::open(&url).await.with_context(|| format!("opening {url}"))?;
    database.copy_to(copy.path()).await.with_context(|| format!("copying {url}"))?;
    let check = Inspection::open(&DatabaseUrl::Sqlite(copy.path().to_owned())).await;
    let damage = check.with_context(writing)?.all_damage().await.with_context(writing)?;
    if let Some(first) = damage.first() {
        return Err(anyhow!("the copy is damaged, and probably {url} too: {first}"));
    }
    copy.as_file().sync_all().with_context(writing)?;
    copy.persist_noclobber(to).with_context(writing)?;
    File::open(directory).and_then(|directory| directory.sync_all()).with_context(writing)?;
    say(&format!("{}", to.display()))
}
