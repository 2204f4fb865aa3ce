//! Sessions, registrations, password resets, mails and the audit trail; profiles of users, and settings of apps for them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        profiles(manager).await?;
        app_settings(manager).await?;
        sessions(manager).await?;
        links(manager).await?;
        mails(manager).await?;
        audit_events(manager).await
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

async fn profiles(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        ColumnDef::new(User::FirstName).text().take(),
        ColumnDef::new(User::LastName).text().take(),
        ColumnDef::new(User::DateOfBirth).date().take(),
        ColumnDef::new(User::PhoneNumber).text().take(),
        ColumnDef::new(User::AvatarUrl).text().take(),
        ColumnDef::new(User::Language).text().not_null().default("en").take(),
        ColumnDef::new(User::UpdatedAt).timestamp_with_time_zone().take(),
        ColumnDef::new(User::PasswordVersion).integer().not_null().default(0).take(),
    ];
    add_columns(manager, User::Table, columns).await
}

async fn app_settings(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [
        ColumnDef::new(App::RegistrationOpen).boolean().not_null().default(false).take(),
        ColumnDef::new(App::SessionIdleMinutes).integer().not_null().default(1_440).take(),
        ColumnDef::new(App::SessionMinutes).integer().not_null().default(43_200).take(),
        ColumnDef::new(App::AccountPage).text().take(),
    ];
    add_columns(manager, App::Table, columns).await?;
    manager
        .create_table(
            Table::create()
                .table(AppMailDomain::Table)
                .col(ColumnDef::new(AppMailDomain::AppId).uuid().not_null())
                .col(ColumnDef::new(AppMailDomain::Domain).text().not_null())
                .primary_key(Index::create().col(AppMailDomain::AppId).col(AppMailDomain::Domain))
                .foreign_key(
                    ForeignKey::create()
                        .from(AppMailDomain::Table, AppMailDomain::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await
}

/// Sessions and their refresh tokens.
async fn sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Session::Table)
                .col(ColumnDef::new(Session::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Session::UserId).uuid().not_null())
                .col(ColumnDef::new(Session::AppId).uuid().not_null())
                .col(ColumnDef::new(Session::RedirectUri).text().not_null())
                .col(ColumnDef::new(Session::Scope).text().not_null())
                .col(ColumnDef::new(Session::Address).text())
                .col(ColumnDef::new(Session::UserAgent).text())
                .col(ColumnDef::new(Session::AuthenticatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Session::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Session::LastUsedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Session::IdleExpiresAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Session::ExpiresAt).timestamp_with_time_zone().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(Session::Table, Session::UserId)
                        .to(User::Table, User::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(Session::Table, Session::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(index("sessions_by_user", Session::Table, &[Session::UserId, Session::CreatedAt]))
        .await?;
    manager.create_index(index("sessions_by_app", Session::Table, &[Session::AppId])).await?;
    // Idle expiry never exceeds the other, so the sweep needs no second index.
    manager.create_index(index("sessions_by_expiry", Session::Table, &[Session::IdleExpiresAt])).await?;
    manager
        .create_table(
            Table::create()
                .table(RefreshToken::Table)
                .col(ColumnDef::new(RefreshToken::Digest).binary_len(32).not_null().primary_key())
                .col(ColumnDef::new(RefreshToken::SessionId).uuid().not_null())
                .col(ColumnDef::new(RefreshToken::IssuedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(RefreshToken::RotatedAt).timestamp_with_time_zone())
                .foreign_key(
                    ForeignKey::create()
                        .from(RefreshToken::Table, RefreshToken::SessionId)
                        .to(Session::Table, Session::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(index("refresh_tokens_by_session", RefreshToken::Table, &[RefreshToken::SessionId]))
        .await?;
    // The session that a redeemed code began. No foreign key: the session may have ended.
    let session = ColumnDef::new(AuthorizationCode::SessionId).uuid().take();
    add_columns(manager, AuthorizationCode::Table, [session]).await
}

/// Registrations and password resets, which the links of mails complete.
async fn links(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Registration::Table)
                .col(ColumnDef::new(Registration::Digest).binary_len(32).not_null().primary_key())
                .col(ColumnDef::new(Registration::UserId).uuid().not_null())
                .col(ColumnDef::new(Registration::AppId).uuid().not_null())
                .col(ColumnDef::new(Registration::Email).text().not_null())
                .col(ColumnDef::new(Registration::PasswordHash).text().not_null())
                .col(ColumnDef::new(Registration::PhoneNumber).text())
                .col(ColumnDef::new(Registration::Language).text().not_null())
                .col(ColumnDef::new(Registration::AcceptedPolicyVersion).text())
                .col(ColumnDef::new(Registration::Address).text().not_null())
                .col(ColumnDef::new(Registration::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Registration::ExpiresAt).timestamp_with_time_zone().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(Registration::Table, Registration::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(index("registrations_by_email", Registration::Table, &[Registration::Email]))
        .await?;
    manager
        .create_index(index("registrations_by_expiry", Registration::Table, &[Registration::ExpiresAt]))
        .await?;
    manager
        .create_table(
            Table::create()
                .table(PasswordReset::Table)
                .col(ColumnDef::new(PasswordReset::Digest).binary_len(32).not_null().primary_key())
                .col(ColumnDef::new(PasswordReset::UserId).uuid().not_null())
                .col(ColumnDef::new(PasswordReset::AppId).uuid())
                .col(ColumnDef::new(PasswordReset::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(PasswordReset::ExpiresAt).timestamp_with_time_zone().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(PasswordReset::Table, PasswordReset::UserId)
                        .to(User::Table, User::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(PasswordReset::Table, PasswordReset::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(index("password_resets_by_user", PasswordReset::Table, &[PasswordReset::UserId]))
        .await?;
    manager
        .create_index(index("password_resets_by_expiry", PasswordReset::Table, &[PasswordReset::ExpiresAt]))
        .await
}

/// The outbox.
async fn mails(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(OutgoingMail::Table)
                .col(ColumnDef::new(OutgoingMail::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(OutgoingMail::Recipient).text().not_null())
                .col(ColumnDef::new(OutgoingMail::Kind).text().not_null())
                .col(ColumnDef::new(OutgoingMail::Subject).text().not_null())
                .col(ColumnDef::new(OutgoingMail::TextBody).text().not_null())
                .col(ColumnDef::new(OutgoingMail::HtmlBody).text().not_null())
                .col(ColumnDef::new(OutgoingMail::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(OutgoingMail::ExpiresAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(OutgoingMail::NextAttemptAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(OutgoingMail::Attempts).integer().not_null())
                .col(ColumnDef::new(OutgoingMail::DeadAt).timestamp_with_time_zone())
                .col(ColumnDef::new(OutgoingMail::LastError).text())
                .take(),
        )
        .await?;
    manager
        .create_index(index(
            "outgoing_mails_by_next_attempt",
            OutgoingMail::Table,
            &[OutgoingMail::DeadAt, OutgoingMail::NextAttemptAt],
        ))
        .await?;
    manager
        .create_index(index("outgoing_mails_by_recipient", OutgoingMail::Table, &[OutgoingMail::Recipient]))
        .await
}

/// The audit trail. It references nothing, because it outlives users and apps.
async fn audit_events(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(AuditEvent::Table)
                .col(ColumnDef::new(AuditEvent::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(AuditEvent::At).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(AuditEvent::Action).text().not_null())
                .col(ColumnDef::new(AuditEvent::Outcome).text().not_null())
                .col(ColumnDef::new(AuditEvent::Reason).text())
                .col(ColumnDef::new(AuditEvent::Actor).text().not_null())
                .col(ColumnDef::new(AuditEvent::UserId).uuid())
                .col(ColumnDef::new(AuditEvent::AppId).uuid())
                .col(ColumnDef::new(AuditEvent::SessionId).uuid())
                .col(ColumnDef::new(AuditEvent::Address).text())
                .take(),
        )
        .await?;
    manager.create_index(index("audit_events_by_time", AuditEvent::Table, &[AuditEvent::At])).await?;
    manager.create_index(index("audit_events_by_user", AuditEvent::Table, &[AuditEvent::UserId])).await
}

fn index<T: IntoIden + Copy>(name: &str, table: T, columns: &[T]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

#[derive(DeriveIden, Clone, Copy)]
enum User {
    #[sea_orm(iden = "users")]
    Table,
    Id,
    FirstName,
    LastName,
    DateOfBirth,
    PhoneNumber,
    AvatarUrl,
    Language,
    UpdatedAt,
    PasswordVersion,
}

#[derive(DeriveIden, Clone, Copy)]
enum App {
    #[sea_orm(iden = "apps")]
    Table,
    Id,
    RegistrationOpen,
    SessionIdleMinutes,
    SessionMinutes,
    AccountPage,
}

#[derive(DeriveIden, Clone, Copy)]
enum AppMailDomain {
    #[sea_orm(iden = "app_mail_domains")]
    Table,
    AppId,
    Domain,
}

#[derive(DeriveIden, Clone, Copy)]
enum AuthorizationCode {
    #[sea_orm(iden = "authorization_codes")]
    Table,
    SessionId,
}

#[derive(DeriveIden, Clone, Copy)]
enum Session {
    #[sea_orm(iden = "sessions")]
    Table,
    Id,
    UserId,
    AppId,
    RedirectUri,
    Scope,
    Address,
    UserAgent,
    AuthenticatedAt,
    CreatedAt,
    LastUsedAt,
    IdleExpiresAt,
    ExpiresAt,
}

#[derive(DeriveIden, Clone, Copy)]
enum RefreshToken {
    #[sea_orm(iden = "refresh_tokens")]
    Table,
    Digest,
    SessionId,
    IssuedAt,
    RotatedAt,
}

#[derive(DeriveIden, Clone, Copy)]
enum Registration {
    #[sea_orm(iden = "registrations")]
    Table,
    Digest,
    UserId,
    AppId,
    Email,
    PasswordHash,
    PhoneNumber,
    Language,
    AcceptedPolicyVersion,
    Address,
    CreatedAt,
    ExpiresAt,
}

#[derive(DeriveIden, Clone, Copy)]
enum PasswordReset {
    #[sea_orm(iden = "password_resets")]
    Table,
    Digest,
    UserId,
    AppId,
    CreatedAt,
    ExpiresAt,
}

#[derive(DeriveIden, Clone, Copy)]
enum OutgoingMail {
    #[sea_orm(iden = "outgoing_mails")]
    Table,
    Id,
    Recipient,
    Kind,
    Subject,
    TextBody,
    HtmlBody,
    CreatedAt,
    ExpiresAt,
    NextAttemptAt,
    Attempts,
    DeadAt,
    LastError,
}

#[derive(DeriveIden, Clone, Copy)]
enum AuditEvent {
    #[sea_orm(iden = "audit_events")]
    Table,
    Id,
    At,
    Action,
    Outcome,
    Reason,
    Actor,
    UserId,
    AppId,
    SessionId,
    Address,
}
