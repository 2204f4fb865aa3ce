//! Which database, and where.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A database that may be connected to.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL. It may hold a password and is not shown.
    Postgres(String),
}

/// The text names no database that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database URL is sqlite:PATH or postgres://USER@HOST/NAME")]
pub struct InvalidLocation;

impl std::str::FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // What follows a `?` would be options; ours are fixed, and a file of that name is nobody's wish.
            return if path.is_empty() || path.contains(['?', ':']) {
                Err(InvalidLocation)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if postgres && url::Url::parse(text).is_ok() {
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err(InvalidLocation)
        }
    }
}

impl Location {
    /// The file that is used when no URL is given.
    pub fn in_directory(data: &Path) -> Self {
        Self::Sqlite(data.join("homeroom.db"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite, {}", path.display()),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_file_or_a_server_and_shows_no_password() {
        assert_eq!("sqlite:a/b.db".parse(), Ok(Location::Sqlite("a/b.db".into())));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(Location::Sqlite("/a/b.db".into())));
        let server: Location = "postgres://u:secret@localhost/homeroom".parse().unwrap();
        assert!(!format!("{server} {server:?}").contains("secret"));
        for text in ["", "sqlite:", "sqlite::memory:", "mysql://localhost/a", "a.db"] {
            assert_eq!(text.parse::<Location>(), Err(InvalidLocation), "{text:?}");
        }
    }
}
