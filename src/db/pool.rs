//! How the connections are used.

use super::Db;

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
    pub(super) fn new(name: &'static str, open: usize, idle: usize) -> Self {
        // Few enough for any number.
        let count = |connections: usize| f64::from(u32::try_from(connections).unwrap_or(u32::MAX));
        Self { name, busy: count(open.saturating_sub(idle)), idle: count(idle.min(open)) }
    }
}

impl Db {
    /// The pools. On PostgreSQL readers and writers share the one that is called `writer`.
    pub fn pools(&self) -> Vec<Pool> {
        let Some(sqlite) = &self.sqlite else {
            let pool = self.pool.get_postgres_connection_pool();
            return vec![Pool::new("writer", pool.size() as usize, pool.num_idle())];
        };
        sqlite.pools()
    }
}
