//! Which of a class's join codes came last.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new(Class::JoinCodeTurn).big_integer().not_null().default(0).take();
        manager.alter_table(Table::alter().table(Class::Table).add_column(column).take()).await
    }
}

#[derive(DeriveIden)]
enum Class {
    #[sea_orm(iden = "classes")]
    Table,
    JoinCodeTurn,
}
