//! How often a class's join code was drawn of late.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column at a time: SQLite adds no two at once.
        for column in [Class::JoinCodeDraws, Class::JoinCodeDrawsSince] {
            let column = ColumnDef::new(column).big_integer().not_null().default(0).take();
            manager.alter_table(Table::alter().table(Class::Table).add_column(column).take()).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Class {
    #[sea_orm(iden = "classes")]
    Table,
    JoinCodeDraws,
    JoinCodeDrawsSince,
}
