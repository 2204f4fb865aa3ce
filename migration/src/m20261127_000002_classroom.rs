//! Classes, join codes and enrollments.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Class::Table)
                    .col(ColumnDef::new(Class::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Class::OwnerId).uuid().not_null())
                    .col(ColumnDef::new(Class::Name).text().not_null())
                    .col(ColumnDef::new(Class::Description).text())
                    .col(ColumnDef::new(Class::Settings).json_binary())
                    .col(ColumnDef::new(Class::IsActive).boolean().not_null())
                    .col(ColumnDef::new(Class::CreatedAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Class::UpdatedAt).timestamp_with_time_zone().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Class::Table, Class::OwnerId)
                            .to(User::Table, User::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("classes_by_owner").table(Class::Table).col(Class::OwnerId).take(),
            )
            .await?;
        // One row per class: a new code replaces the previous one.
        manager
            .create_table(
                Table::create()
                    .table(JoinCode::Table)
                    .col(ColumnDef::new(JoinCode::ClassId).uuid().not_null().primary_key())
                    .col(ColumnDef::new(JoinCode::Code).text().not_null().unique_key())
                    .col(ColumnDef::new(JoinCode::ExpiresAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(JoinCode::CreatedAt).timestamp_with_time_zone().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(JoinCode::Table, JoinCode::ClassId)
                            .to(Class::Table, Class::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .take(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Enrollment::Table)
                    .col(ColumnDef::new(Enrollment::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Enrollment::ClassId).uuid().not_null())
                    .col(ColumnDef::new(Enrollment::StudentId).uuid().not_null())
                    .col(ColumnDef::new(Enrollment::EnrolledAt).date().not_null())
                    .col(ColumnDef::new(Enrollment::Status).text().not_null())
                    .col(ColumnDef::new(Enrollment::CreatedAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Enrollment::UpdatedAt).timestamp_with_time_zone().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Enrollment::Table, Enrollment::ClassId)
                            .to(Class::Table, Class::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(Enrollment::Table, Enrollment::StudentId)
                            .to(User::Table, User::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("enrollments_once_per_class_and_student")
                    .table(Enrollment::Table)
                    .col(Enrollment::ClassId)
                    .col(Enrollment::StudentId)
                    .unique()
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("enrollments_by_student")
                    .table(Enrollment::Table)
                    .col(Enrollment::StudentId)
                    .take(),
            )
            .await
    }
}

#[derive(DeriveIden)]
enum User {
    #[sea_orm(iden = "users")]
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Class {
    #[sea_orm(iden = "classes")]
    Table,
    Id,
    OwnerId,
    Name,
    Description,
    Settings,
    IsActive,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum JoinCode {
    #[sea_orm(iden = "join_codes")]
    Table,
    ClassId,
    Code,
    ExpiresAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Enrollment {
    #[sea_orm(iden = "enrollments")]
    Table,
    Id,
    ClassId,
    StudentId,
    EnrolledAt,
    Status,
    CreatedAt,
    UpdatedAt,
}
