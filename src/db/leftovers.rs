//! Statements that were left before their answer came, because it took too long or because nobody waits for it any more.
//!
//! The pool waits for the answer before it gives the connection to anybody else: for ever, if the server has vanished
//! without a word. Then its connections would run out. And if the statement began a transaction, it is open. So after a
//! statement was left, connections that come back to the pool are tried, for a short time: they are closed unless they
//! answer, and a transaction is ended.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long after a statement was left connections are tried that come back. Its own comes back at once.
const WATCH: Duration = Duration::from_secs(10);

/// When a statement was last left.
#[derive(Default)]
pub(super) struct Leftovers(Mutex<Option<Instant>>);

impl Leftovers {
    /// Notes a statement that is left, unless it is said to be finished.
    pub(super) fn unless_finished(&self) -> Unfinished<'_> {
        Unfinished(Some(self))
    }

    /// Whether a statement was left a moment ago.
    pub(super) fn are_there(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|left| left.elapsed() < WATCH)
    }
}

/// A statement that is not answered yet.
pub(super) struct Unfinished<'a>(Option<&'a Leftovers>);

impl Unfinished<'_> {
    /// Its answer has come.
    pub(super) fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(leftovers) = self.0 {
            *leftovers.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }
}
