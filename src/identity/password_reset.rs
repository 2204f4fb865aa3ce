//! Password resets: the link in a mail sets a new password.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    AccountParts,
    apps::{Apps, RequestOrigin, ResolveError},
    password_hashing::{HashError, PasswordHashing},
    password_policy::{PasswordPolicy, WeakPassword},
    sessions::Sessions,
};
use crate::{
    db::{self, Db},
    domain::{
        email::Email,
        id::{AppId, UserId},
        label::Label,
        language::Language,
        network::Network,
        password::{Password, PasswordHash},
        person::PersonName,
        rate_limit_key::RateLimitKey,
        secret_token::{ConfirmHash, ConfirmHashDigest},
    },
    entity::{
        audit_event::{self, Action},
        outgoing_mail, password_reset, rate_limit, session, user,
    },
    mail::{self, Content, Outbox},
    random::{self, RandomSource},
    rate_limit::{
        limiter::{self, LimitError, Limiter},
        policies::AccountLimits,
    },
};

/// Resets passwords (`updateUser`).
pub struct PasswordResets {
    db: Db,
    random: Arc<dyn RandomSource>,
    hashing: Arc<PasswordHashing>,
    policy: PasswordPolicy,
    apps: Apps,
    limiter: Limiter,
    limits: AccountLimits,
    sessions: Arc<Sessions>,
    outbox: Outbox,
}

/// A request for a link. Its values are well-formed.
#[derive(Debug)]
pub struct LinkRequest {
    /// The app's client id, if the request names one.
    pub app: Option<AppId>,
    /// The origin of the page that sent the request.
    pub origin: RequestOrigin,
    /// The address of the account.
    pub email: Email,
    /// The language of the mail.
    pub language: Language,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why [`PasswordResets::send_link`] failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No app for this id and origin.
    #[error(transparent)]
    App(#[from] ResolveError),
    /// Too many requests from this network.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// A request to set a new password by a link. Its values are well-formed.
#[derive(Debug)]
pub struct ResetRequest {
    /// The app's client id, if the request names one.
    pub app: Option<AppId>,
    /// The origin of the page that sent the request.
    pub origin: RequestOrigin,
    /// The address of the account, if the request names it.
    pub email: Option<Email>,
    /// The secret of the link.
    pub hash: ConfirmHash,
    /// The new password.
    pub password: Password,
    /// The language of the mail.
    pub language: Language,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why [`PasswordResets::reset`] set no password.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// No app for this id and origin.
    #[error(transparent)]
    App(#[from] ResolveError),
    /// The link is unknown, expired, used, or of another app or address, or its account is disabled. The client does not learn
    /// which.
    #[error("the link is invalid")]
    InvalidLink,
    /// The new password is weak.
    #[error("the password {0}")]
    Weak(#[from] WeakPassword),
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The changes of one request for a link.
struct Requesting {
    /// Of the account of the address, or of no account.
    user: UserId,
    password_version: i32,
    /// Whether mails reach the account.
    has_mailbox: bool,
    /// It is stored if the account is enabled.
    reset: password_reset::Model,
    /// To the address of the request. It is sent with a reset only.
    mail: outgoing_mail::Model,
    event: audit_event::Model,
}

/// The changes of one reset.
struct Resetting {
    digest: ConfirmHashDigest,
    user: UserId,
    email: Email,
    password_hash: PasswordHash,
    notice: Option<outgoing_mail::Model>,
    event: audit_event::Model,
    now: DateTime<Utc>,
}

impl PasswordResets {
    pub(super) fn new(parts: AccountParts, limits: AccountLimits) -> Self {
        let AccountParts { db, random, hashing, policy, sessions, outbox } = parts;
        let (apps, limiter) = (Apps::new(db.clone()), Limiter::new(db.clone()));
        Self { db, random, hashing, policy, apps, limiter, limits, sessions, outbox }
    }

    /// Mails a link that sets a new password, if the address has an enabled account with a mailbox. The client gets the same answer after the same
    /// time for every address.
    pub async fn send_link(&self, request: LinkRequest, now: DateTime<Utc>) -> Result<(), LinkError> {
        let LinkRequest { app, origin, email, language, address } = request;
        let (app, _) = Box::pin(self.apps.resolve(app, &origin)).await?;
        let count = self.limits.resets_from(Network::of(address));
        Box::pin(self.limiter.count(limiter::Action::RequestReset, count, now)).await?;
        let account = Box::pin(user::Entity::find_by_address(self.db.read(), email.clone())).await?;

        let hash = ConfirmHash::generate(&*self.random);
        let content = Content::Reset { page: app.account_page.as_ref(), hash: &hash };
        let mail = self.outbox.compose(&email, language, &app.name, content, now, &*self.random);
        let event =
            audit_event::Model::new(Action::ResetRequest, now, &*self.random).app(app.id).from(address);
        let event = match &account {
            Some(account) if !account.enabled => event.user(account.id).failed("account_disabled"),
            Some(account) if account.school_account => event.user(account.id).failed("school_account"),
            Some(account) => event.user(account.id),
            None => event.failed("account_unknown"),
        };
        let has_mailbox = account.as_ref().is_some_and(|account| account.mailbox().is_some());
        let (user, password_version) = match account {
            Some(account) => (account.id, account.password_version),
            None => (UserId::new(now, &*self.random), 0),
        };
        let reset = password_reset::Model {
            digest: hash.digest(),
            user_id: user,
            app_id: Some(app.id),
            created_at: now,
            expires_at: now + mail::RESET_LIFE,
        };
        let changes = Requesting { user, password_version, has_mailbox, reset, mail, event };
        let store = self.db.transaction(changes, |db, changes| Box::pin(store(db, changes)));
        match Box::pin(store).await {
            Ok(()) => {
                self.outbox.wake();
                Ok(())
            }
            // The account or the app was deleted since it was read.
            Err(error) if db::kind(&error) == db::ErrorKind::ForeignKeyViolation => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets a new password, confirms the address, and ends all sessions. Of concurrent requests with the same link, one succeeds.
    pub async fn reset(&self, request: ResetRequest, now: DateTime<Utc>) -> Result<(), ResetError> {
        let ResetRequest { app, origin, email, hash, password, language, address } = request;
        let network = Network::of(address);
        self.hashing.check_capacity(network)?;
        let (app, _) = Box::pin(self.apps.resolve(app, &origin)).await?;
        let digest = hash.digest();
        let found = Box::pin(password_reset::Entity::find_valid(self.db.read(), digest.clone(), now)).await?;
        let (_, account) = found
            .filter(|(reset, account)| {
                account.enabled
                    && reset.app_id.is_none_or(|of| of == app.id)
                    && email.as_ref().is_none_or(|email| *email == account.email)
            })
            .ok_or(ResetError::InvalidLink)?;
        self.policy.check(&password, password_context(&account, Some(&app.name))).await??;
        let salt = random::bytes(&*self.random);
        let password_hash = self.hashing.hash_from(network, password, salt).await?;

        let event = audit_event::Model::new(Action::PasswordReset, now, &*self.random);
        let event = event.user(account.id).app(app.id).from(address);
        let notice = account.mailbox().map(|to| {
            self.outbox.compose(to, language, &app.name, Content::PasswordChanged, now, &*self.random)
        });
        let user = account.id;
        let changes = Resetting { digest, user, email: account.email, password_hash, notice, event, now };
        let reset = self.db.transaction(changes, |db, changes| Box::pin(reset(db, changes)));
        match Box::pin(reset).await {
            Ok(true) => {}
            Ok(false) | Err(DbErr::RecordNotUpdated) => return Err(ResetError::InvalidLink),
            Err(error) => return Err(error.into()),
        }
        self.sessions.forget_user(user);
        self.outbox.wake();
        Ok(())
    }
}

/// Words that an attacker would try for a person: the address, the names, and the name of the app.
pub(super) fn password_context(account: &user::Model, app: Option<&Label>) -> Vec<String> {
    let names = account.first_name.iter().chain(&account.last_name).map(PersonName::as_str);
    let words = names.chain([account.email.as_str()]).chain(app.map(Label::as_str));
    words.map(str::to_owned).collect()
}

async fn store(db: &impl ConnectionTrait, changes: &Requesting) -> Result<(), DbErr> {
    let Requesting { user, password_version, has_mailbox, reset, mail, event } = changes;
    // First, so that no link is sent to an address that the account no longer has.
    let is_held = user::Entity::hold(db, *user, mail.recipient.clone(), *password_version).await?;
    if is_held && *has_mailbox {
        // A reset is useless without its mail.
        if Outbox::enqueue(db, mail.clone()).await? {
            password_reset::Entity::store(db, reset.clone()).await?;
        }
    } else {
        // As many statements as above, of which each may be a round trip to another machine.
        Outbox::pretend(db, &mail.recipient, mail.created_at).await?;
        db::round_trip(db).await?;
    }
    audit_event::Entity::record(db, event.clone()).await
}

async fn reset(db: &impl ConnectionTrait, changes: &Resetting) -> Result<bool, DbErr> {
    let Resetting { digest, user, email, password_hash, notice, event, now } = changes;
    let (user, now) = (*user, *now);
    // The account comes first, so that only one reset of it reaches the next statement at a time. Otherwise the link of a concurrent
    // request could let a used one pass.
    if !user::Entity::reset_password(db, user, password_hash.clone(), now).await? {
        return Ok(false);
    }
    if !password_reset::Entity::complete(db, user, digest.clone(), now).await? {
        // An error, so that the password is not set either.
        return Err(DbErr::RecordNotUpdated);
    }
    session::Entity::end_of_user(db, user).await?;
    audit_event::Entity::record(db, event.clone()).await?;
    if let Some(notice) = notice {
        Outbox::enqueue(db, notice.clone()).await?;
    }
    // Last, because concurrent attempts to sign in may wait for these rows.
    rate_limit::Entity::forget(db, RateLimitKey::all_of(email)).await?;
    Ok(true)
}
