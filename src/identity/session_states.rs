//! A cache of the states of sessions, so that most requests with an access token read no row.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;

use crate::domain::id::{SessionId, UserId};

/// The state of a session, as far as a bearer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    /// It has not ended.
    Alive,
    /// It has ended.
    Ended,
    /// It has ended, and its app is disabled.
    AppDisabled,
}

#[derive(Clone, Copy)]
struct Known {
    state: SessionState,
    user: UserId,
    read_at: DateTime<Utc>,
}

impl Known {
    /// A request with an earlier time than the read finds the entry stale too: the clock was set back.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.read_at <= now && now < self.read_at + SessionStates::FRESH
    }
}

/// The states of recently used sessions. A full cache evicts the least used ones.
pub(super) struct SessionStates {
    known: Cache<SessionId, Known>,
    /// The number of calls that removed states.
    removals: AtomicU64,
}

impl SessionStates {
    /// Enough for all users of a large school, in a few megabytes.
    const CAPACITY: usize = 65_536;
    /// The time for which a state is used without another read. Other nodes may end a session meanwhile.
    const FRESH: TimeDelta = TimeDelta::seconds(5);

    pub(super) fn new() -> Self {
        Self { known: Cache::new(Self::CAPACITY), removals: AtomicU64::new(0) }
    }

    /// The state of a session of `user`. `read` reads it from the database if it is not cached.
    pub(super) async fn get<E>(
        &self,
        session: SessionId,
        user: UserId,
        now: DateTime<Utc>,
        read: impl Future<Output = Result<SessionState, E>>,
    ) -> Result<SessionState, E> {
        if let Some(known) = self.known.get(&session).filter(|known| known.is_fresh(now)) {
            return Ok(known.state);
        }
        let removals = self.removals.load(Ordering::Acquire);
        let state = read.await?;
        // A session that this node ended during the read must not be cached as alive.
        if self.removals.load(Ordering::Acquire) == removals {
            self.known.insert(session, Known { state, user, read_at: now });
        }
        Ok(state)
    }

    /// Removes the state of a session.
    pub(super) fn remove(&self, session: SessionId) {
        self.removals.fetch_add(1, Ordering::AcqRel);
        self.known.remove(&session);
    }

    /// Removes the states of all sessions of a user.
    pub(super) fn remove_of_user(&self, user: UserId) {
        self.removals.fetch_add(1, Ordering::AcqRel);
        self.known.retain(|_, known| known.user != user);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const SESSION: SessionId = SessionId::from_u128(1);
    const USER: UserId = UserId::from_u128(2);

    async fn state(states: &SessionStates, milliseconds: i64, stored: SessionState) -> SessionState {
        let now = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds);
        let Ok(state) = states.get(SESSION, USER, now, async { Ok::<_, Infallible>(stored) }).await;
        state
    }

    #[tokio::test]
    async fn state_is_read_again_after_five_seconds_and_if_the_clock_was_set_back() {
        let states = SessionStates::new();
        assert_eq!(state(&states, 0, SessionState::Alive).await, SessionState::Alive);
        assert_eq!(state(&states, 4_999, SessionState::Ended).await, SessionState::Alive);
        assert_eq!(state(&states, 5_000, SessionState::Ended).await, SessionState::Ended);
        assert_eq!(state(&states, 4_999, SessionState::Alive).await, SessionState::Alive);
    }

    #[tokio::test]
    async fn removed_state_is_read_again() {
        let states = SessionStates::new();
        state(&states, 0, SessionState::Alive).await;
        states.remove_of_user(UserId::from_u128(3));
        assert_eq!(state(&states, 0, SessionState::Ended).await, SessionState::Alive);
        states.remove_of_user(USER);
        assert_eq!(state(&states, 0, SessionState::Alive).await, SessionState::Alive);
        states.remove(SESSION);
        assert_eq!(state(&states, 0, SessionState::Ended).await, SessionState::Ended);
    }

    #[tokio::test]
    async fn session_that_ends_during_the_read_is_not_cached() {
        let states = SessionStates::new();
        let read = async {
            states.remove(SESSION);
            Ok::<_, Infallible>(SessionState::Alive)
        };
        let Ok(state_before) = states.get(SESSION, USER, DateTime::UNIX_EPOCH, read).await;
        assert_eq!(state_before, SessionState::Alive);
        assert_eq!(state(&states, 0, SessionState::Ended).await, SessionState::Ended);
    }
}
