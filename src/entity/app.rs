//! Apps: the OAuth clients (RFC 6749 section 2) that users sign in to.

use sea_orm::{
    Condition, QueryOrder, QuerySelect, QueryTrait,
    entity::prelude::*,
    sea_query::{SelectStatement, SimpleExpr},
};

use super::{app_login_domain, app_redirect_uri};
use crate::domain::{
    account_page::AccountPage,
    id::AppId,
    label::Label,
    origin::{LoginDomain, Origin},
};

/// An app.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "apps")]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub struct Model {
    /// The client id, without its prefix.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AppId,
    /// The name that users see.
    pub name: Label,
    /// Whether users may sign in to it.
    pub enabled: bool,
    /// The current version of its privacy policy, if it has one.
    pub policy_version: Option<Label>,
    /// Whether users have to accept that version to sign in.
    pub policy_demanded: bool,
    /// Whether sign-in requires a PKCE challenge (RFC 7636).
    pub pkce_required: bool,
    /// The lifetime of its access and id tokens, in minutes.
    pub access_token_minutes: i32,
    /// The time of registration.
    pub created_at: DateTimeUtc,
    /// Whether people may register an account through it.
    pub registration_open: bool,
    /// The minutes after which a session without a refresh ends.
    pub session_idle_minutes: i32,
    /// The minutes after which a session ends in any case.
    pub session_minutes: i32,
    /// The page that the links in mails lead to.
    pub account_page: Option<AccountPage>,
}

/// The relations of an app.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Its redirect URIs.
    #[sea_orm(has_many = "super::app_redirect_uri::Entity")]
    RedirectUri,
    /// The domains of its own sign-in pages.
    #[sea_orm(has_many = "super::app_login_domain::Entity")]
    LoginDomain,
}

impl Related<app_redirect_uri::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::RedirectUri.def()
    }
}

impl Related<app_login_domain::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::LoginDomain.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// An enabled app with default settings.
    pub fn new(id: AppId, name: Label, now: DateTimeUtc) -> Self {
        Self {
            id,
            name,
            enabled: true,
            policy_version: None,
            policy_demanded: false,
            pkce_required: false,
            access_token_minutes: 60,
            created_at: now,
            registration_open: false,
            session_idle_minutes: 1_440,
            session_minutes: 43_200,
            account_page: None,
        }
    }
}

/// An app with its redirect URIs.
pub type WithRedirectUris = (Model, Vec<app_redirect_uri::Model>);

impl Entity {
    /// The enabled app with this id.
    pub async fn find_enabled(
        db: &impl ConnectionTrait,
        id: AppId,
    ) -> Result<Option<WithRedirectUris>, DbErr> {
        Self::find_enabled_where(db, Column::Id.eq(id)).await
    }

    /// The enabled app that owns this login domain.
    pub async fn find_enabled_by_login_domain(
        db: &impl ConnectionTrait,
        domain: LoginDomain,
    ) -> Result<Option<WithRedirectUris>, DbErr> {
        Self::find_enabled_where(db, Column::Id.in_subquery(owner_of(domain))).await
    }

    async fn find_enabled_where(
        db: &impl ConnectionTrait,
        filter: SimpleExpr,
    ) -> Result<Option<WithRedirectUris>, DbErr> {
        let apps = Self::find()
            .filter(Column::Enabled.eq(true))
            .filter(filter)
            .find_with_related(app_redirect_uri::Entity);
        Ok(apps.all(db).await?.pop())
    }

    /// Whether the origin belongs to the enabled app `id`, or to any enabled app if `id` is `None`.
    pub async fn owns_origin(
        db: &impl ConnectionTrait,
        id: Option<AppId>,
        origin: &Origin,
    ) -> Result<bool, DbErr> {
        let with_redirect_uri = app_redirect_uri::Entity::find()
            .select_only()
            .column(app_redirect_uri::Column::AppId)
            .filter(app_redirect_uri::Column::Origin.eq(origin.clone().of_redirects()));
        let owners = Condition::any().add(Column::Id.in_subquery(with_redirect_uri.into_query()));
        let owners = match origin.login_domain() {
            Some(domain) => owners.add(Column::Id.in_subquery(owner_of(domain))),
            None => owners,
        };
        let mut apps = Self::find().filter(Column::Enabled.eq(true)).filter(owners);
        if let Some(id) = id {
            apps = apps.filter(Column::Id.eq(id));
        }
        Ok(!apps.all(db).await?.is_empty())
    }

    /// All apps, oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}

/// The id of the app that owns a login domain.
fn owner_of(domain: LoginDomain) -> SelectStatement {
    app_login_domain::Entity::find()
        .select_only()
        .column(app_login_domain::Column::AppId)
        .filter(app_login_domain::Column::Domain.eq(domain))
        .into_query()
}
