//! The flags that name the data directory and the database.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::secret_file;
use crate::db::{self, DatabaseUrl, InvalidDatabaseUrl};

/// The data directory and the database.
#[derive(Debug, Clone, Args)]
pub struct Data {
    /// The directory of the signing keys, and of the SQLite database unless another database is named
    #[arg(long, env = "HOMEROOM_DATA_DIR", value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,

    /// The database, `postgres://USER:PASSWORD@HOST/NAME` or `sqlite:PATH` [default: homeroom.db in the data directory]
    #[arg(long, env = "HOMEROOM_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// A file that contains the database URL, such as a container secret, instead of --database-url [default: none]
    #[arg(long, env = "HOMEROOM_DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database_url")]
    pub database_url_file: Option<PathBuf>,

    /// The maximum number of connections to PostgreSQL (1 to 1000)
    #[arg(long, env = "HOMEROOM_DATABASE_CONNECTIONS", value_name = "COUNT",
          default_value_t = db::CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,
}

/// Why [`Data::database`] failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is invalid.
    #[error("--database-url: {0}")]
    Url(InvalidDatabaseUrl),
    /// The file does not contain a valid URL.
    #[error("--database-url-file {}: {cause}", path.display())]
    UrlInFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: InvalidDatabaseUrl,
    },
    /// The file cannot be read.
    #[error("--database-url-file {} cannot be read: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
}

impl Data {
    /// The URL of the database.
    pub fn database(&self) -> Result<DatabaseUrl, DatabaseError> {
        if let Some(path) = &self.database_url_file {
            let path = path.clone();
            let url = match secret_file::read(&path) {
                Ok(url) => url,
                Err(cause) => return Err(DatabaseError::File { path, cause }),
            };
            return url.parse().map_err(|cause| DatabaseError::UrlInFile { path, cause });
        }
        match &self.database_url {
            Some(url) => url.expose_secret().parse().map_err(DatabaseError::Url),
            None => Ok(DatabaseUrl::in_directory(&self.data_dir)),
        }
    }

    /// The directory of the signing keys.
    pub fn keys(&self) -> PathBuf {
        self.data_dir.join("keys")
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        &self.data_dir
    }
}
