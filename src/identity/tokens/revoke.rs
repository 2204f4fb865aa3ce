//! The revocation of a token, which signs out (RFC 7009).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, EntityTrait};
use secrecy::{ExposeSecret, SecretString};

use super::Tokens;
use crate::{
    domain::{
        id::{AppId, SessionId},
        secret_token::RefreshToken,
    },
    entity::{refresh_token, session},
    identity::sessions::Ending,
};

/// A request to revoke a token.
#[derive(Debug)]
pub struct RevokeRequest {
    /// The app.
    pub app: AppId,
    /// A refresh token or an access token.
    pub token: SecretString,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why [`Tokens::revoke`] revoked nothing.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The token was issued to another app (RFC 7009 section 2.1).
    #[error("the token belongs to another app")]
    OtherApp,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Tokens {
    /// Ends the session of a token. A token that is unknown or has expired, or whose session has ended, is revoked already
    /// (RFC 7009 section 2.2). A refresh token that was rotated ends its session too.
    pub async fn revoke(&self, request: RevokeRequest, now: DateTime<Utc>) -> Result<(), RevokeError> {
        let Some(id) = self.session_of(request.token.expose_secret(), now).await? else { return Ok(()) };
        let session = session::Entity::find_by_id(id).one(self.db.read()).await?;
        let Some(session) = session else { return Ok(()) };
        if session.app_id != request.app {
            return Err(RevokeError::OtherApp);
        }
        self.sessions.end_because(Ending::SignedOut, &session, request.address, now).await?;
        Ok(())
    }

    /// The session of a refresh token or an access token.
    async fn session_of(&self, token: &str, now: DateTime<Utc>) -> Result<Option<SessionId>, DbErr> {
        let digest = RefreshToken::presented(token).digest();
        if let Some(token) = refresh_token::Entity::find_by_id(digest).one(self.db.read()).await? {
            return Ok(Some(token.session_id));
        }
        Ok(self.verified(token, now).await.ok().map(|bearer| bearer.session))
    }
}
