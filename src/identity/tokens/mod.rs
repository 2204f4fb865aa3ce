//! Tokens: issued for an authorization code or a refresh token, revoked, and verified as the bearer of a request.

mod exchange;
mod issue;
mod refresh;
mod revoke;

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;

use self::issue::{ACCESS_TOKEN, AccessClaims};
pub use self::{
    exchange::{ExchangeError, ExchangeRequest},
    issue::IssuedTokens,
    refresh::{RefreshError, RefreshRequest},
    revoke::{RevokeError, RevokeRequest},
};
use super::{
    session_states::SessionState,
    sessions::Sessions,
    signing_keys::{self, SigningKeys},
    verified_tokens::{TokenDigest, VerifiedToken, VerifiedTokens},
};
use crate::{
    db::Db,
    domain::{
        id::{AppId, SessionId, UserId},
        user_agent::UserAgent,
    },
    random::RandomSource,
};

/// Issues tokens (`createToken`), revokes them (`revokeToken`), and verifies access tokens.
pub struct Tokens {
    db: Db,
    random: Arc<dyn RandomSource>,
    keys: Arc<SigningKeys>,
    sessions: Arc<Sessions>,
    verified: VerifiedTokens,
    settings: Settings,
}

/// The settings of tokens.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// `iss` of every token.
    pub(super) issuer: String,
    /// `aud` of the access tokens.
    pub(super) audience: String,
    /// The time after a rotation in which a second use of the refresh token does not end its session.
    pub(super) reuse_interval: TimeDelta,
}

/// The client that sends a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address, if the connection has one.
    pub address: Option<IpAddr>,
    /// Its `User-Agent`.
    pub user_agent: Option<UserAgent>,
}

/// The bearer of a valid access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The user: the token's subject.
    pub user: UserId,
    /// The app to which the token was issued.
    pub app: AppId,
    /// The session.
    pub session: SessionId,
}

/// Why an access token was refused.
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// It is malformed, expired, or was issued by another issuer, for another audience or with another key, or its session ended.
    #[error("the access token is invalid")]
    Invalid,
    /// Its session ended, and its app is disabled.
    #[error("the app is disabled")]
    AppDisabled,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The access token is malformed, expired, or was issued by another issuer, for another audience or with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token is invalid")]
struct InvalidToken;

impl From<InvalidToken> for BearerError {
    fn from(InvalidToken: InvalidToken) -> Self {
        Self::Invalid
    }
}

impl Tokens {
    pub(super) fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        keys: Arc<SigningKeys>,
        sessions: Arc<Sessions>,
        settings: Settings,
    ) -> Self {
        Self { db, random, keys, sessions, verified: VerifiedTokens::new(), settings }
    }

    /// Verifies an access token at the instant `now`, without leeway, and that its session has not ended.
    pub async fn bearer(&self, token: &str, now: DateTime<Utc>) -> Result<Bearer, BearerError> {
        let bearer = self.verified(token, now).await?;
        match self.sessions.state(bearer.session, bearer.user, bearer.app, now).await? {
            SessionState::Alive => Ok(bearer),
            SessionState::Ended => Err(BearerError::Invalid),
            SessionState::AppDisabled => Err(BearerError::AppDisabled),
        }
    }

    /// Verifies an access token at the instant `now`, without leeway. Its session may have ended.
    ///
    /// The signature of a cached token is not verified again. Its expiry, and whether its key still exists, are.
    async fn verified(&self, token: &str, now: DateTime<Utc>) -> Result<Bearer, InvalidToken> {
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
        Ok(verified.bearer)
    }

    /// Verifies everything but the expiry and the session.
    async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<VerifiedToken, InvalidToken> {
        let header = signing_keys::header(token).ok_or(InvalidToken)?;
        // The same keys sign id tokens, which are not access tokens (RFC 8725 section 3.11).
        if header.typ != ACCESS_TOKEN {
            return Err(InvalidToken);
        }
        let key = self.keys.verifying(&header.kid, now).await.ok_or(InvalidToken)?;
        let claims: AccessClaims = key.verify(token).map_err(|_| InvalidToken)?;
        if claims.iss != self.settings.issuer || claims.aud != self.settings.audience {
            return Err(InvalidToken);
        }
        let bearer = Bearer { user: claims.sub, app: claims.client_id, session: claims.sid };
        Ok(VerifiedToken { kid: key.kid(), exp: claims.exp, bearer })
    }
}
