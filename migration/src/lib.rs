//! The schema of Homeroom's database, one file per step. A step that has landed is never edited.
//!
//! A step only adds: a node of the version before must run on beside a new one.

use sea_orm_migration::prelude::{MigrationTrait, async_trait};
pub use sea_orm_migration::prelude::{MigratorTrait, SchemaManager};

mod m20261121_000001_identity;
mod m20261121_000002_classroom;
mod m20261121_000003_throttle;
mod m20261121_000004_join_code_draws;

/// Applies the steps, in this order, each once.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_identity::Migration),
            Box::new(m20261121_000002_classroom::Migration),
            Box::new(m20261121_000003_throttle::Migration),
            Box::new(m20261121_000004_join_code_draws::Migration),
        ]
    }
}
