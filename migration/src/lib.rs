//! The schema of Homeroom's database, one file per migration. A released migration is never edited.
//!
//! A migration only adds, so that nodes of the previous version go on working. `tests/api/migrations.rs` checks this.

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
mod m20261128_000001_accounts;
mod m20261129_000001_rosters;

/// All migrations, in the order in which they are applied.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261127_000001_identity::Migration),
            Box::new(m20261127_000002_classroom::Migration),
            Box::new(m20261127_000003_rate_limits::Migration),
            Box::new(m20261128_000001_accounts::Migration),
            Box::new(m20261129_000001_rosters::Migration),
        ]
    }

    /// The migrations that are not applied. The default method fails on applied migrations of a newer version. This one ignores
    /// them, because this version works on the newer schema.
    async fn get_pending_migrations<C: ConnectionTrait>(db: &C) -> Result<Vec<Migration>, DbErr> {
        let applied = Self::get_migration_models(db).await?;
        let applied: HashSet<String> = applied.into_iter().map(|model| model.version).collect();
        let migrations = Self::get_migration_files().into_iter();
        Ok(migrations.filter(|migration| !applied.contains(migration.name())).collect())
    }
}
