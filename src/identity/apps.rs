//! Apps: registering them, and telling which of them a browser's page belongs to.

use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel};

use super::{Identity, sign_in::SignInError};
use crate::{
    db::{self, Db},
    domain::{
        id::AppId,
        origin::{LoginDomain, Origin},
        redirect_uri::RedirectUri,
    },
    entity::{app, app_login_domain, app_redirect_uri},
};

/// An app with all that is registered for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The app itself.
    pub app: app::Model,
    /// Where it may send its users back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where its own sign-in pages are.
    pub login_domains: Vec<LoginDomain>,
}

/// Why an app could not be registered or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another app owns one of the login domains.
    #[error("one of the login domains belongs to another app")]
    DomainTaken,
    /// An app demands a policy that it does not have.
    #[error("an app cannot demand its privacy policy without a policy version")]
    NoPolicyToDemand,
    /// An app without PKCE has a redirect URI that other apps on a device can claim.
    #[error(
        "only an app that requires PKCE may have the redirect URI {0}, whose scheme other apps can claim (RFC 8252 section 8.1)"
    )]
    PkceNotRequired(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The page that a request was sent from, as its `Origin` header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// No browser said.
    Unsaid,
    /// A page of this server, such as its own documentation.
    Ours,
    /// A page of the web.
    Of(Origin),
    /// A page that is nobody's: `null`, or what is no origin at all.
    Opaque,
}

/// Registers an app, or puts `registration` in the place of what is known of it.
pub async fn register(db: &Db, registration: &Registration) -> Result<(), RegisterError> {
    if registration.app.policy_demanded && registration.app.policy_version.is_none() {
        return Err(RegisterError::NoPolicyToDemand);
    }
    if !registration.app.pkce_required
        && let Some(uri) = registration.redirect_uris.iter().find(|uri| uri.is_private_use())
    {
        return Err(RegisterError::PkceNotRequired(uri.as_str().to_owned()));
    }
    let replaced =
        db.transaction(registration.clone(), |db, registration| Box::pin(replace(db, registration)));
    replaced.await.map_err(|error| match db::kind(&error) {
        db::ErrorKind::UniqueViolation => RegisterError::DomainTaken,
        _ => error.into(),
    })
}

async fn replace(db: &impl ConnectionTrait, registration: &Registration) -> Result<(), DbErr> {
    let Registration { app, redirect_uris, login_domains } = registration;
    if app::Entity::find_by_id(app.id).one(db).await?.is_some() {
        app.clone().into_active_model().reset_all().update(db).await?;
    } else {
        app::Entity::insert(app.clone().into_active_model()).exec_without_returning(db).await?;
    }
    app_redirect_uri::Entity::replace(db, app.id, redirect_uris).await?;
    app_login_domain::Entity::replace(db, app.id, login_domains).await
}

/// The app of a client id, enabled or not, with all that is registered for it.
pub async fn find(db: &Db, id: AppId) -> Result<Option<Registration>, DbErr> {
    match app::Entity::find_by_id(id).one(db.read()).await? {
        Some(app) => Ok(Some(registration_of(db, app).await?)),
        None => Ok(None),
    }
}

/// Every app, the oldest first.
pub async fn list(db: &Db) -> Result<Vec<Registration>, DbErr> {
    let mut registrations = Vec::new();
    for app in app::Entity::list(db.read()).await? {
        registrations.push(registration_of(db, app).await?);
    }
    Ok(registrations)
}

async fn registration_of(db: &Db, app: app::Model) -> Result<Registration, DbErr> {
    let redirect_uris = app_redirect_uri::Entity::of_app(db.read(), app.id).await?;
    let login_domains = app_login_domain::Entity::of_app(db.read(), app.id).await?;
    Ok(Registration { app, redirect_uris, login_domains })
}

impl Identity {
    /// Whether pages of this origin may read our answers: they are of any enabled app.
    pub async fn allows_origin(&self, origin: &Origin) -> Result<bool, DbErr> {
        app::Entity::owns_origin(self.db.read(), None, origin).await
    }

    /// The app that somebody signs in to, with where it may send them back to: the app whose id was said, or else the one
    /// that owns the page's domain. A page that is neither that app's nor ours is refused.
    pub(super) async fn resolve_app(
        &self,
        said: Option<AppId>,
        page: &Page,
    ) -> Result<app::WithRedirectUris, SignInError> {
        let db = self.db.read();
        let Some(id) = said else {
            let domain = match page {
                Page::Unsaid | Page::Ours => return Err(SignInError::AppUnsaid),
                Page::Of(origin) => origin.login_domain(),
                Page::Opaque => None,
            };
            let app = match domain {
                Some(domain) => app::Entity::find_enabled_by_login_domain(db, domain).await?,
                None => None,
            };
            return app.ok_or(SignInError::AppUnsaid);
        };
        let app = app::Entity::find_enabled(db, id).await?.ok_or(SignInError::AppUnknown)?;
        let trusted = match page {
            Page::Unsaid | Page::Ours => true,
            Page::Of(origin) => app::Entity::owns_origin(db, Some(id), origin).await?,
            Page::Opaque => false,
        };
        if trusted { Ok(app) } else { Err(SignInError::OriginUnknown) }
    }
}
