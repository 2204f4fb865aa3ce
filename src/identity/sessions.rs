//! Sessions: listed and ended by their users, and checked for every access token.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, EntityTrait};

use super::session_states::{SessionState, SessionStates};
use crate::{
    db::Db,
    domain::{
        id::{AppId, SessionId, UserId},
        label::Label,
    },
    entity::{
        app,
        audit_event::{self, Action, Actor},
        session,
    },
    random::RandomSource,
};

/// Lists, checks and ends sessions.
pub struct Sessions {
    db: Db,
    random: Arc<dyn RandomSource>,
    states: SessionStates,
}

/// A session as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// The session.
    pub session: session::Model,
    /// The name of its app.
    pub app_name: Label,
}

/// Why [`Sessions::end`] ended no session.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The user has no such session.
    #[error("there is no such session")]
    NotFound,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Why a session ends, as its event in the audit trail names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client revoked a token of the session.
    SignedOut,
    /// The user ended it in the list of sessions.
    EndedByUser,
    /// A code was used again after its exchange.
    CodeReused,
    /// A refresh token was used again after its rotation.
    RefreshTokenReused,
    /// The user began a newer session and has too many.
    TooManySessions,
}

impl Ending {
    pub(super) fn event(self, now: DateTime<Utc>, random: &dyn RandomSource) -> audit_event::Model {
        let event = |action| audit_event::Model::new(action, now, random);
        match self {
            Self::SignedOut => event(Action::SessionEnd).because("signed_out"),
            Self::EndedByUser => event(Action::SessionEnd).because("ended_by_user"),
            Self::TooManySessions => event(Action::SessionEnd).because("too_many_sessions").by(Actor::Server),
            Self::CodeReused => event(Action::TokenReuse).failed("code_reused"),
            Self::RefreshTokenReused => event(Action::TokenReuse).failed("refresh_token_reused"),
        }
    }
}

impl Sessions {
    pub(super) fn new(db: Db, random: Arc<dyn RandomSource>) -> Self {
        Self { db, random, states: SessionStates::new() }
    }

    /// The sessions of a user, newest first.
    pub async fn list(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<ListedSession>, DbErr> {
        let sessions = session::Entity::list_of_user(self.db.read(), user, now).await?;
        let listed = |(session, app): (_, app::Model)| ListedSession { session, app_name: app.name };
        Ok(sessions.into_iter().map(listed).collect())
    }

    /// Ends a session of a user, and returns it as it was.
    pub async fn end(
        &self,
        user: UserId,
        id: SessionId,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<ListedSession, EndError> {
        let found = session::Entity::find_with_app_and_user(self.db.read(), id).await?;
        let (session, app, _) = found
            .filter(|(session, ..)| session.user_id == user && session.idle_expires_at > now)
            .ok_or(EndError::NotFound)?;
        if self.end_because(Ending::EndedByUser, &session, from, now).await? {
            Ok(ListedSession { session, app_name: app.name })
        } else {
            Err(EndError::NotFound)
        }
    }

    /// Removes the states of a user's sessions from the cache. Call it after a transaction that ended them.
    pub fn forget_user(&self, user: UserId) {
        self.states.remove_of_user(user);
    }

    /// Ends a session, and records why. Returns whether it existed.
    pub(super) async fn end_because(
        &self,
        ending: Ending,
        session: &session::Model,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<bool, DbErr> {
        let (id, user) = (session.id, session.user_id);
        let event = ending.event(now, &*self.random).user(user).app(session.app_id).session(id).from(from);
        let end = self.db.transaction(event, move |db, event| {
            Box::pin(async move {
                let existed = session::Entity::end(db, user, id).await?;
                if existed {
                    audit_event::Entity::record(db, event.clone()).await?;
                }
                Ok(existed)
            })
        });
        let existed = end.await?;
        self.states.remove(id);
        Ok(existed)
    }

    /// Ends a session one of whose secrets was used twice: another party may have it. A repeated call reads one row and changes
    /// nothing.
    pub(super) async fn end_after_reuse(
        &self,
        ending: Ending,
        id: SessionId,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        let Some(session) = session::Entity::find_by_id(id).one(self.db.read()).await? else { return Ok(()) };
        if self.end_because(ending, &session, from, now).await? {
            metrics::counter!(crate::metrics::TOKENS_REUSED).increment(1);
            let client = from.map(|address| address.to_canonical().to_string());
            tracing::warn!(session = %id, reason = ?ending, client, "a session ended: one of its secrets was used twice");
        }
        Ok(())
    }

    /// The state of the session of an access token. It is at most five seconds old.
    pub(super) async fn state(
        &self,
        session: SessionId,
        user: UserId,
        app: AppId,
        now: DateTime<Utc>,
    ) -> Result<SessionState, DbErr> {
        let read = async {
            let db = self.db.read();
            if session::Entity::is_alive(db, session, now).await? {
                return Ok::<_, DbErr>(SessionState::Alive);
            }
            let app = app::Entity::find_by_id(app).one(db).await?;
            let disabled = app.is_some_and(|app| !app.enabled);
            Ok(if disabled { SessionState::AppDisabled } else { SessionState::Ended })
        };
        self.states.get(session, user, now, read).await
    }
}
