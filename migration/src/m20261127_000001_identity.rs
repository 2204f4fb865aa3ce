//! Apps, users, authorization codes and accepted policies.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apps(manager).await?;
        users(manager).await?;
        codes_and_acceptances(manager).await
    }
}

/// Apps, their redirect URIs and login domains.
async fn apps(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(App::Table)
                .col(ColumnDef::new(App::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(App::Name).text().not_null())
                .col(ColumnDef::new(App::Enabled).boolean().not_null())
                .col(ColumnDef::new(App::PolicyVersion).text())
                .col(ColumnDef::new(App::PolicyDemanded).boolean().not_null())
                .col(ColumnDef::new(App::PkceRequired).boolean().not_null())
                .col(ColumnDef::new(App::AccessTokenMinutes).integer().not_null())
                .col(ColumnDef::new(App::CreatedAt).timestamp_with_time_zone().not_null())
                .take(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table(AppRedirectUri::Table)
                .col(ColumnDef::new(AppRedirectUri::AppId).uuid().not_null())
                .col(ColumnDef::new(AppRedirectUri::Uri).text().not_null())
                .col(ColumnDef::new(AppRedirectUri::Origin).text())
                .primary_key(Index::create().col(AppRedirectUri::AppId).col(AppRedirectUri::Uri))
                .foreign_key(
                    ForeignKey::create()
                        .from(AppRedirectUri::Table, AppRedirectUri::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("app_redirect_uris_by_origin")
                .table(AppRedirectUri::Table)
                .col(AppRedirectUri::Origin)
                .take(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table(AppLoginDomain::Table)
                .col(ColumnDef::new(AppLoginDomain::Domain).text().not_null().primary_key())
                .col(ColumnDef::new(AppLoginDomain::AppId).uuid().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(AppLoginDomain::Table, AppLoginDomain::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("app_login_domains_by_app")
                .table(AppLoginDomain::Table)
                .col(AppLoginDomain::AppId)
                .take(),
        )
        .await
}

async fn users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(User::Table)
                .col(ColumnDef::new(User::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(User::Email).text().not_null().unique_key())
                .col(ColumnDef::new(User::PasswordHash).text().not_null())
                .col(ColumnDef::new(User::Enabled).boolean().not_null())
                .col(ColumnDef::new(User::EmailVerifiedAt).timestamp_with_time_zone())
                .col(ColumnDef::new(User::CreatedAt).timestamp_with_time_zone().not_null())
                .take(),
        )
        .await
}

/// Tables that reference both a user and an app.
async fn codes_and_acceptances(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(AuthorizationCode::Table)
                .col(ColumnDef::new(AuthorizationCode::Digest).binary_len(32).not_null().primary_key())
                .col(ColumnDef::new(AuthorizationCode::AppId).uuid().not_null())
                .col(ColumnDef::new(AuthorizationCode::UserId).uuid().not_null())
                .col(ColumnDef::new(AuthorizationCode::RedirectUri).text().not_null())
                .col(ColumnDef::new(AuthorizationCode::State).text().not_null())
                .col(ColumnDef::new(AuthorizationCode::CodeChallenge).text())
                .col(ColumnDef::new(AuthorizationCode::IssuedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(AuthorizationCode::ExpiresAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(AuthorizationCode::RedeemedAt).timestamp_with_time_zone())
                .foreign_key(
                    ForeignKey::create()
                        .from(AuthorizationCode::Table, AuthorizationCode::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(AuthorizationCode::Table, AuthorizationCode::UserId)
                        .to(User::Table, User::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("authorization_codes_by_expiry")
                .table(AuthorizationCode::Table)
                .col(AuthorizationCode::ExpiresAt)
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("authorization_codes_by_user")
                .table(AuthorizationCode::Table)
                .col(AuthorizationCode::UserId)
                .col(AuthorizationCode::IssuedAt)
                .take(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table(PolicyAcceptance::Table)
                .col(ColumnDef::new(PolicyAcceptance::UserId).uuid().not_null())
                .col(ColumnDef::new(PolicyAcceptance::AppId).uuid().not_null())
                .col(ColumnDef::new(PolicyAcceptance::PolicyVersion).text().not_null())
                .col(ColumnDef::new(PolicyAcceptance::AcceptedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(PolicyAcceptance::Address).text().not_null())
                .primary_key(
                    Index::create()
                        .col(PolicyAcceptance::UserId)
                        .col(PolicyAcceptance::AppId)
                        .col(PolicyAcceptance::PolicyVersion),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(PolicyAcceptance::Table, PolicyAcceptance::AppId)
                        .to(App::Table, App::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(PolicyAcceptance::Table, PolicyAcceptance::UserId)
                        .to(User::Table, User::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .take(),
        )
        .await
}

#[derive(DeriveIden)]
enum App {
    #[sea_orm(iden = "apps")]
    Table,
    Id,
    Name,
    Enabled,
    PolicyVersion,
    PolicyDemanded,
    PkceRequired,
    AccessTokenMinutes,
    CreatedAt,
}

#[derive(DeriveIden)]
enum AppRedirectUri {
    #[sea_orm(iden = "app_redirect_uris")]
    Table,
    AppId,
    Uri,
    Origin,
}

#[derive(DeriveIden)]
enum AppLoginDomain {
    #[sea_orm(iden = "app_login_domains")]
    Table,
    Domain,
    AppId,
}

#[derive(DeriveIden)]
enum User {
    #[sea_orm(iden = "users")]
    Table,
    Id,
    Email,
    PasswordHash,
    Enabled,
    EmailVerifiedAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum AuthorizationCode {
    #[sea_orm(iden = "authorization_codes")]
    Table,
    Digest,
    AppId,
    UserId,
    RedirectUri,
    State,
    CodeChallenge,
    IssuedAt,
    ExpiresAt,
    RedeemedAt,
}

#[derive(DeriveIden)]
enum PolicyAcceptance {
    #[sea_orm(iden = "policy_acceptances")]
    Table,
    UserId,
    AppId,
    PolicyVersion,
    AcceptedAt,
    Address,
}
