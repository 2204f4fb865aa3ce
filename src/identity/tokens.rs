//! Tokens: issued for an authorization code, and verified as the bearer of a request.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    signing_keys::{self, SignError, SigningKeys},
    verified_tokens::{TokenDigest, VerifiedToken, VerifiedTokens},
};
use crate::{
    db::Db,
    domain::{
        email::Email,
        id::{self, AppId, UserId},
        pkce::CodeVerifier,
        redirect_uri::RedirectUri,
        secret_token::AuthorizationCode,
        state::State,
    },
    entity::{app, authorization_code, user},
    random::RandomSource,
};

/// The `typ` of an access token (RFC 9068 section 2.1).
const ACCESS_TOKEN: &str = "at+jwt";
/// The `typ` of an id token.
const ID_TOKEN: &str = "JWT";

/// Issues tokens (`createToken`) and verifies access tokens.
pub struct Tokens {
    db: Db,
    random: Arc<dyn RandomSource>,
    keys: Arc<SigningKeys>,
    verified: VerifiedTokens,
    issuer: String,
    audience: String,
}

/// A request to exchange a code for tokens. Its values are well-formed.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// The app.
    pub app: AppId,
    /// The client id as the request writes it. It becomes `aud` of the id token, which the client compares.
    pub client_id: String,
    /// The code.
    pub code: AuthorizationCode,
    /// The redirect URI that received the code.
    pub redirect_uri: String,
    /// The state that accompanied the code.
    pub state: State,
    /// The PKCE verifier (RFC 7636).
    pub code_verifier: Option<CodeVerifier>,
    /// Repeated in the id token (OpenID Connect Core section 3.1.2.1).
    pub nonce: Option<String>,
    /// The requested scope, separated by spaces (RFC 6749 section 3.3).
    pub scope: Option<String>,
}

/// The tokens issued for a code.
pub struct IssuedTokens {
    /// The access token (RFC 9068).
    pub access_token: String,
    /// The id token (OpenID Connect Core section 2).
    pub id_token: String,
    /// The expiry of both tokens.
    pub expires_at: DateTime<Utc>,
    /// The redirect URI that received the code.
    pub redirect_uri: RedirectUri,
}

/// Why [`Tokens::exchange`] issued no tokens.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The code is unknown, expired, redeemed, or issued for other values (`invalid_grant`, RFC 6749 section 5.2). The client
    /// does not learn which. A mismatch does not redeem the code.
    #[error("the code cannot be redeemed with this request")]
    InvalidGrant,
    /// The tokens could not be signed.
    #[error("the tokens could not be signed")]
    Sign(#[from] SignError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The bearer of a valid access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The token's subject.
    pub user: UserId,
}

/// The access token is malformed, expired, or was issued by another issuer, for another audience or with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token is invalid")]
pub struct InvalidToken;

/// An access token's claims (RFC 9068 section 2.2).
#[derive(Serialize, Deserialize)]
struct AccessClaims {
    iss: String,
    aud: String,
    sub: UserId,
    client_id: AppId,
    iat: i64,
    exp: i64,
    jti: Uuid,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// An id token's claims (OpenID Connect Core section 2).
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: UserId,
    iat: i64,
    exp: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
}

impl Tokens {
    pub(super) fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        keys: Arc<SigningKeys>,
        issuer: String,
        audience: String,
    ) -> Self {
        Self { db, random, keys, verified: VerifiedTokens::new(), issuer, audience }
    }

    /// Exchanges a code for tokens. Of concurrent requests with the same code, one redeems it.
    pub async fn exchange(
        &self,
        request: ExchangeRequest,
        now: DateTime<Utc>,
    ) -> Result<IssuedTokens, ExchangeError> {
        let digest = request.code.digest();
        let issued = authorization_code::Entity::find_issued(self.db.read(), digest.clone()).await?;
        let (issued, app, user) = issued.ok_or(ExchangeError::InvalidGrant)?;
        if !matches(&request, &issued) || !app.enabled || !user.may_sign_in() {
            return Err(ExchangeError::InvalidGrant);
        }
        let redeem = self.db.write(digest, move |db, digest| {
            Box::pin(authorization_code::Entity::redeem(db, digest.clone(), now))
        });
        if !redeem.await? {
            return Err(ExchangeError::InvalidGrant);
        }
        metrics::counter!(crate::metrics::CODES_REDEEMED).increment(1);
        Ok(self.issue(&request, issued, &app, &user, now)?)
    }

    /// Verifies an access token at the instant `now`, without leeway.
    ///
    /// The signature of a cached token is not verified again. Its expiry, and whether its key still exists, are.
    pub async fn bearer(&self, token: &str, now: DateTime<Utc>) -> Result<Bearer, InvalidToken> {
        let digest = TokenDigest::of(token);
        let cached = self.verified.get(&digest).filter(|token| self.keys.holds(token.kid));
        let verified = match cached {
            Some(token) => token,
            None => self.verify(token, now).await?,
        };
        if verified.exp <= now.timestamp() {
            self.verified.remove(&digest);
            return Err(InvalidToken);
        }
        if cached.is_none() {
            self.verified.insert(digest, verified);
        }
        Ok(Bearer { user: verified.user })
    }

    /// Verifies everything but the expiry.
    async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<VerifiedToken, InvalidToken> {
        let header = signing_keys::header(token).ok_or(InvalidToken)?;
        // The same keys sign id tokens, which are not access tokens (RFC 8725 section 3.11).
        if header.typ != ACCESS_TOKEN {
            return Err(InvalidToken);
        }
        let key = self.keys.verifying(&header.kid, now).await.ok_or(InvalidToken)?;
        let claims: AccessClaims = key.verify(token).map_err(|_| InvalidToken)?;
        let valid = claims.iss == self.issuer && claims.aud == self.audience;
        valid
            .then_some(VerifiedToken { kid: key.kid(), exp: claims.exp, user: claims.sub })
            .ok_or(InvalidToken)
    }

    fn issue(
        &self,
        request: &ExchangeRequest,
        issued: authorization_code::Model,
        app: &app::Model,
        user: &user::Model,
        now: DateTime<Utc>,
    ) -> Result<IssuedTokens, SignError> {
        let iss = &self.issuer;
        let iat = now.timestamp();
        let expires_at = now + TimeDelta::minutes(app.access_token_minutes.into());
        let exp = expires_at.timestamp();
        let auth_time = issued.issued_at.timestamp();
        let granted = granted(request.scope.as_deref());
        let wants_email = granted.contains(&"email");
        let key = self.keys.signing(now);
        let access_token = key.sign(
            ACCESS_TOKEN,
            &AccessClaims {
                iss: iss.clone(),
                aud: self.audience.clone(),
                sub: user.id,
                client_id: app.id,
                iat,
                exp,
                jti: id::uuid_v7(now, &*self.random),
                auth_time,
                scope: (!granted.is_empty()).then(|| granted.join(" ")),
            },
        )?;
        let id_token = key.sign(
            ID_TOKEN,
            &IdClaims {
                iss,
                aud: &request.client_id,
                sub: user.id,
                iat,
                exp,
                auth_time,
                nonce: request.nonce.as_deref(),
                email: wants_email.then(|| Email::as_str(&user.email)),
                email_verified: wants_email.then_some(user.email_verified_at.is_some()),
            },
        )?;
        Ok(IssuedTokens { access_token, id_token, expires_at, redirect_uri: issued.redirect_uri })
    }
}

/// The granted part of a scope: the supported values (OpenID Connect Core section 5.4).
fn granted(scope: Option<&str>) -> Vec<&'static str> {
    let requested = scope.unwrap_or_default();
    ["openid", "email"]
        .into_iter()
        .filter(|known| requested.split(' ').any(|value| value == *known))
        .collect()
}

/// Whether a request repeats the values that the code was issued for. A verifier without a challenge is a mismatch too
/// (RFC 9700 section 2.1.1).
fn matches(request: &ExchangeRequest, issued: &authorization_code::Model) -> bool {
    let proven = match (&issued.code_challenge, &request.code_verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => challenge.is_met_by(verifier),
        _ => false,
    };
    proven
        && issued.app_id == request.app
        && issued.redirect_uri.as_str() == request.redirect_uri
        && issued.state == request.state
}
