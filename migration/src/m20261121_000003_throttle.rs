//! Counts of failures, by which guessing is throttled.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Throttle::Table)
                    .col(ColumnDef::new(Throttle::Key).binary_len(32).not_null().primary_key())
                    .col(ColumnDef::new(Throttle::Failures).big_integer().not_null())
                    .col(ColumnDef::new(Throttle::Allowed).big_integer().not_null())
                    .col(ColumnDef::new(Throttle::ResumesAt).big_integer().not_null())
                    .col(ColumnDef::new(Throttle::KnownUntil).big_integer().not_null())
                    .col(ColumnDef::new(Throttle::ForgottenAt).big_integer().not_null())
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("throttles_by_forgetting")
                    .table(Throttle::Table)
                    .col(Throttle::ForgottenAt)
                    .take(),
            )
            .await
    }
}

#[derive(DeriveIden)]
enum Throttle {
    #[sea_orm(iden = "throttles")]
    Table,
    Key,
    Failures,
    Allowed,
    ResumesAt,
    KnownUntil,
    ForgottenAt,
}
