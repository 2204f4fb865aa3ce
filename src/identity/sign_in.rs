//! Sign-in: an e-mail address and a password become an authorization code inside a redirect URL.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr};

pub use super::initial_password::NewPasswordError;
use super::{
    AccountParts,
    apps::{Apps, RequestOrigin, ResolveError},
    consent::{self, Acceptance, Consent},
    initial_password::{Context, InitialPasswords, NewPassword, Replacement},
    password_hashing::{HashError, PasswordHashing},
    rehash::replace_hash,
    sessions::Sessions,
};
use crate::{
    db::{self, Db},
    domain::{
        email::Email,
        id::{AppId, UserId},
        network::Network,
        password::Password,
        pkce::CodeChallenge,
        redirect_uri::RedirectUri,
        secret_token::AuthorizationCode,
        state::State,
    },
    entity::{app, audit_event, authorization_code, policy_acceptance, user},
    mail::Outbox,
    random::RandomSource,
    rate_limit::{
        limiter::{Action, LimitError, Limiter, Reservation, Success},
        policies::PasswordLimits,
    },
};

/// Upper bound on the unredeemed codes of one account. A class may share an account, so the bound is generous. It keeps a
/// client that signs in repeatedly from filling the table.
const MAX_UNREDEEMED_CODES: u64 = 100;

/// Issues authorization codes (`createCode`).
pub struct SignIn {
    db: Db,
    random: Arc<dyn RandomSource>,
    hashing: Arc<PasswordHashing>,
    apps: Apps,
    limiter: Limiter,
    limits: PasswordLimits,
    initial_passwords: InitialPasswords,
    sessions: Arc<Sessions>,
    outbox: Outbox,
    code_life: TimeDelta,
}

/// A request to sign in. Its values are well-formed.
#[derive(Debug)]
pub struct SignInRequest {
    /// The app's client id, if the request names one.
    pub app: Option<AppId>,
    /// The origin of the page that sent the request.
    pub origin: RequestOrigin,
    /// The account's address.
    pub email: Email,
    /// The account's password.
    pub password: Password,
    /// The password that replaces an initial one.
    pub new_password: Option<Password>,
    /// The client's value that the redirect URL repeats (RFC 6749 section 4.1.1).
    pub state: State,
    /// The redirect URI as the client wrote it.
    pub redirect_uri: String,
    /// The challenge that the exchange has to meet (RFC 7636).
    pub code_challenge: Option<CodeChallenge>,
    /// Whether the user accepts the app's privacy policy.
    pub accept_privacy_policy: bool,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why [`SignIn::issue_code`] issued no code.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No app for this id and origin.
    #[error(transparent)]
    App(#[from] ResolveError),
    /// The app requires PKCE, and the request has no challenge.
    #[error("the app requires PKCE")]
    ChallengeMissing,
    /// The redirect URI is not registered for the app.
    #[error("the redirect URI is not registered")]
    RedirectUriUnregistered,
    /// The credentials are wrong, or the account may not sign in. Only the log has the reason.
    #[error("the credentials were refused")]
    Credentials(CredentialsFault),
    /// Too many failures before, of this account or from this network.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The app demands its privacy policy, which the user has not accepted.
    #[error("the privacy policy was not accepted")]
    ConsentMissing,
    /// The password is right, and the new one is missing or refused.
    #[error(transparent)]
    NewPassword(#[from] NewPasswordError),
    /// The password could not be verified.
    #[error("the password could not be verified")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The changes of one sign-in.
struct Issuing {
    code: authorization_code::Model,
    /// The account, as it was when its password was verified.
    account: user::Model,
    replacement: Option<Replacement>,
    acceptance: Option<policy_acceptance::Model>,
    event: audit_event::Model,
    success: Success,
}

/// Why credentials were refused, and for which account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsFault {
    /// No account has the address.
    UnknownAccount,
    /// The password is wrong.
    WrongPassword(UserId),
    /// The password is right, and the account is disabled.
    Disabled(UserId),
    /// The password is right, and the address is not confirmed.
    Unconfirmed(UserId),
    /// The account was changed while the password was verified: it has another password, or may not sign in any more.
    Changed(UserId),
}

impl CredentialsFault {
    /// The reason as the log and the audit trail name it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::UnknownAccount => "account_unknown",
            Self::WrongPassword(_) => "password_wrong",
            Self::Disabled(_) => "account_disabled",
            Self::Unconfirmed(_) => "account_unconfirmed",
            Self::Changed(_) => "account_changed",
        }
    }

    fn user(self) -> Option<UserId> {
        match self {
            Self::UnknownAccount => None,
            Self::WrongPassword(user)
            | Self::Disabled(user)
            | Self::Unconfirmed(user)
            | Self::Changed(user) => Some(user),
        }
    }
}

impl SignInError {
    /// The reason as the log names it. `None` for a failure of the server, which is logged elsewhere.
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::App(ResolveError::NotNamed | ResolveError::Unknown) => "app_unknown",
            Self::App(ResolveError::ForeignOrigin) => "origin_unknown",
            Self::ChallengeMissing => "code_challenge_missing",
            Self::RedirectUriUnregistered => "redirect_uri_unregistered",
            Self::Credentials(fault) => fault.reason(),
            Self::Limit(LimitError::RateLimited(_)) => "rate_limited",
            Self::ConsentMissing => "policy_not_accepted",
            Self::NewPassword(NewPasswordError::Missing) => "new_password_missing",
            Self::NewPassword(NewPasswordError::Unexpected) => "new_password_unexpected",
            Self::NewPassword(NewPasswordError::Unchanged | NewPasswordError::Weak(_)) => "new_password_weak",
            Self::App(ResolveError::Database(_))
            | Self::Limit(LimitError::Database(_))
            | Self::NewPassword(NewPasswordError::Hash(_))
            | Self::Hash(_)
            | Self::Database(_) => return None,
        })
    }
}

impl SignIn {
    pub(super) fn new(
        parts: AccountParts,
        limits: PasswordLimits,
        code_life: TimeDelta,
        keep_initial_passwords: bool,
    ) -> Self {
        let initial_passwords = InitialPasswords::new(parts.clone(), keep_initial_passwords);
        let AccountParts { db, random, hashing, policy: _, sessions, outbox } = parts;
        let (apps, limiter) = (Apps::new(db.clone()), Limiter::new(db.clone()));
        Self { db, random, hashing, apps, limiter, limits, initial_passwords, sessions, outbox, code_life }
    }

    /// Checks the credentials, issues a code, and returns the redirect URL.
    ///
    /// The order of the checks is part of the contract: app, origin, redirect URI, rate limit, hash, account, consent, new
    /// password. A request that fails before the hash takes no permit of the hash queue. From the hash on, every failure costs
    /// the same and reads the same. The exceptions are consent and the new password, of which only a client with the right
    /// password learns.
    ///
    /// A failed sign-in is logged with its reason and the client's address, never with the account's address.
    pub async fn issue_code(
        &self,
        request: SignInRequest,
        now: DateTime<Utc>,
    ) -> Result<String, SignInError> {
        let client = request.address;
        let result = self.check_and_issue(request, now).await;
        if let Err(error) = &result
            && let Some(reason) = error.reason()
        {
            let client = client.map(|address| address.to_canonical().to_string());
            tracing::info!(reason, client, "sign-in failed");
        }
        result
    }

    async fn check_and_issue(
        &self,
        request: SignInRequest,
        now: DateTime<Utc>,
    ) -> Result<String, SignInError> {
        let address = request.address;
        let network = Network::of(address);
        self.hashing.check_capacity(network)?;
        // Boxed to keep this future small while it waits for the hash.
        let (app, redirect_uris) = Box::pin(self.apps.resolve(request.app, &request.origin)).await?;
        if app.pkce_required && request.code_challenge.is_none() {
            return Err(SignInError::ChallengeMissing);
        }
        let redirect_uri = redirect_uris
            .iter()
            .find_map(|registered| registered.uri.matching(&request.redirect_uri))
            .ok_or(SignInError::RedirectUriUnregistered)?;

        let counts = self.limits.counts(&request.email, network);
        let attempt = Box::pin(self.limiter.check(Action::SignIn, counts, now)).await?;
        let reservation = Box::pin(self.limiter.reserve(attempt)).await?;
        let result = self.authenticate_and_issue(request, &app, redirect_uri, &reservation, now).await;
        match &result {
            // The success was written together with the code.
            Ok(_) => reservation.succeeded(),
            Err(SignInError::Credentials(fault)) => {
                // Every refusal writes the same rows, so that its time does not show the reason.
                let event = self.event(fault.user(), app.id, address, now).failed(fault.reason());
                reservation.commit_with(event).await?;
            }
            // The password was not verified, or was right.
            Err(_) => reservation.release().await,
        }
        result
    }

    async fn authenticate_and_issue(
        &self,
        request: SignInRequest,
        app: &app::Model,
        redirect_uri: RedirectUri,
        reservation: &Reservation,
        now: DateTime<Utc>,
    ) -> Result<String, SignInError> {
        let network = Network::of(request.address);
        let new_password = request.new_password.map(|password| {
            let is_old = password.expose() == request.password.expose();
            NewPassword { password, is_old }
        });
        let (user, outdated) = self.authenticate(network, request.email, request.password).await?;
        let acceptance =
            request.accept_privacy_policy.then_some(Acceptance { at: now, from: request.address });
        let acceptance = match Box::pin(consent::check(self.db.read(), acceptance, app, &user)).await? {
            Consent::NotNeeded => None,
            Consent::Given(acceptance) => Some(acceptance),
            Consent::Missing => return Err(SignInError::ConsentMissing),
        };
        let context = Context { app, address: request.address, now };
        let replacement = self.initial_passwords.replacement(&user, new_password, context);
        let replacement = Box::pin(replacement).await?;
        let is_replaced = replacement.is_some();
        let code = AuthorizationCode::generate(&*self.random);
        let url = redirect_uri.url_with(&code, &request.state, app.id);
        let issued = authorization_code::Model {
            digest: code.digest(),
            app_id: app.id,
            user_id: user.id,
            redirect_uri,
            state: request.state,
            code_challenge: request.code_challenge,
            issued_at: now,
            expires_at: now + self.code_life,
            redeemed_at: None,
            session_id: None,
        };
        let event = self.event(Some(user.id), app.id, request.address, now);
        let success = reservation.success();
        let issuing =
            Issuing { code: issued, account: user.clone(), replacement, acceptance, event, success };
        let stored = self.db.transaction(issuing, |db, issuing| Box::pin(store(db, issuing)));
        let fault = match Box::pin(stored).await {
            Ok(true) => None,
            Ok(false) | Err(DbErr::RecordNotUpdated) => Some(CredentialsFault::Changed(user.id)),
            // The app was deleted since it was read.
            Err(error) if db::kind(&error) == db::ErrorKind::ForeignKeyViolation => {
                Some(CredentialsFault::UnknownAccount)
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(fault) = fault {
            return Err(SignInError::Credentials(fault));
        }
        metrics::counter!(crate::metrics::CODES_ISSUED).increment(1);
        if is_replaced {
            self.sessions.forget_user(user.id);
            self.outbox.wake();
        } else if let Some(password) = outdated {
            replace_hash(&self.db, &self.hashing, &*self.random, &user, password);
        }
        Ok(url)
    }

    /// A sign-in for the audit trail.
    fn event(
        &self,
        user: Option<UserId>,
        app: AppId,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> audit_event::Model {
        let event = audit_event::Model::new(audit_event::Action::SignIn, now, &*self.random);
        audit_event::Model { user_id: user, ..event.app(app).from(address) }
    }

    /// The account with these credentials. Every address costs one hash, with or without an account. If the stored hash is outdated,
    /// also returns the password.
    async fn authenticate(
        &self,
        network: Network,
        email: Email,
        password: Password,
    ) -> Result<(user::Model, Option<Password>), SignInError> {
        let account = Box::pin(user::Entity::find_by_address(self.db.read(), email)).await?;
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let outdated = stored.as_ref().filter(|stored| self.hashing.is_outdated(stored));
        let outdated = outdated.map(|_| password.clone());
        let matches = self.hashing.verify(network, stored, password).await?;
        let fault = match account {
            None => CredentialsFault::UnknownAccount,
            Some(account) if !matches => CredentialsFault::WrongPassword(account.id),
            Some(account) if account.may_sign_in() => return Ok((account, outdated)),
            Some(account) if account.enabled => CredentialsFault::Unconfirmed(account.id),
            Some(account) => CredentialsFault::Disabled(account.id),
        };
        Err(SignInError::Credentials(fault))
    }
}

/// Stores a code and what belongs to it. Returns whether it did: not if the account was changed since the password was verified.
async fn store(db: &impl ConnectionTrait, issuing: &Issuing) -> Result<bool, DbErr> {
    let Issuing { code, account, replacement, acceptance, event, success } = issuing;
    let user::Model { id, email, password_version, .. } = account;
    let mut version = *password_version;
    if let Some(replacement) = replacement {
        if !replacement.store(db, account).await? {
            return Ok(false);
        }
        version += 1;
    }
    // Before the code, so that a change of the password deletes this code, or is seen here.
    if !user::Entity::hold(db, *id, email.clone(), version).await? {
        // An error after a replacement, so that the password is not replaced either.
        return if replacement.is_some() { Err(DbErr::RecordNotUpdated) } else { Ok(false) };
    }
    authorization_code::Entity::store(db, code.clone()).await?;
    authorization_code::Entity::keep_newest(db, code.user_id, MAX_UNREDEEMED_CODES).await?;
    if let Some(acceptance) = acceptance {
        policy_acceptance::Entity::record(db, acceptance.clone()).await?;
    }
    audit_event::Entity::record(db, event.clone()).await?;
    // Last, because concurrent attempts may wait for these rows.
    success.record(db).await?;
    Ok(true)
}
