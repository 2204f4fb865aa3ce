//! The claims of tokens, and their signatures.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Tokens;
use crate::{
    domain::{
        email::Email,
        id::{self, AppId, SessionId, UserId},
        person::PersonName,
        redirect_uri::RedirectUri,
        scope::Scope,
        secret_token::RefreshToken,
    },
    entity::{app, session, user},
    identity::signing_keys::SignError,
};

/// The `typ` of an access token (RFC 9068 section 2.1).
pub(super) const ACCESS_TOKEN: &str = "at+jwt";
/// The `typ` of an id token.
const ID_TOKEN: &str = "JWT";

/// The tokens issued for a code or a refresh token.
pub struct IssuedTokens {
    /// The access token (RFC 9068).
    pub access_token: String,
    /// The id token (OpenID Connect Core section 2).
    pub id_token: String,
    /// The next refresh token of the session.
    pub refresh_token: RefreshToken,
    /// The expiry of the access token and of the id token.
    pub expires_at: DateTime<Utc>,
    /// The redirect URI that received the code.
    pub redirect_uri: RedirectUri,
}

/// An access token's claims (RFC 9068 section 2.2).
#[derive(Serialize, Deserialize)]
pub(super) struct AccessClaims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sub: UserId,
    pub(super) client_id: AppId,
    iat: i64,
    pub(super) exp: i64,
    jti: Uuid,
    /// The session, by the name that OpenID Connect Front-Channel Logout section 3 registers.
    pub(super) sid: SessionId,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// An id token's claims (OpenID Connect Core sections 2 and 5.1).
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
    #[serde(flatten)]
    email: Option<EmailClaims<'a>>,
    #[serde(flatten)]
    profile: Option<ProfileClaims<'a>>,
}

/// The claims of the scope `email`.
#[derive(Serialize)]
struct EmailClaims<'a> {
    email: &'a str,
    email_verified: bool,
}

/// The claims of the scope `profile`. A name that the user did not give is missing.
#[derive(Serialize)]
struct ProfileClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<&'a str>,
}

impl<'a> ProfileClaims<'a> {
    fn of(user: &'a user::Model) -> Self {
        let given_name = user.first_name.as_ref().map(PersonName::as_str);
        let family_name = user.last_name.as_ref().map(PersonName::as_str);
        let names: Vec<&str> = given_name.into_iter().chain(family_name).collect();
        Self { name: (!names.is_empty()).then(|| names.join(" ")), given_name, family_name }
    }
}

/// What tokens are issued for.
pub(super) struct Grant<'a> {
    /// The client id as the request writes it. It becomes `aud` of the id token, which the client compares.
    pub(super) client_id: &'a str,
    /// Repeated in the id token (OpenID Connect Core section 3.1.2.1).
    pub(super) nonce: Option<&'a str>,
    pub(super) scope: &'a Scope,
    pub(super) session: &'a session::Model,
    pub(super) app: &'a app::Model,
    pub(super) user: &'a user::Model,
    pub(super) refresh_token: RefreshToken,
}

impl Tokens {
    pub(super) fn issue(&self, grant: Grant<'_>, now: DateTime<Utc>) -> Result<IssuedTokens, SignError> {
        let Grant { client_id, nonce, scope, session, app, user, refresh_token } = grant;
        let iss = &self.settings.issuer;
        let iat = now.timestamp();
        let lifetime = TimeDelta::minutes(app.access_token_minutes.into());
        // No token outlives its session.
        let expires_at = (now + lifetime).min(session.idle_expires_at);
        let exp = expires_at.timestamp();
        let auth_time = session.authenticated_at.timestamp();
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
                sid: session.id,
                auth_time,
                scope: (!scope.is_empty()).then(|| scope.as_str().to_owned()),
            },
        )?;
        let id_token = key.sign(
            ID_TOKEN,
            &IdClaims {
                iss,
                aud: client_id,
                sub: user.id,
                iat,
                exp,
                auth_time,
                nonce,
                email: scope.contains("email").then(|| EmailClaims {
                    email: Email::as_str(&user.email),
                    email_verified: user.has_confirmed_mailbox(),
                }),
                profile: scope.contains("profile").then(|| ProfileClaims::of(user)),
            },
        )?;
        let redirect_uri = session.redirect_uri.clone();
        Ok(IssuedTokens { access_token, id_token, refresh_token, expires_at, redirect_uri })
    }
}
