//! Mails as files, for a server without SMTP settings.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::Failure;
use crate::entity::outgoing_mail;

/// A directory of `.eml` files.
#[derive(Debug, Clone)]
pub struct OutboxDirectory {
    path: PathBuf,
    print: Option<fn(&str)>,
}

impl OutboxDirectory {
    /// A directory, which is created with the first mail.
    pub fn new(path: PathBuf) -> Self {
        Self { path, print: None }
    }

    /// The same, and each mail is also printed.
    #[must_use]
    pub fn printing(self, print: fn(&str)) -> Self {
        Self { print: Some(print), ..self }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a mail to the file of its id.
    pub(super) async fn write(&self, mail: &outgoing_mail::Model, message: Vec<u8>) -> Result<(), Failure> {
        let (directory, name) = (self.path.clone(), format!("{}.eml", mail.id));
        #[expect(clippy::disallowed_methods, reason = "a file is written, and no password is hashed")]
        let written = tokio::task::spawn_blocking(move || store(&directory, &name, &message)).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|error| Failure::temporary("writing the file", error))?;
        if let Some(print) = self.print {
            let (to, subject) = (mail.recipient.as_str(), &mail.subject);
            print(&format!("\nMail to {to}: {subject}\n\n{}", mail.text_body));
        }
        Ok(())
    }
}

/// Writes a file that only its owner can read, and that is complete as soon as it has its name.
fn store(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // Such a file has mode 600.
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name))?;
    // The name is on disk as soon as the directory is.
    File::open(fs::canonicalize(directory)?)?.sync_all()
}
