//! The schema of Homeroom's database, one file per step. A step that has landed is never edited.
//!
//! A step only adds: a node of the version before must run on beside a new one.

use std::collections::HashSet;

use sea_orm_migration::{
    Migration, MigrationTrait,
    prelude::async_trait,
    sea_orm::{ConnectionTrait, DbErr},
};
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod m20261127_000001_identity;
mod m20261127_000002_classroom;
mod m20261127_000003_rate_limits;

/// Applies the steps, in this order, each once. That each only adds is held by `tests/api/migrations.rs`.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261127_000001_identity::Migration),
            Box::new(m20261127_000002_classroom::Migration),
            Box::new(m20261127_000003_rate_limits::Migration),
        ]
    }

    /// The steps that were not applied yet. Of steps that were, and that are not ours, the library would make an error; but
    /// they are those of a newer version, beside which this one runs on.
    async fn get_pending_migrations<C: ConnectionTrait>(db: &C) -> Result<Vec<Migration>, DbErr> {
        let applied = Self::get_migration_models(db).await?;
        let applied: HashSet<String> = applied.into_iter().map(|step| step.version).collect();
        let steps = Self::get_migration_files().into_iter();
        Ok(steps.filter(|step| !applied.contains(step.name())).collect())
    }
}
