//! Signing in: e-mail and password become an authorization code in a redirect URL.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use super::{Identity, apps::Page, consent::Acceptance, password_hashing::HashError};
use crate::{
    db,
    domain::{
        authorization_code::AuthorizationCode, email::Email, id::AppId, network::Network, password::Password,
        pkce::CodeChallenge, redirect_uri::RedirectUri, state::State,
    },
    entity::{app, authorization_code, user},
    rate_limit::limiter::{Refusal, Reservation, Secret},
};

/// A request to sign in. Its form is right; whether it may succeed is another matter.
#[derive(Debug)]
pub struct SignIn {
    /// The app's client id, if it was said.
    pub app: Option<AppId>,
    /// The page that the request was sent from.
    pub page: Page,
    /// Who signs in.
    pub email: Email,
    /// What they know.
    pub password: Password,
    /// The client's own value, to come back with the code.
    pub state: State,
    /// Where the client wants the code sent to.
    pub redirect_uri: String,
    /// The challenge that the exchange will have to meet (RFC 7636).
    pub code_challenge: Option<CodeChallenge>,
    /// Whether the user accepts the app's privacy policy.
    pub accept_privacy_policy: bool,
    /// The network address that the request came from.
    pub address: Option<IpAddr>,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No app was said, and no page says it either.
    #[error("no app was named")]
    AppUnsaid,
    /// There is no enabled app of this id.
    #[error("the app is unknown or disabled")]
    AppUnknown,
    /// The page is neither the app's nor ours.
    #[error("the page does not belong to the app")]
    OriginUnknown,
    /// The app asks for a PKCE challenge, and none came.
    #[error("the app requires PKCE")]
    ChallengeMissing,
    /// The redirect URI is not registered for the app.
    #[error("the redirect URI is not registered")]
    RedirectUriUnregistered,
    /// The account and the password do not sign anybody in. The log says why, and the client is not told.
    #[error("the credentials were refused")]
    Credentials(CredentialsFault),
    /// There were too many failures before, on this account or from this network. The client is not told which.
    #[error("too many failures")]
    RateLimited {
        /// In how many seconds to come again. At least 1.
        retry_after_seconds: u64,
    },
    /// The app demands an acceptance of its privacy policy.
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
    /// The address has no account.
    UnknownAccount,
    /// The password is another one.
    WrongPassword,
    /// The password is right, and the account is disabled.
    Disabled,
    /// The password is right, and the address is not confirmed.
    Unconfirmed,
}

impl SignInError {
    /// The class of the reason, as the log names it. None if the server is to blame, which is logged elsewhere.
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::AppUnsaid | Self::AppUnknown => "app_unknown",
            Self::OriginUnknown => "origin_unknown",
            Self::ChallengeMissing => "code_challenge_missing",
            Self::RedirectUriUnregistered => "redirect_uri_unregistered",
            Self::Credentials(CredentialsFault::UnknownAccount) => "account_unknown",
            Self::Credentials(CredentialsFault::WrongPassword) => "password_wrong",
            Self::Credentials(CredentialsFault::Disabled) => "account_disabled",
            Self::Credentials(CredentialsFault::Unconfirmed) => "account_unconfirmed",
            Self::RateLimited { .. } => "rate_limited",
            Self::ConsentMissing => "policy_not_accepted",
            Self::Hash(_) | Self::Database(_) => return None,
        })
    }
}

impl From<Refusal> for SignInError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::RateLimited { retry_after_seconds } => Self::RateLimited { retry_after_seconds },
            Refusal::Database(error) => error.into(),
        }
    }
}

impl Identity {
    /// Signs a user in and answers the URL that takes them back to their app.
    ///
    /// The order is part of the contract: app, page, redirect URI, rate limit, hash, account, consent. What is refused before
    /// the hash takes no place in the queue before it. From the hash on, every refusal costs the same and reads the same,
    /// but for consent, of which only a client hears that sent the right password.
    ///
    /// A failed sign-in leaves a line in the log: the class of its reason and the client's address, never the address of the
    /// account.
    pub async fn sign_in(&self, request: SignIn, now: DateTime<Utc>) -> Result<String, SignInError> {
        let client = request.address;
        let signed_in = self.admit(request, now).await;
        if let Err(reason) = signed_in.as_ref().map_err(SignInError::reason)
            && let Some(reason) = reason
        {
            let client = client.map(|address| address.to_canonical().to_string());
            tracing::info!(reason, client, "sign-in failed");
        }
        signed_in
    }

    /// Refuses what can be refused without the password, then has it judged.
    async fn admit(&self, request: SignIn, now: DateTime<Utc>) -> Result<String, SignInError> {
        let from = Network::of(request.address);
        self.hashing.check_room(from)?;
        // Boxed to keep this future small while it waits for the hash.
        let (app, redirect_uris) = Box::pin(self.resolve_app(request.app, &request.page)).await?;
        if app.pkce_required && request.code_challenge.is_none() {
            return Err(SignInError::ChallengeMissing);
        }
        let redirect_uri = redirect_uris
            .iter()
            .find_map(|registered| registered.uri.answer(&request.redirect_uri))
            .ok_or(SignInError::RedirectUriUnregistered)?;

        let counts = self.settings.rate_limit.counts(&request.email, from);
        let attempt = Box::pin(self.limiter.check(Secret::Password, counts, now)).await?;
        let reservation = Box::pin(self.limiter.reserve(attempt)).await?;
        let judged = self.judge(request, &app, redirect_uri, &reservation, now).await;
        match &judged {
            // Its success was written with the code.
            Ok(_) => reservation.settled(),
            Err(SignInError::Credentials(_)) => reservation.fail().await?,
            // The password was not judged, or was right.
            Err(_) => reservation.release().await,
        }
        judged
    }

    /// Judges the password, and issues the code.
    async fn judge(
        &self,
        request: SignIn,
        app: &app::Model,
        redirect_uri: RedirectUri,
        reservation: &Reservation,
        now: DateTime<Utc>,
    ) -> Result<String, SignInError> {
        let from = Network::of(request.address);
        let user = self.authenticate(from, request.email, request.password).await?;
        let accepts = request.accept_privacy_policy.then_some(Acceptance { at: now, from: request.address });
        let acceptance = Box::pin(self.consent(accepts, app, &user)).await?;

        let code = AuthorizationCode::draw(&*self.random);
        let url = redirect_uri.url_with(&code, &request.state, app.id);
        let issued = authorization_code::Model {
            digest: code.digest(),
            app_id: app.id,
            user_id: user.id,
            redirect_uri,
            state: request.state,
            code_challenge: request.code_challenge,
            issued_at: now,
            expires_at: now + self.settings.code_life,
            redeemed_at: None,
        };
        Box::pin(self.issue(issued, acceptance, reservation)).await.map_err(|error| {
            match db::kind(&error) {
                // The account or the app was removed since it was looked up.
                db::ErrorKind::ForeignKeyViolation => {
                    SignInError::Credentials(CredentialsFault::UnknownAccount)
                }
                _ => error.into(),
            }
        })?;
        metrics::counter!(crate::metrics::CODES_ISSUED).increment(1);
        Ok(url)
    }

    /// The account whose password this is, if it may sign in. Every address costs one hash, whether it has an account or not.
    async fn authenticate(
        &self,
        from: Network,
        email: Email,
        password: Password,
    ) -> Result<user::Model, SignInError> {
        let account = Box::pin(user::Entity::find_by_address(self.db.read(), email)).await?;
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let right = self.hashing.verify(from, stored, password).await?;
        let fault = match account {
            None => CredentialsFault::UnknownAccount,
            Some(_) if !right => CredentialsFault::WrongPassword,
            Some(account) if account.may_sign_in() => return Ok(account),
            Some(account) if account.enabled => CredentialsFault::Unconfirmed,
            Some(_) => CredentialsFault::Disabled,
        };
        Err(SignInError::Credentials(fault))
    }
}
