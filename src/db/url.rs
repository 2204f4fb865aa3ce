//! Which database is connected to.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::postgres_url;

/// The location of a database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL. It may contain a password, so `Debug` and `Display` do not show it.
    Postgres(String),
}

/// The reason why a text is not a usable database URL. It never contains the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDatabaseUrl(String);

impl InvalidDatabaseUrl {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    fn unknown_form() -> Self {
        Self::new("a database URL is sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME")
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A URL parser drops line breaks. It would join two lines of a file.
        if text.contains(char::is_control) {
            return Err(InvalidDatabaseUrl::unknown_form());
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // A `?` would begin options, which are fixed here.
            return if path.is_empty() || path.contains(['?', ':']) {
                Err(InvalidDatabaseUrl::unknown_form())
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            postgres_url::options(text)?;
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err(InvalidDatabaseUrl::unknown_form())
        }
    }
}

impl DatabaseUrl {
    /// The SQLite file in the data directory, for a server without a database URL.
    pub fn in_directory(data: &Path) -> Self {
        Self::Sqlite(data.join("homeroom.db"))
    }

    /// Whether the connection stays on this machine.
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
    fn parse_database_url_accepts_file_and_server_and_hides_password() {
        assert_eq!("sqlite:a/b.db".parse(), Ok(DatabaseUrl::Sqlite("a/b.db".into())));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(DatabaseUrl::Sqlite("/a/b.db".into())));
        let server: DatabaseUrl = "postgres://u:secret@localhost/homeroom".parse().unwrap();
        assert!(!format!("{server} {server:?}").contains("secret"));
        for text in ["", "sqlite:", "sqlite::memory:", "mysql://localhost/a", "a.db"] {
            assert_eq!(text.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl::unknown_form()), "{text:?}");
        }
    }
}
