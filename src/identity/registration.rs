//! Registration: an address and a password become an account once the link in a mail is used.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    AccountParts,
    apps::{Apps, RequestOrigin, ResolveError},
    password_hashing::{HashError, PasswordHashing},
    password_policy::{PasswordPolicy, WeakPassword},
};
use crate::{
    db::{self, Db},
    domain::{
        email::Email,
        id::{AppId, UserId},
        language::Language,
        mail_domain::MailDomain,
        network::Network,
        password::{Password, PasswordHash},
        person::PhoneNumber,
        rate_limit_key::RateLimitKey,
        secret_token::ConfirmHash,
    },
    entity::{
        app, app_mail_domain,
        audit_event::{self, Action},
        outgoing_mail, policy_acceptance, rate_limit, registration, user,
    },
    mail::{self, Content, Outbox},
    random::{self, RandomSource},
    rate_limit::{
        limiter::{self, LimitError, Limiter},
        policies::AccountLimits,
    },
};

/// Registers people (`createUser`), and confirms their addresses (`confirmUser`).
pub struct Registrations {
    db: Db,
    random: Arc<dyn RandomSource>,
    hashing: Arc<PasswordHashing>,
    policy: PasswordPolicy,
    apps: Apps,
    limiter: Limiter,
    limits: AccountLimits,
    outbox: Outbox,
    student_domain: Option<MailDomain>,
}

/// A request to register. Its values are well-formed.
#[derive(Debug)]
pub struct RegisterRequest {
    /// The app's client id, if the request names one.
    pub app: Option<AppId>,
    /// The origin of the page that sent the request.
    pub origin: RequestOrigin,
    /// The address.
    pub email: Email,
    /// The password.
    pub password: Password,
    /// The phone number, if the person gives one.
    pub phone_number: Option<PhoneNumber>,
    /// The language of the mails.
    pub language: Language,
    /// Whether the person accepts the app's privacy policy.
    pub accept_privacy_policy: bool,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why [`Registrations::register`] registered nobody.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// No app for this id and origin.
    #[error(transparent)]
    App(#[from] ResolveError),
    /// Nobody may register in the app.
    #[error("the app accepts no registrations")]
    Closed,
    /// The app accepts addresses of other mail domains only, or the domain is that of user names.
    #[error("the app accepts no addresses of this mail domain")]
    DomainNotAllowed,
    /// The password is weak.
    #[error("the password {0}")]
    Weak(#[from] WeakPassword),
    /// Too many registrations from this network.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// A request to confirm an address. Its values are well-formed.
#[derive(Debug)]
pub struct ConfirmRequest {
    /// The app's client id, if the request names one.
    pub app: Option<AppId>,
    /// The origin of the page that sent the request.
    pub origin: RequestOrigin,
    /// The secret of the link.
    pub hash: ConfirmHash,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why [`Registrations::confirm`] confirmed no address.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// No app for this id and origin.
    #[error(transparent)]
    App(#[from] ResolveError),
    /// The link is unknown, expired, used, of another app, or its address has an account by now. The client does not learn which.
    #[error("the link is invalid")]
    InvalidLink,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The changes of one registration.
struct Registering {
    /// None if the address has an account.
    registration: Option<registration::Model>,
    /// Whether mails reach the address, as far as the server knows.
    has_mailbox: bool,
    mail: outgoing_mail::Model,
    event: audit_event::Model,
}

/// The changes of one confirmation.
struct Confirming {
    registration: registration::Model,
    account: user::Model,
    acceptance: Option<policy_acceptance::Model>,
    event: audit_event::Model,
    now: DateTime<Utc>,
}

impl Registrations {
    pub(super) fn new(
        parts: AccountParts,
        limits: AccountLimits,
        student_domain: Option<MailDomain>,
    ) -> Self {
        let AccountParts { db, random, hashing, policy, sessions: _, outbox } = parts;
        let (apps, limiter) = (Apps::new(db.clone()), Limiter::new(db.clone()));
        Self { db, random, hashing, policy, apps, limiter, limits, outbox, student_domain }
    }

    /// Registers a person, and mails a link that confirms the address. Returns the future account.
    ///
    /// An address with an account gets a mail that says so, and the client gets the same answer after the same time.
    pub async fn register(
        &self,
        request: RegisterRequest,
        now: DateTime<Utc>,
    ) -> Result<user::Model, RegisterError> {
        let network = Network::of(request.address);
        self.hashing.check_capacity(network)?;
        let (app, _) = Box::pin(self.apps.resolve(request.app, &request.origin)).await?;
        Box::pin(self.admit(&app, &request.email)).await?;
        // Before the password is estimated, so that a network cannot ask for any number of estimates.
        let count = self.limits.registrations_from(network);
        Box::pin(self.limiter.count(limiter::Action::Register, count, now)).await?;
        let words = [request.email.as_str(), app.name.as_str()].map(str::to_owned).to_vec();
        self.policy.check(&request.password, words).await??;

        let existing = user::Entity::find_by_address(self.db.read(), request.email.clone());
        let existing = Box::pin(existing).await?;
        let salt = random::bytes(&*self.random);
        let RegisterRequest {
            email, password, phone_number, language, accept_privacy_policy, address, ..
        } = request;
        let password_hash = self.hashing.hash_from(network, password, salt).await?;

        let hash = ConfirmHash::generate(&*self.random);
        let registration = registration::Model {
            digest: hash.digest(),
            user_id: UserId::new(now, &*self.random),
            app_id: app.id,
            email,
            password_hash,
            phone_number,
            language,
            accepted_policy_version: app.policy_version.clone().filter(|_| accept_privacy_policy),
            address: address.map_or_else(String::new, |address| address.to_canonical().to_string()),
            created_at: now,
            expires_at: now + mail::CONFIRM_LIFE,
        };
        let content = match existing {
            Some(_) => Content::AlreadyRegistered,
            None => Content::Confirm { page: app.account_page.as_ref(), hash: &hash },
        };
        let event = audit_event::Model::new(Action::Register, now, &*self.random).app(app.id).from(address);
        let event = match &existing {
            Some(account) => event.user(account.id).failed("address_taken"),
            None => event.user(registration.user_id),
        };
        let future = account(&registration);
        let mail = self.outbox.compose(&registration.email, language, &app.name, content, now, &*self.random);
        let has_mailbox = existing.as_ref().is_none_or(|account| account.mailbox().is_some());
        let registration = existing.is_none().then_some(registration);
        let changes = Registering { registration, has_mailbox, mail, event };
        let store = self.db.transaction(changes, |db, changes| Box::pin(store(db, changes)));
        Box::pin(store).await.map_err(|error| match db::kind(&error) {
            // The app was deleted since it was read.
            db::ErrorKind::ForeignKeyViolation => RegisterError::App(ResolveError::Unknown),
            _ => error.into(),
        })?;
        self.outbox.wake();
        Ok(future)
    }

    /// Whether an address may register in an app.
    async fn admit(&self, app: &app::Model, email: &Email) -> Result<(), RegisterError> {
        if !app.registration_open {
            return Err(RegisterError::Closed);
        }
        let domain = MailDomain::of(email);
        if self.student_domain.as_ref() == Some(&domain) {
            return Err(RegisterError::DomainNotAllowed);
        }
        let domains = app_mail_domain::Entity::of_app(self.db.read(), app.id).await?;
        if domains.is_empty() || domains.contains(&domain) {
            Ok(())
        } else {
            Err(RegisterError::DomainNotAllowed)
        }
    }

    /// Confirms the address of a registration, which creates the account. Of concurrent requests with the same link, one succeeds.
    pub async fn confirm(
        &self,
        request: ConfirmRequest,
        now: DateTime<Utc>,
    ) -> Result<user::Model, ConfirmError> {
        let (app, _) = Box::pin(self.apps.resolve(request.app, &request.origin)).await?;
        let found = registration::Entity::find_valid(self.db.read(), request.hash.digest(), now);
        let registration = Box::pin(found).await?.filter(|registration| registration.app_id == app.id);
        let registration = registration.ok_or(ConfirmError::InvalidLink)?;
        let account = user::Model { email_verified_at: Some(now), ..account(&registration) };
        let event = audit_event::Model::new(Action::Confirm, now, &*self.random);
        let event = event.user(account.id).app(app.id).from(request.address);
        let acceptance =
            registration.accepted_policy_version.clone().map(|policy_version| policy_acceptance::Model {
                user_id: account.id,
                app_id: app.id,
                policy_version,
                accepted_at: registration.created_at,
                address: registration.address.clone(),
            });
        let changes = Confirming { registration, account: account.clone(), acceptance, event, now };
        let create = self.db.transaction(changes, |db, changes| Box::pin(create(db, changes)));
        match Box::pin(create).await {
            Ok(true) => Ok(account),
            Ok(false) => Err(ConfirmError::InvalidLink),
            Err(error) => match db::kind(&error) {
                // The address got an account by another link.
                db::ErrorKind::UniqueViolation => Err(ConfirmError::InvalidLink),
                // The app was deleted since it was read.
                db::ErrorKind::ForeignKeyViolation => Err(ConfirmError::App(ResolveError::Unknown)),
                _ => Err(error.into()),
            },
        }
    }
}

/// The account that a registration becomes. Its address is not confirmed.
fn account(registration: &registration::Model) -> user::Model {
    let registration::Model { user_id, email, password_hash, phone_number, language, created_at, .. } =
        registration;
    let password_hash: PasswordHash = password_hash.clone();
    user::Model {
        email_verified_at: None,
        phone_number: phone_number.clone(),
        language: *language,
        ..user::Model::new(*user_id, email.clone(), password_hash, *created_at)
    }
}

async fn store(db: &impl ConnectionTrait, changes: &Registering) -> Result<(), DbErr> {
    let Registering { registration, has_mailbox, mail, event } = changes;
    if !has_mailbox {
        // As many statements as for another known address.
        Outbox::pretend(db, &mail.recipient, mail.created_at).await?;
        db::round_trip(db).await?;
        return audit_event::Entity::record(db, event.clone()).await;
    }
    // A registration is useless without its mail.
    if Outbox::enqueue(db, mail.clone()).await? {
        match registration {
            Some(registration) => registration::Entity::store(db, registration.clone()).await?,
            // So that a known address takes as long as an unknown one.
            None => db::round_trip(db).await?,
        }
    }
    audit_event::Entity::record(db, event.clone()).await
}

async fn create(db: &impl ConnectionTrait, changes: &Confirming) -> Result<bool, DbErr> {
    let Confirming { registration, account, acceptance, event, now } = changes;
    if !registration::Entity::complete(db, &account.email, registration.digest.clone(), *now).await? {
        return Ok(false);
    }
    user::Entity::create(db, account.clone()).await?;
    if let Some(acceptance) = acceptance {
        policy_acceptance::Entity::record(db, acceptance.clone()).await?;
    }
    audit_event::Entity::record(db, event.clone()).await?;
    // Last, because concurrent attempts to sign in may wait for these rows.
    rate_limit::Entity::forget(db, RateLimitKey::all_of(&account.email)).await?;
    Ok(true)
}
