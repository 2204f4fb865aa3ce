//! Adds the columns of rosters: settings of classes, the origin of an enrollment, school accounts, and `sourcedId`.
//!
//! A node of the previous version cannot read the new values of `enrollments.status`. Upgrade all nodes before students join with
//! approval.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        classes(manager).await?;
        enrollments(manager).await?;
        let joins = ColumnDef::new(JoinCode::Joins).integer().not_null().default(0).take();
        add_columns(manager, JoinCode::Table, [joins]).await?;
        users(manager).await?;
        let columns = [
            ColumnDef::new(AuditEvent::ByUserId).uuid().take(),
            ColumnDef::new(AuditEvent::ClassId).uuid().take(),
        ];
        add_columns(manager, AuditEvent::Table, columns).await
    }
}

/// SQLite adds one column per statement.
async fn add_columns(
    manager: &SchemaManager<'_>,
    table: impl IntoIden + Copy,
    columns: impl IntoIterator<Item = ColumnDef>,
) -> Result<(), DbErr> {
    for column in columns {
        manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
    }
    Ok(())
}

async fn add_index(
    manager: &SchemaManager<'_>,
    name: &str,
    table: impl IntoIden + Copy,
    columns: impl IntoIterator<Item = impl IntoIden>,
    is_unique: bool,
) -> Result<(), DbErr> {
    let mut index = Index::create().name(name).table(table.into_iden()).take();
    for column in columns {
        index.col(column.into_iden());
    }
    if is_unique {
        index.unique();
    }
    manager.create_index(index).await
}

/// A key for sorting and searching. PostgreSQL compares its bytes, as SQLite does, so that an index serves every locale.
fn sort_key(manager: &SchemaManager<'_>, name: impl IntoIden) -> ColumnDef {
    let mut column = ColumnDef::new(name).text().not_null().default("").take();
    if manager.get_database_backend() == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

async fn classes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        sort_key(manager, Class::NameKey),
        ColumnDef::new(Class::MaxStudents).integer().take(),
        ColumnDef::new(Class::RequiresApproval).boolean().not_null().default(false).take(),
        ColumnDef::new(Class::Version).integer().not_null().default(0).take(),
        ColumnDef::new(Class::SourcedId).text().take(),
        ColumnDef::new(Class::LeftRoster).boolean().not_null().default(false).take(),
    ];
    add_columns(manager, Class::Table, columns).await?;
    // Only ASCII letters are folded, in the same way on both databases. A change of the name writes the real key.
    let collation = if manager.get_database_backend() == DbBackend::Postgres { " COLLATE \"C\"" } else { "" };
    let sql = format!("UPDATE classes SET name_key = lower(name{collation})");
    manager.get_connection().execute_unprepared(&sql).await?;
    add_index(manager, "classes_by_name", Class::Table, [Class::NameKey, Class::Id], false).await?;
    add_index(manager, "classes_by_sourced_id", Class::Table, [Class::SourcedId], true).await
}

async fn enrollments(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        ColumnDef::new(Enrollment::Origin).text().not_null().default("join_code").take(),
        sort_key(manager, Enrollment::StudentKey),
        ColumnDef::new(Enrollment::SourcedId).text().take(),
    ];
    add_columns(manager, Enrollment::Table, columns).await?;
    // Only ASCII letters are folded, in the same way on both databases. A change of the name, and joining again, write the real key.
    let (folded, separator, id) = match manager.get_database_backend() {
        DbBackend::Postgres => (" COLLATE \"C\"", "chr(31)", "CAST(student_id AS text)"),
        // SQLite stores the bytes of a UUID.
        _ => (
            "",
            "char(31)",
            "lower(substr(hex(student_id), 1, 8) || '-' || substr(hex(student_id), 9, 4) || '-' || \
             substr(hex(student_id), 13, 4) || '-' || substr(hex(student_id), 17, 4) || '-' || \
             substr(hex(student_id), 21))",
        ),
    };
    let name = |column: &str| format!("coalesce(lower({column}{folded}), '')");
    let (last, first) = (name("last_name"), name("first_name"));
    let names = format!("(SELECT {last} || {separator} || {first} FROM users WHERE users.id = student_id)");
    let sql = format!("UPDATE enrollments SET student_key = substr({names} || {separator} || {id}, 1, 200)");
    manager.get_connection().execute_unprepared(&sql).await?;
    let roster = [Enrollment::ClassId, Enrollment::Status, Enrollment::StudentKey, Enrollment::Id];
    add_index(manager, "enrollments_by_class", Enrollment::Table, roster, false).await?;
    let timetable = [Enrollment::StudentId, Enrollment::Status, Enrollment::ClassId];
    add_index(manager, "enrollments_by_student_and_status", Enrollment::Table, timetable, false).await?;
    add_index(manager, "enrollments_by_sourced_id", Enrollment::Table, [Enrollment::SourcedId], true).await
}

async fn users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        ColumnDef::new(User::SchoolAccount).boolean().not_null().default(false).take(),
        ColumnDef::new(User::PasswordState).text().not_null().default("own").take(),
        ColumnDef::new(User::SourcedId).text().take(),
        ColumnDef::new(User::LeftRoster).boolean().not_null().default(false).take(),
    ];
    add_columns(manager, User::Table, columns).await?;
    add_index(manager, "users_by_school_account", User::Table, [User::SchoolAccount, User::Id], false)
        .await?;
    add_index(manager, "users_by_sourced_id", User::Table, [User::SourcedId], true).await
}

#[derive(DeriveIden, Clone, Copy)]
enum User {
    #[sea_orm(iden = "users")]
    Table,
    Id,
    SchoolAccount,
    PasswordState,
    SourcedId,
    LeftRoster,
}

#[derive(DeriveIden, Clone, Copy)]
enum Class {
    #[sea_orm(iden = "classes")]
    Table,
    Id,
    NameKey,
    MaxStudents,
    RequiresApproval,
    Version,
    SourcedId,
    LeftRoster,
}

#[derive(DeriveIden, Clone, Copy)]
enum JoinCode {
    #[sea_orm(iden = "join_codes")]
    Table,
    Joins,
}

#[derive(DeriveIden, Clone, Copy)]
enum Enrollment {
    #[sea_orm(iden = "enrollments")]
    Table,
    Id,
    ClassId,
    StudentId,
    Status,
    Origin,
    StudentKey,
    SourcedId,
}

#[derive(DeriveIden, Clone, Copy)]
enum AuditEvent {
    #[sea_orm(iden = "audit_events")]
    Table,
    ByUserId,
    ClassId,
}
