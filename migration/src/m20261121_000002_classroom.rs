//! Classes with their one join code, and who has joined them.

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
                    .col(ColumnDef::new(Class::JoinCode).text().unique_key())
                    .col(ColumnDef::new(Class::JoinCodeExpiresAt).timestamp_with_time_zone())
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
        manager
            .create_table(
                Table::create()
                    .table(Enrolment::Table)
                    .col(ColumnDef::new(Enrolment::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Enrolment::ClassId).uuid().not_null())
                    .col(ColumnDef::new(Enrolment::StudentId).uuid().not_null())
                    .col(ColumnDef::new(Enrolment::EnrolledAt).date().not_null())
                    .col(ColumnDef::new(Enrolment::Status).text().not_null())
                    .col(ColumnDef::new(Enrolment::CreatedAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Enrolment::UpdatedAt).timestamp_with_time_zone().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Enrolment::Table, Enrolment::ClassId)
                            .to(Class::Table, Class::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(Enrolment::Table, Enrolment::StudentId)
                            .to(User::Table, User::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("enrolments_once_per_class_and_student")
                    .table(Enrolment::Table)
                    .col(Enrolment::ClassId)
                    .col(Enrolment::StudentId)
                    .unique()
                    .take(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("enrolments_by_student")
                    .table(Enrolment::Table)
                    .col(Enrolment::StudentId)
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
    JoinCode,
    JoinCodeExpiresAt,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Enrolment {
    #[sea_orm(iden = "enrolments")]
    Table,
    Id,
    ClassId,
    StudentId,
    EnrolledAt,
    Status,
    CreatedAt,
    UpdatedAt,
}
