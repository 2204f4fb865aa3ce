//! Apps: registered by an operator, and found from the client id or the origin of a request.

use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel};

use crate::{
    db::{self, Db},
    domain::{
        id::AppId,
        mail_domain::MailDomain,
        origin::{LoginDomain, Origin},
        redirect_uri::RedirectUri,
    },
    entity::{app, app_login_domain, app_mail_domain, app_redirect_uri, audit_event, session},
};

/// The apps in a database.
pub struct Apps {
    db: Db,
}

/// An app with everything that is registered for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The app.
    pub app: app::Model,
    /// The redirect URIs that requests may name.
    pub redirect_uris: Vec<RedirectUri>,
    /// The domains of the app's own sign-in pages.
    pub login_domains: Vec<LoginDomain>,
    /// The mail domains. Only e-mail addresses in one of them may register. Without mail domains, every e-mail address may.
    pub mail_domains: Vec<MailDomain>,
}

/// Why [`Apps::register`] failed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another app owns one of the login domains.
    #[error("one of the login domains belongs to another app")]
    DomainTaken,
    /// The app demands a policy and has no policy version.
    #[error("an app cannot demand its privacy policy without a policy version")]
    NoPolicyToDemand,
    /// An app without PKCE has a private-use redirect URI, whose scheme other apps on a device can claim.
    #[error(
        "only an app that requires PKCE may have the redirect URI {0}, whose scheme other apps can claim (RFC 8252 section 8.1)"
    )]
    PkceNotRequired(String),
    /// A session would end before its first access token expires, so that no client refreshes in time.
    #[error("the idle lifetime of a session must be at least the lifetime of an access token")]
    IdleTooShort,
    /// A session would never reach its idle lifetime.
    #[error("the lifetime of a session must be at least its idle lifetime")]
    SessionTooShort,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Why `Apps::resolve` found no app for a sign-in.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The request names no app, and its origin belongs to none.
    #[error("no app was named")]
    NotNamed,
    /// No enabled app has the id.
    #[error("the app is unknown or disabled")]
    Unknown,
    /// The origin belongs neither to the app nor to this server.
    #[error("the page does not belong to the app")]
    ForeignOrigin,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The origin of the page that sent a request (RFC 6454 section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOrigin {
    /// No `Origin` header: the client is not a browser, or the request is a plain `GET`.
    Absent,
    /// A page of this server, such as the API documentation.
    SameOrigin,
    /// A page of another web origin.
    Web(Origin),
    /// `null`, or text that is not a web origin.
    Opaque,
}

impl Apps {
    /// The apps in this database.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Registers an app, or replaces the registration that has the same id. A disabled app has no sessions and no codes.
    pub async fn register(&self, registration: &Registration) -> Result<(), RegisterError> {
        self.register_with_event(registration, None).await
    }

    /// The same, with an event in the audit trail.
    pub async fn register_with_event(
        &self,
        registration: &Registration,
        event: Option<audit_event::Model>,
    ) -> Result<(), RegisterError> {
        let Registration { app, redirect_uris, .. } = registration;
        if app.policy_demanded && app.policy_version.is_none() {
            return Err(RegisterError::NoPolicyToDemand);
        }
        if !app.pkce_required
            && let Some(uri) = redirect_uris.iter().find(|uri| uri.is_private_use())
        {
            return Err(RegisterError::PkceNotRequired(uri.as_str().to_owned()));
        }
        if app.session_idle_minutes < app.access_token_minutes {
            return Err(RegisterError::IdleTooShort);
        }
        if app.session_minutes < app.session_idle_minutes {
            return Err(RegisterError::SessionTooShort);
        }
        let job = (registration.clone(), event);
        let replace = self.db.transaction(job, |db, (registration, event)| {
            Box::pin(async move {
                replace(db, registration).await?;
                match event {
                    Some(event) => audit_event::Entity::record(db, event.clone()).await,
                    None => Ok(()),
                }
            })
        });
        replace.await.map_err(|error| match db::kind(&error) {
            db::ErrorKind::UniqueViolation => RegisterError::DomainTaken,
            _ => error.into(),
        })
    }

    /// The registration of an app, enabled or not.
    pub async fn find(&self, id: AppId) -> Result<Option<Registration>, DbErr> {
        match app::Entity::find_by_id(id).one(self.db.read()).await? {
            Some(app) => Ok(Some(self.registration(app).await?)),
            None => Ok(None),
        }
    }

    /// All registrations, oldest first.
    pub async fn list(&self) -> Result<Vec<Registration>, DbErr> {
        let mut registrations = Vec::new();
        for app in app::Entity::list(self.db.read()).await? {
            registrations.push(self.registration(app).await?);
        }
        Ok(registrations)
    }

    async fn registration(&self, app: app::Model) -> Result<Registration, DbErr> {
        let redirect_uris = app_redirect_uri::Entity::of_app(self.db.read(), app.id).await?;
        let login_domains = app_login_domain::Entity::of_app(self.db.read(), app.id).await?;
        let mail_domains = app_mail_domain::Entity::of_app(self.db.read(), app.id).await?;
        Ok(Registration { app, redirect_uris, login_domains, mail_domains })
    }

    /// Whether the origin belongs to any enabled app, so that its pages may read responses (CORS).
    pub async fn allows_origin(&self, origin: &Origin) -> Result<bool, DbErr> {
        app::Entity::owns_origin(self.db.read(), None, origin).await
    }

    /// The app of a sign-in, with its redirect URIs. Without an id, it is the app that owns the origin's domain.
    /// With an id, an origin that belongs neither to the app nor to this server is an error.
    pub(super) async fn resolve(
        &self,
        id: Option<AppId>,
        origin: &RequestOrigin,
    ) -> Result<app::WithRedirectUris, ResolveError> {
        let db = self.db.read();
        let Some(id) = id else {
            let domain = match origin {
                RequestOrigin::Web(origin) => origin.login_domain(),
                RequestOrigin::Absent | RequestOrigin::SameOrigin | RequestOrigin::Opaque => None,
            };
            let app = match domain {
                Some(domain) => app::Entity::find_enabled_by_login_domain(db, domain).await?,
                None => None,
            };
            return app.ok_or(ResolveError::NotNamed);
        };
        let app = app::Entity::find_enabled(db, id).await?.ok_or(ResolveError::Unknown)?;
        let trusted = match origin {
            RequestOrigin::Absent | RequestOrigin::SameOrigin => true,
            RequestOrigin::Web(origin) => app::Entity::owns_origin(db, Some(id), origin).await?,
            RequestOrigin::Opaque => false,
        };
        if trusted { Ok(app) } else { Err(ResolveError::ForeignOrigin) }
    }
}

async fn replace(db: &impl ConnectionTrait, registration: &Registration) -> Result<(), DbErr> {
    let Registration { app, redirect_uris, login_domains, mail_domains } = registration;
    if app::Entity::find_by_id(app.id).one(db).await?.is_some() {
        app.clone().into_active_model().reset_all().update(db).await?;
    } else {
        app::Entity::insert(app.clone().into_active_model()).exec_without_returning(db).await?;
    }
    app_redirect_uri::Entity::replace(db, app.id, redirect_uris).await?;
    app_login_domain::Entity::replace(db, app.id, login_domains).await?;
    app_mail_domain::Entity::replace(db, app.id, mail_domains).await?;
    if !app.enabled {
        session::Entity::end_of_app(db, app.id).await?;
    }
    Ok(())
}
