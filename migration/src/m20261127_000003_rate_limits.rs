//! Counts of the rate limiter.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(RateLimit::Table)
                    .col(ColumnDef::new(RateLimit::Key).binary_len(32).not_null().primary_key())
                    .col(ColumnDef::new(RateLimit::DrainedAt).big_integer().not_null())
                    .col(ColumnDef::new(RateLimit::FailedAt).big_integer().not_null())
                    .col(ColumnDef::new(RateLimit::InProgress).big_integer().not_null())
                    .col(ColumnDef::new(RateLimit::ReservedAt).big_integer().not_null())
                    .col(ColumnDef::new(RateLimit::KnownUntil).big_integer().not_null())
                    .take(),
            )
            .await?;
        // For the sweep, which deletes rows without failures and without a known address.
        manager
            .create_index(
                Index::create()
                    .name("rate_limits_by_end")
                    .table(RateLimit::Table)
                    .col(RateLimit::KnownUntil)
                    .col(RateLimit::DrainedAt)
                    .take(),
            )
            .await
    }
}

#[derive(DeriveIden)]
enum RateLimit {
    #[sea_orm(iden = "rate_limits")]
    Table,
    Key,
    DrainedAt,
    FailedAt,
    InProgress,
    ReservedAt,
    KnownUntil,
}
