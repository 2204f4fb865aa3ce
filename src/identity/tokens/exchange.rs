//! The exchange of an authorization code for tokens, which begins a session (RFC 6749 section 4.1.3).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;

use super::{
    Client, Tokens,
    issue::{Grant, IssuedTokens},
};
use crate::{
    db::{self, ErrorKind},
    domain::{
        id::{AppId, SessionId},
        pkce::CodeVerifier,
        scope::Scope,
        secret_token::{AuthorizationCode, CodeDigest, RefreshToken},
        state::State,
    },
    entity::{
        app,
        audit_event::{self, Action},
        authorization_code, refresh_token, session,
    },
    identity::{sessions::Ending, signing_keys::SignError},
    random::RandomSource,
};

/// Upper bound on the sessions of one user. A class may share an account, so the bound is generous. It keeps a client that signs
/// in repeatedly from filling the table.
const MAX_SESSIONS: u64 = 100;

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
    /// The client that sends the request. The session remembers it.
    pub client: Client,
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

/// The rows that a redemption writes.
struct Redemption {
    code: CodeDigest,
    session: session::Model,
    refresh_token: refresh_token::Model,
    event: audit_event::Model,
    random: Arc<dyn RandomSource>,
}

impl Tokens {
    /// Exchanges a code for tokens and begins a session. Of concurrent requests with the same code, one redeems it. Every further
    /// request that matches ends the session (RFC 6749 section 4.1.2): two parties have the code.
    pub async fn exchange(
        &self,
        request: ExchangeRequest,
        now: DateTime<Utc>,
    ) -> Result<IssuedTokens, ExchangeError> {
        let digest = request.code.digest();
        let issued = authorization_code::Entity::find_issued(self.db.read(), digest.clone()).await?;
        let (issued, app, user) = issued.ok_or(ExchangeError::InvalidGrant)?;
        if !matches(&request, &issued) {
            return Err(ExchangeError::InvalidGrant);
        }
        if let Some(session) = issued.session_id {
            return Err(self.code_reused(session, &request.client, now).await?);
        }
        if !app.enabled || !user.may_sign_in() {
            return Err(ExchangeError::InvalidGrant);
        }
        let refresh_token = RefreshToken::generate(&*self.random);
        let session = self.new_session(&request, issued, &app, now);
        if !self.redeem(digest.clone(), &session, &refresh_token, &request.client, now).await? {
            // The code expired, or another request redeemed it since it was read.
            let session = authorization_code::Entity::session_of(self.db.read(), digest).await?;
            let session = session.ok_or(ExchangeError::InvalidGrant)?;
            return Err(self.code_reused(session, &request.client, now).await?);
        }
        metrics::counter!(crate::metrics::CODES_REDEEMED).increment(1);
        let grant = Grant {
            client_id: &request.client_id,
            nonce: request.nonce.as_deref(),
            scope: &session.scope,
            session: &session,
            app: &app,
            user: &user,
            refresh_token,
        };
        Ok(self.issue(grant, now)?)
    }

    fn new_session(
        &self,
        request: &ExchangeRequest,
        issued: authorization_code::Model,
        app: &app::Model,
        now: DateTime<Utc>,
    ) -> session::Model {
        let expires_at = now + TimeDelta::minutes(app.session_minutes.into());
        let idle_expires_at = now + TimeDelta::minutes(app.session_idle_minutes.into());
        session::Model {
            id: SessionId::new(now, &*self.random),
            user_id: issued.user_id,
            app_id: issued.app_id,
            redirect_uri: issued.redirect_uri,
            scope: Scope::grant(request.scope.as_deref().unwrap_or_default()),
            address: request.client.address.map(|address| address.to_canonical().to_string()),
            user_agent: request.client.user_agent.clone(),
            authenticated_at: issued.issued_at,
            created_at: now,
            last_used_at: now,
            idle_expires_at: idle_expires_at.min(expires_at),
            expires_at,
        }
    }

    /// Redeems the code and begins the session in one transaction. Returns whether the code was redeemable.
    async fn redeem(
        &self,
        code: CodeDigest,
        session: &session::Model,
        refresh_token: &RefreshToken,
        client: &Client,
        now: DateTime<Utc>,
    ) -> Result<bool, DbErr> {
        let event = audit_event::Model::new(Action::SessionBegin, now, &*self.random)
            .user(session.user_id)
            .app(session.app_id)
            .session(session.id)
            .from(client.address);
        let refresh_token = refresh_token::Model::new(refresh_token.digest(), session.id, now);
        let random = Arc::clone(&self.random);
        let redemption = Redemption { code, session: session.clone(), refresh_token, event, random };
        let redeem = self.db.transaction(redemption, move |db, redemption| {
            let Redemption { code, session, refresh_token, event, random } = redemption;
            Box::pin(async move {
                if !authorization_code::Entity::redeem(db, code.clone(), session.id, now).await? {
                    return Ok(false);
                }
                session::Entity::begin(db, session.clone()).await?;
                refresh_token::Entity::store(db, refresh_token.clone()).await?;
                audit_event::Entity::record(db, event.clone()).await?;
                for oldest in session::Entity::surplus(db, session.user_id, MAX_SESSIONS).await? {
                    if session::Entity::end(db, oldest.user_id, oldest.id).await? {
                        let event = Ending::TooManySessions.event(event.at, &**random);
                        let event = event.user(oldest.user_id).app(oldest.app_id).session(oldest.id);
                        audit_event::Entity::record(db, event).await?;
                    }
                }
                Ok(true)
            })
        });
        match redeem.await {
            // The account or the app was deleted since it was read.
            Err(error) if db::kind(&error) == ErrorKind::ForeignKeyViolation => Ok(false),
            outcome => outcome,
        }
    }

    async fn code_reused(
        &self,
        session: SessionId,
        client: &Client,
        now: DateTime<Utc>,
    ) -> Result<ExchangeError, DbErr> {
        self.sessions.end_after_reuse(Ending::CodeReused, session, client.address, now).await?;
        Ok(ExchangeError::InvalidGrant)
    }
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
