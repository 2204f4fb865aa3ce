//! Which database, and where.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::postgres_url;

/// A database that may be connected to.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL. It may hold a password and is not shown.
    Postgres(String),
}

/// The text names no database that can be used, and why. None of it quotes a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDatabaseUrl(String);

impl InvalidDatabaseUrl {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    fn form() -> Self {
        Self::new("a database URL is sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME")
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A URL parser drops line breaks, and would join two lines of a file.
        if text.contains(char::is_control) {
            return Err(InvalidDatabaseUrl::form());
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // What follows a `?` would be options; ours are fixed, and a file of that name is nobody's wish.
            return if path.is_empty() || path.contains(['?', ':']) {
                Err(InvalidDatabaseUrl::form())
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            postgres_url::options(text)?;
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err(InvalidDatabaseUrl::form())
        }
    }
}

impl DatabaseUrl {
    /// The file that is used when no URL is given.
    pub fn in_directory(data: &Path) -> Self {
        Self::Sqlite(data.join("homeroom.db"))
    }

    /// Whether nothing that is asked or answered leaves this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(url) => {
                postgres_url::options(url).is_ok_and(|options| postgres_url::is_local(&options))
            }
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite, {}", path.display()),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_file_or_a_server_and_shows_no_password() {
        assert_eq!("sqlite:a/b.db".parse(), Ok(DatabaseUrl::Sqlite("a/b.db".into())));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(DatabaseUrl::Sqlite("/a/b.db".into())));
        let server: DatabaseUrl = "postgres://u:secret@localhost/homeroom".parse().unwrap();
        assert!(!format!("{server} {server:?}").contains("secret"));
        for text in ["", "sqlite:", "sqlite::memory:", "mysql://localhost/a", "a.db"] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl::form()), "{text:?}");
        }
    }
}
