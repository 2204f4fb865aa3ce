//! Tokens: a code is swapped for them, and `/classes` is opened with them.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Identity,
    signing_keys::{self, SignError},
    verified_tokens::{TokenDigest, Verified},
};
use crate::{
    domain::{
        authorization_code::AuthorizationCode,
        email::Email,
        id::{self, AppId, UserId},
        pkce::CodeVerifier,
        redirect_uri::RedirectUri,
        state::State,
    },
    entity::{app, authorization_code, user},
};

/// The `typ` of an access token (RFC 9068 section 2.1).
const ACCESS_TOKEN: &str = "at+jwt";
/// The `typ` of an id token.
const ID_TOKEN: &str = "JWT";

/// A request to swap a code for tokens. Its form is right.
#[derive(Debug)]
pub struct Exchange {
    /// The app.
    pub app: AppId,
    /// The client id as the client wrote it: `aud` of the id token, which the client compares with it.
    pub client_id: String,
    /// The code.
    pub code: AuthorizationCode,
    /// The redirect URI that the code was sent to.
    pub redirect_uri: String,
    /// The state that it was sent with.
    pub state: State,
    /// The secret behind its challenge (RFC 7636).
    pub code_verifier: Option<CodeVerifier>,
    /// To be echoed in the id token (OpenID Connect Core section 3.1.2.1).
    pub nonce: Option<String>,
    /// What the client wants to know, blank-separated (RFC 6749 section 3.3).
    pub scope: Option<String>,
}

/// What a code is worth.
pub struct Tokens {
    /// Opens `/classes`.
    pub access_token: String,
    /// Says who signed in.
    pub id_token: String,
    /// The instant from which neither is worth anything.
    pub expires_at: DateTime<Utc>,
    /// Where the code was sent to.
    pub redirect_uri: RedirectUri,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The code is unknown, expired or redeemed, or was issued for something else (`invalid_grant`, RFC 6749
    /// section 5.2). A client is not told which; what does not match does not use the code up.
    #[error("the code cannot be redeemed with this request")]
    Refused,
    /// The tokens could not be signed.
    #[error("the tokens could not be signed")]
    Sign(#[from] SignError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Who bears an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The user it was issued to.
    pub user: UserId,
}

/// The token is none of ours, or no longer.
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

impl Identity {
    /// Swaps a code for tokens. The redemption is the one commit; what follows it is arithmetic.
    pub async fn exchange(&self, request: Exchange, now: DateTime<Utc>) -> Result<Tokens, ExchangeError> {
        let (issued, app, user) = self.issued(&request.code).await?.ok_or(ExchangeError::Refused)?;
        if !matches(&request, &issued) || !app.enabled || !user.may_sign_in() {
            return Err(ExchangeError::Refused);
        }
        if !self.redeem(&request.code, now).await? {
            return Err(ExchangeError::Refused);
        }
        metrics::counter!(crate::metrics::CODES_REDEEMED).increment(1);
        Ok(self.tokens(&request, issued, &app, &user, now)?)
    }

    /// Who bears `token`, judged at this one instant, without leeway.
    ///
    /// The signature of a token that was seen before is not checked again; its expiry is, and whether its key is there.
    pub async fn bearer(&self, token: &str, now: DateTime<Utc>) -> Result<Bearer, InvalidToken> {
        let digest = TokenDigest::of(token);
        let known = self.verified.get(&digest).filter(|token| self.keys.holds(token.kid));
        let verified = match known {
            Some(known) => Ok(known),
            None => self.verify(token, now).await,
        };
        let live = verified.ok().filter(|token| token.exp > now.timestamp());
        match (known, live) {
            (None, Some(live)) => self.verified.insert(digest, live),
            (Some(_), None) => self.verified.remove(&digest),
            (Some(_), Some(_)) | (None, None) => {}
        }
        live.map(|token| Bearer { user: token.user }).ok_or(InvalidToken)
    }

    /// What an access token of ours says, however old it is.
    async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Verified, InvalidToken> {
        let header = signing_keys::header(token).ok_or(InvalidToken)?;
        // An id token is signed with the same keys, and must open nothing (RFC 8725 section 3.11).
        if header.typ != ACCESS_TOKEN {
            return Err(InvalidToken);
        }
        let key = self.keys.verifying(&header.kid, now).await.ok_or(InvalidToken)?;
        let claims: AccessClaims = key.verify(token).map_err(|_| InvalidToken)?;
        let ours = claims.iss == self.settings.issuer && claims.aud == self.settings.audience;
        ours.then_some(Verified { kid: key.kid(), exp: claims.exp, user: claims.sub }).ok_or(InvalidToken)
    }

    fn tokens(
        &self,
        request: &Exchange,
        issued: authorization_code::Model,
        app: &app::Model,
        user: &user::Model,
        now: DateTime<Utc>,
    ) -> Result<Tokens, SignError> {
        let iss = &self.settings.issuer;
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
                aud: self.settings.audience.clone(),
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
        Ok(Tokens { access_token, id_token, expires_at, redirect_uri: issued.redirect_uri })
    }
}

/// What is granted of a scope: what we know (OpenID Connect Core section 5.4), and nothing that a client makes up.
fn granted(scope: Option<&str>) -> Vec<&'static str> {
    let asked = scope.unwrap_or_default();
    ["openid", "email"].into_iter().filter(|known| asked.split(' ').any(|asked| asked == *known)).collect()
}

/// Whether a code is presented with all that it was issued for. A verifier without a challenge is a mismatch too
/// (RFC 9700 section 2.1.1).
fn matches(request: &Exchange, issued: &authorization_code::Model) -> bool {
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
