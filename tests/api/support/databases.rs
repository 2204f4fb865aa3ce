//! The two kinds of database. Most tests run on both.

use std::path::Path;

use homeroom::db::{DatabaseUrl, Db};
use sea_orm::ConnectionTrait;
use url::Url;
use uuid::Uuid;

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// A new database of this kind: a file in `directory`, or a database of the server at
    /// `HOMEROOM_TEST_POSTGRES_URL`, which `scripts/postgres` provides.
    pub async fn location(self, directory: &Path) -> DatabaseUrl {
        match self {
            Self::Sqlite => DatabaseUrl::in_directory(directory),
            Self::Postgres => {
                let url = std::env::var("HOMEROOM_TEST_POSTGRES_URL").expect(
                    "no PostgreSQL: run `scripts/postgres cargo test`, or `scripts/test` for everything",
                );
                let name = format!("homeroom_{}", Uuid::from_bytes(random()).simple());
                let server = Db::connect_with(&url.parse().unwrap(), 1).await.unwrap();
                server.writer().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
                server.close().await.unwrap();
                let mut url = Url::parse(&url).unwrap();
                url.set_path(&name);
                url.as_str().parse().unwrap()
            }
        }
    }
}

fn random() -> [u8; 16] {
    homeroom::random::bytes(&homeroom::random::OsRandom)
}

/// Turns each `async fn name(kind: Kind)` into two tests, `name::sqlite` and `name::postgres`.
macro_rules! both {
    ($($(#[$attribute:meta])* async fn $name:ident($kind:ident: Kind) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn run($kind: $crate::support::Kind) $body

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::support::Kind::Sqlite).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::support::Kind::Postgres).await;
            }
        }
    )*};
}
pub(crate) use both;
