//! How far the schema of a database is.

use std::collections::BTreeSet;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// Where the schema's steps are written down once they are applied.
const STEPS: &str = "seaql_migrations";

/// The steps of the schema, held against those that this binary knows.
#[derive(Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// How many of ours are applied.
    pub applied: usize,
    /// Those of ours that are not.
    pub pending: Vec<String>,
    /// Those that a newer binary has applied.
    pub unknown: Vec<String>,
}

impl MigrationStatus {
    /// Of a database in which there may be nothing yet. It is only read.
    pub async fn of(db: &impl ConnectionTrait) -> Result<Self, DbErr> {
        let backend = db.get_database_backend();
        let rows = async |sql: String| db.query_all_raw(Statement::from_string(backend, sql)).await;
        let exists = match backend {
            DbBackend::Postgres => format!("SELECT 1 WHERE to_regclass('{STEPS}') IS NOT NULL"),
            _ => format!("SELECT 1 FROM sqlite_schema WHERE name = '{STEPS}'"),
        };
        let applied: BTreeSet<String> = if rows(exists).await?.is_empty() {
            BTreeSet::new()
        } else {
            let rows = rows(format!("SELECT version FROM {STEPS}")).await?;
            rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?
        };
        let known: BTreeSet<String> =
            Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
        Ok(Self {
            applied: known.intersection(&applied).count(),
            pending: known.difference(&applied).cloned().collect(),
            unknown: applied.difference(&known).cloned().collect(),
        })
    }
}
