//! Applying migrations, and the state of the schema.

use std::{collections::BTreeSet, time::Duration};

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, Statement,
    TransactionOptions, TransactionTrait,
};
use tokio::time::sleep;

use super::{Backend, Db, error, writer::immediate};

/// Key of the PostgreSQL advisory lock that a migrating node holds: "homeroom" in ASCII.
const LOCK: i64 = 0x686f_6d65_726f_6f6d;
/// Longest wait of a migration for a locked table, in milliseconds. Statements of other nodes queue behind it, and they give up
/// after 3 s.
const LOCK_TIMEOUT: u32 = 2_000;
/// Pause between two attempts at a migration. Meanwhile other nodes can use the table.
const PAUSE: Duration = Duration::from_secs(1);
/// The table in which sea-orm records applied migrations.
const TABLE: &str = "seaql_migrations";

impl Db {
    /// The state of the schema.
    pub async fn migration_status(&self) -> Result<MigrationStatus, DbErr> {
        MigrationStatus::of(self.read()).await
    }

    /// Applies the pending migrations: all of them or none, and one node at a time. If none is pending, it waits for no other node.
    /// Returns the state of the schema before.
    pub async fn migrate(&self) -> Result<MigrationStatus, DbErr> {
        let before = self.migration_status().await?;
        if !before.pending.is_empty() {
            match &*self.0 {
                Backend::Sqlite(connections, _) => {
                    apply(connections.writer.begin_with_options(immediate()).await?).await?;
                }
                Backend::Postgres(pool) => migrate_postgres(pool).await?,
            }
            tracing::debug!(migrations = ?before.pending, "migrations applied");
        }
        Ok(before)
    }
}

async fn migrate_postgres(pool: &DatabaseConnection) -> Result<(), DbErr> {
    let lock = lock(pool).await?;
    // A savepoint per attempt, so that the advisory lock stays held between attempts.
    while let Err(error) = apply(lock.begin().await?).await {
        if !error::is_lock_timeout(&error) {
            return Err(error);
        }
        tracing::warn!("the migration waits for a table that is locked, for example by a dump");
        sleep(PAUSE).await;
    }
    lock.commit().await
}

/// Begins a transaction that holds the advisory lock.
async fn lock(pool: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    // A serializable transaction would not see the migrations of the node before it: its snapshot is from before the wait.
    let isolation_level = Some(IsolationLevel::ReadCommitted);
    let options = TransactionOptions { isolation_level, ..Default::default() };
    let transaction = pool.begin_with_options(options).await?;
    transaction.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    let free = format!("SELECT pg_try_advisory_xact_lock({LOCK})");
    let free = transaction.query_one_raw(Statement::from_string(DbBackend::Postgres, free)).await?;
    if !free.is_some_and(|row| row.try_get_by_index(0).unwrap_or(false)) {
        tracing::warn!("the migration waits for another node that migrates");
        transaction.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    }
    transaction.execute_unprepared(&format!("SET LOCAL lock_timeout = {LOCK_TIMEOUT}")).await?;
    Ok(transaction)
}

/// Applies the pending migrations in a transaction, and rolls it back if one fails, so that no table stays locked.
async fn apply(transaction: DatabaseTransaction) -> Result<(), DbErr> {
    match Migrator::up(&transaction, None).await {
        Ok(()) => transaction.commit().await,
        Err(error) => {
            transaction.rollback().await?;
            Err(error)
        }
    }
}

/// The applied migrations, compared with those that this binary contains.
#[derive(Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Number of this binary's migrations that are applied.
    pub applied: usize,
    /// This binary's migrations that are not applied.
    pub pending: Vec<String>,
    /// Applied migrations of a newer binary.
    pub unknown: Vec<String>,
}

impl MigrationStatus {
    /// Reads the state of a database, which may be empty.
    pub(super) async fn of(db: &impl ConnectionTrait) -> Result<Self, DbErr> {
        let backend = db.get_database_backend();
        let rows = async |sql: String| db.query_all_raw(Statement::from_string(backend, sql)).await;
        let exists = match backend {
            DbBackend::Postgres => format!("SELECT 1 WHERE to_regclass('{TABLE}') IS NOT NULL"),
            _ => format!("SELECT 1 FROM sqlite_schema WHERE name = '{TABLE}'"),
        };
        let applied: BTreeSet<String> = if rows(exists).await?.is_empty() {
            BTreeSet::new()
        } else {
            let rows = rows(format!("SELECT version FROM {TABLE}")).await?;
            rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?
        };
        let known: BTreeSet<String> =
            Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        Ok(Self {
            applied: known.intersection(&applied).count(),
            pending: known.difference(&applied).cloned().collect(),
            unknown: applied.difference(&known).cloned().collect(),
        })
    }
}
