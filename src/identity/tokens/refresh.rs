//! The exchange of a refresh token for new tokens (RFC 6749 section 6), with rotation (RFC 9700 section 4.14.2).

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{DbErr, EntityTrait};

use super::{
    Tokens,
    issue::{Grant, IssuedTokens},
};
use crate::{
    domain::{
        id::AppId,
        secret_token::{RefreshToken, RefreshTokenDigest},
    },
    entity::{refresh_token, session},
    identity::{sessions::Ending, signing_keys::SignError},
};

/// The rotated tokens of a session that are kept to detect their reuse. With the default life of an access token a session needs as
/// many in four days. The bound keeps a client that refreshes without end from filling the table.
const MAX_ROTATED: u64 = 100;

/// A request to exchange a refresh token for new tokens. Its values are well-formed.
#[derive(Debug)]
pub struct RefreshRequest {
    /// The app.
    pub app: AppId,
    /// The client id as the request writes it. It becomes `aud` of the id token, which the client compares.
    pub client_id: String,
    /// The refresh token.
    pub refresh_token: RefreshToken,
    /// Repeated in the id token.
    pub nonce: Option<String>,
    /// The requested scope, separated by spaces. None or empty means the scope of the session.
    pub scope: Option<String>,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why [`Tokens::refresh`] issued no tokens.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The refresh token is unknown, was used before, or belongs to another app, or its session has ended (`invalid_grant`,
    /// RFC 6749 section 5.2). The client does not learn which.
    #[error("the refresh token cannot be used")]
    InvalidGrant,
    /// The tokens could not be signed.
    #[error("the tokens could not be signed")]
    Sign(#[from] SignError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The rows that a rotation writes.
struct Rotation {
    used: RefreshTokenDigest,
    next: refresh_token::Model,
    idle_expires_at: DateTime<Utc>,
}

impl Tokens {
    /// Exchanges a refresh token for new tokens, of which one is the next refresh token. Of concurrent requests with the same
    /// refresh token, one succeeds.
    ///
    /// A token that is used again later than the reuse interval ends its session: two parties have it, and the server cannot know
    /// which one is the user's. Within the interval the second request is refused alone, because two pages of one browser may
    /// refresh at the same time.
    pub async fn refresh(
        &self,
        request: RefreshRequest,
        now: DateTime<Utc>,
    ) -> Result<IssuedTokens, RefreshError> {
        let digest = request.refresh_token.digest();
        let db = self.db.read();
        let found = refresh_token::Entity::find_by_id(digest.clone()).one(db).await?;
        let token = found.ok_or(RefreshError::InvalidGrant)?;
        let found = session::Entity::find_with_app_and_user(db, token.session_id).await?;
        let (mut session, app, user) = found.ok_or(RefreshError::InvalidGrant)?;
        if session.app_id != request.app {
            return Err(RefreshError::InvalidGrant);
        }
        if let Some(rotated_at) = token.rotated_at {
            if now - rotated_at > self.settings.reuse_interval {
                let ending = Ending::RefreshTokenReused;
                self.sessions.end_after_reuse(ending, session.id, request.address, now).await?;
            }
            return Err(RefreshError::InvalidGrant);
        }
        if !app.enabled || !user.may_sign_in() {
            return Err(RefreshError::InvalidGrant);
        }
        let idle_expires_at = now + TimeDelta::minutes(app.session_idle_minutes.into());
        session.idle_expires_at = idle_expires_at.min(session.expires_at);
        let next = RefreshToken::generate(&*self.random);
        if !self.rotate(digest, &next, &session, now).await? {
            return Err(RefreshError::InvalidGrant);
        }
        metrics::counter!(crate::metrics::TOKENS_REFRESHED).increment(1);
        let grant = Grant {
            client_id: &request.client_id,
            nonce: request.nonce.as_deref(),
            scope: &session.scope.narrow(request.scope.as_deref().unwrap_or_default()),
            session: &session,
            app: &app,
            user: &user,
            refresh_token: next,
        };
        Ok(self.issue(grant, now)?)
    }

    /// Replaces a refresh token by the next one in one transaction. Returns whether it was replaced.
    async fn rotate(
        &self,
        used: RefreshTokenDigest,
        next: &RefreshToken,
        session: &session::Model,
        now: DateTime<Utc>,
    ) -> Result<bool, DbErr> {
        let next = refresh_token::Model::new(next.digest(), session.id, now);
        let rotation = Rotation { used, next, idle_expires_at: session.idle_expires_at };
        let rotate = self.db.transaction(rotation, move |db, rotation| {
            let Rotation { used, next, idle_expires_at } = rotation;
            Box::pin(async move {
                // The session comes first, because its end locks it before its tokens. The same order excludes deadlocks.
                if !session::Entity::extend(db, next.session_id, now, *idle_expires_at).await? {
                    return Ok(false);
                }
                if !refresh_token::Entity::rotate(db, used.clone(), now).await? {
                    // An error, so that the session is not extended either.
                    return Err(DbErr::RecordNotUpdated);
                }
                refresh_token::Entity::store(db, next.clone()).await?;
                refresh_token::Entity::keep_newest_rotated(db, next.session_id, MAX_ROTATED).await?;
                Ok(true)
            })
        });
        match rotate.await {
            Err(DbErr::RecordNotUpdated) => Ok(false),
            outcome => outcome,
        }
    }
}
