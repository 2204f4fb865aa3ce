//! Sign-in: an e-mail address and a password become an authorization code inside a redirect URL.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;

use super::{
    apps::{Apps, RequestOrigin, ResolveError},
    consent::{self, Acceptance, Consent},
    password_hashing::{HashError, PasswordHashing},
};
use crate::{
    db::{self, Db},
    domain::{
        email::Email, id::AppId, network::Network, password::Password, pkce::CodeChallenge,
        redirect_uri::RedirectUri, retry_after::RetryAfter, secret_token::AuthorizationCode, state::State,
    },
    entity::{app, authorization_code, policy_acceptance, user},
    random::RandomSource,
    rate_limit::{
        limiter::{Action, LimitError, Limiter, Reservation},
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
    hashing: PasswordHashing,
    apps: Apps,
    limiter: Limiter,
    limits: PasswordLimits,
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
    #[error("too many failures")]
    RateLimited(RetryAfter),
    /// The app demands its privacy policy, which the user has not accepted.
    #[error("the privacy policy was not accepted")]
    ConsentMissing,
    /// The password could not be verified.
    #[error("the password could not be verified")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Why credentials were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsFault {
    /// No account has the address.
    UnknownAccount,
    /// The password is wrong.
    WrongPassword,
    /// The password is right, and the account is disabled.
    Disabled,
    /// The password is right, and the address is not confirmed.
    Unconfirmed,
}

impl SignInError {
    /// The reason as the log names it. `None` for a failure of the server, which is logged elsewhere.
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::App(ResolveError::NotNamed | ResolveError::Unknown) => "app_unknown",
            Self::App(ResolveError::ForeignOrigin) => "origin_unknown",
            Self::ChallengeMissing => "code_challenge_missing",
            Self::RedirectUriUnregistered => "redirect_uri_unregistered",
            Self::Credentials(CredentialsFault::UnknownAccount) => "account_unknown",
            Self::Credentials(CredentialsFault::WrongPassword) => "password_wrong",
            Self::Credentials(CredentialsFault::Disabled) => "account_disabled",
            Self::Credentials(CredentialsFault::Unconfirmed) => "account_unconfirmed",
            Self::RateLimited { .. } => "rate_limited",
            Self::ConsentMissing => "policy_not_accepted",
            Self::App(ResolveError::Database(_)) | Self::Hash(_) | Self::Database(_) => return None,
        })
    }
}

impl From<LimitError> for SignInError {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::RateLimited(retry_after) => Self::RateLimited(retry_after),
            LimitError::Database(error) => error.into(),
        }
    }
}

impl SignIn {
    pub(super) fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        hashing: PasswordHashing,
        limits: PasswordLimits,
        code_life: TimeDelta,
    ) -> Self {
        let (apps, limiter) = (Apps::new(db.clone()), Limiter::new(db.clone()));
        Self { db, random, hashing, apps, limiter, limits, code_life }
    }

    /// Checks the credentials, issues a code, and returns the redirect URL.
    ///
    /// The order of the checks is part of the contract: app, origin, redirect URI, rate limit, hash, account, consent. A
    /// request that fails before the hash takes no permit of the hash queue. From the hash on, every failure costs the same
    /// and reads the same. The exception is consent, which only a client with the right password learns of.
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
        let network = Network::of(request.address);
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
            Err(SignInError::Credentials(_)) => reservation.commit().await?,
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
        let user = self.authenticate(network, request.email, request.password).await?;
        let acceptance =
            request.accept_privacy_policy.then_some(Acceptance { at: now, from: request.address });
        let acceptance = match Box::pin(consent::check(self.db.read(), acceptance, app, &user)).await? {
            Consent::NotNeeded => None,
            Consent::Given(acceptance) => Some(acceptance),
            Consent::Missing => return Err(SignInError::ConsentMissing),
        };
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
        Box::pin(self.store(issued, acceptance, reservation)).await.map_err(|error| {
            match db::kind(&error) {
                // The account or the app was deleted since it was read.
                db::ErrorKind::ForeignKeyViolation => {
                    SignInError::Credentials(CredentialsFault::UnknownAccount)
                }
                _ => error.into(),
            }
        })?;
        metrics::counter!(crate::metrics::CODES_ISSUED).increment(1);
        Ok(url)
    }

    /// The account with these credentials. Every address costs one hash, with or without an account.
    async fn authenticate(
        &self,
        network: Network,
        email: Email,
        password: Password,
    ) -> Result<user::Model, SignInError> {
        let account = Box::pin(user::Entity::find_by_address(self.db.read(), email)).await?;
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let matches = self.hashing.verify(network, stored, password).await?;
        let fault = match account {
            None => CredentialsFault::UnknownAccount,
            Some(_) if !matches => CredentialsFault::WrongPassword,
            Some(account) if account.may_sign_in() => return Ok(account),
            Some(account) if account.enabled => CredentialsFault::Unconfirmed,
            Some(_) => CredentialsFault::Disabled,
        };
        Err(SignInError::Credentials(fault))
    }

    /// Stores the code, the acceptance and the success of the attempt in one transaction.
    async fn store(
        &self,
        code: authorization_code::Model,
        acceptance: Option<policy_acceptance::Model>,
        reservation: &Reservation,
    ) -> Result<(), DbErr> {
        let job = (code, acceptance, reservation.success());
        let store = self.db.transaction(job, |db, (code, acceptance, success)| {
            Box::pin(async move {
                authorization_code::Entity::store(db, code.clone()).await?;
                authorization_code::Entity::keep_newest(db, code.user_id, MAX_UNREDEEMED_CODES).await?;
                if let Some(acceptance) = acceptance {
                    policy_acceptance::Entity::record(db, acceptance.clone()).await?;
                }
                // Last, because concurrent attempts may wait for these rows.
                success.record(db).await
            })
        });
        store.await
    }
}
