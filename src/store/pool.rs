//! How the connections are used.

use sea_orm::DbBackend;
use sqlx::{Database, Pool as Connections};

use super::Store;

/// A pool of connections, at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// What it is for.
    pub name: &'static str,
    /// Connections that somebody works with.
    pub busy: f64,
    /// Connections that wait for work.
    pub idle: f64,
}

impl Pool {
    fn of<D: Database>(name: &'static str, connections: &Connections<D>) -> Self {
        let open = connections.size();
        let idle = u32::try_from(connections.num_idle()).unwrap_or(open).min(open);
        Self { name, busy: f64::from(open - idle), idle: f64::from(idle) }
    }
}

impl Store {
    /// The pools. On PostgreSQL readers and writers share the one that is called `writer`.
    pub fn pools(&self) -> Vec<Pool> {
        if self.pool.get_database_backend() == DbBackend::Sqlite {
            vec![
                Pool::of("reader", self.reader.pool().get_sqlite_connection_pool()),
                Pool::of("writer", self.pool.get_sqlite_connection_pool()),
            ]
        } else {
            vec![Pool::of("writer", self.pool.get_postgres_connection_pool())]
        }
    }
}
