//! Signing in: e-mail and password become an authorization code in a redirect URL.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{
    Identity,
    apps::Page,
    consent::Acceptance,
    password_hashing::{HashError, Place},
};
use crate::{
    domain::{
        authorization_code::AuthorizationCode, email::Email, password::Password, pkce::CodeChallenge,
        redirect_uri::RedirectUri, state::State,
    },
    entity::{app, authorization_code, user},
    store,
    throttle::{Refusal, passwords::Charge},
};

/// A request to sign in. Its form is right; whether it may succeed is another matter.
#[derive(Debug)]
pub struct SignIn {
    /// The app's client id, if it was said.
    pub app: Option<Uuid>,
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
    /// Unknown address, wrong password, unconfirmed or disabled account: nobody is told which.
    #[error("the credentials were refused")]
    Credentials,
    /// There were too many failures before, on this account or from this network: nobody is told which.
    #[error("too many failures")]
    Throttled {
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
    Store(#[from] DbErr),
}

impl From<Refusal> for SignInError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Throttled { retry_after_seconds } => Self::Throttled { retry_after_seconds },
            Refusal::Store(error) => error.into(),
        }
    }
}

impl Identity {
    /// Signs somebody in and answers the URL that takes them back to their app.
    ///
    /// The order is part of the contract: app, page, redirect URI, throttle, hash, account, consent. From the hash on,
    /// every refusal costs the same and reads the same, but for consent, which is only spoken of to who proved the
    /// password. A place before the hash comes before all of them: who is sent away there has cost the database nothing,
    /// and has spent no attempt.
    ///
    /// What asks the database is in a box: it is over soon, and hundreds may wait for their hash, for whom it would hold
    /// room.
    pub async fn sign_in(&self, request: SignIn, now: DateTime<Utc>) -> Result<String, SignInError> {
        let place = self.hashing.reserve()?;
        let (app, redirect_uris) = Box::pin(self.resolve_app(request.app, &request.page)).await?;
        if app.pkce_required && request.code_challenge.is_none() {
            return Err(SignInError::ChallengeMissing);
        }
        let redirect_uri = redirect_uris
            .iter()
            .find_map(|registered| registered.uri.answer(&request.redirect_uri))
            .ok_or(SignInError::RedirectUriUnregistered)?;

        let throttle = &self.settings.throttle;
        let patience = self.hashing.patience();
        let charge = throttle.charge(&self.store, &request.email, request.address, patience, now);
        let mut charge = Box::pin(charge).await?;
        let admitted = self.admit(place, request, &app, redirect_uri, &mut charge, now).await;
        match &admitted {
            // With the code its success was written.
            Ok(_) | Err(SignInError::Credentials) => charge.judge(),
            // It was no guess.
            Err(_) => charge.give_back().await,
        }
        admitted
    }

    /// Judges an attempt that was charged, and issues the code.
    async fn admit(
        &self,
        place: Place<'_>,
        request: SignIn,
        app: &app::Model,
        redirect_uri: RedirectUri,
        charge: &mut Charge,
        now: DateTime<Utc>,
    ) -> Result<String, SignInError> {
        let user = self.authenticate(place, request.email, request.password).await?;
        let accepts = request.accept_privacy_policy.then_some(Acceptance { at: now, from: request.address });
        let acceptance = Box::pin(self.consent(accepts, app, &user)).await?;

        let code = AuthorizationCode::draw(&*self.entropy);
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
        // Whoever hangs up meanwhile has no failure to their name, be the code stored or not.
        Box::pin(self.issue(issued, acceptance, charge)).await.map_err(|error| {
            match store::kind(&error) {
                // The account or the app has gone since it was looked up: there is nobody to sign in.
                store::Kind::Dangling => SignInError::Credentials,
                _ => error.into(),
            }
        })?;
        metrics::counter!(crate::metric::CODES_ISSUED).increment(1);
        Ok(url)
    }

    /// The account whose password this is, if it may sign in. Every address, known or not, costs one hash.
    async fn authenticate(
        &self,
        place: Place<'_>,
        email: Email,
        password: Password,
    ) -> Result<user::Model, SignInError> {
        let account = Box::pin(user::Entity::find_by_address(self.store.reader(), email)).await?;
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let right = self.hashing.verify(place, stored, password).await?;
        account.filter(|account| right && account.may_sign_in()).ok_or(SignInError::Credentials)
    }
}
