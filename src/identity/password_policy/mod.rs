//! The rule for new passwords (NIST SP 800-63B-4 section 3.1.1.2). Sign-in accepts every password that is set.
//!
//! A new password has a minimum length, is not on the list of common passwords, and is not easy to guess. There is no rule about kinds
//! of characters.

mod common_passwords;
mod guessing;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use zeroize::Zeroizing;

use super::password_hashing::HashError;
use crate::domain::{password::Password, retry_after::RetryAfter};

/// The minimum number of characters of a new password, unless the operator says otherwise.
pub const MIN_LENGTH: usize = 15;

/// Upper bound on concurrent estimates. One takes as long as a password hash at worst, so that more would not finish sooner.
const ESTIMATES: usize = 2;
/// How long a request waits for an estimate to begin.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The rule for new passwords.
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    min_length: usize,
    /// One permit for each concurrent estimate.
    estimates: Arc<Semaphore>,
}

/// Why a new password is refused, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// It is too short.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// It is on the list of common passwords.
    #[error("is one of the most common passwords, which attackers try first")]
    Common,
    /// It would be guessed soon, for this reason.
    #[error("is easy to guess because {0}; several words that do not belong together are better")]
    Guessable(&'static str),
}

impl PasswordPolicy {
    /// A policy with this minimum number of characters.
    pub fn new(min_length: usize) -> Self {
        Self { min_length, estimates: Arc::new(Semaphore::new(ESTIMATES)) }
    }

    /// Checks a new password. The context holds words that an attacker would try for this person, such as the address and the
    /// names. The outer result is an error if too many passwords wait to be estimated.
    pub async fn check(
        &self,
        password: &Password,
        context: Vec<String>,
    ) -> Result<Result<(), WeakPassword>, HashError> {
        if password.expose().chars().count() < self.min_length {
            return Ok(Err(WeakPassword::TooShort(self.min_length)));
        }
        let permit = timeout(MAX_WAIT, Arc::clone(&self.estimates).acquire_owned()).await;
        let permit = permit.map_err(|_| HashError::Busy(RetryAfter::MIN))?;
        let text = Zeroizing::new(password.expose().to_owned());
        #[expect(clippy::disallowed_methods, reason = "an estimate is no hash, and its number is limited")]
        let estimate = spawn_blocking(move || {
            // Held to the end of the estimate, also if the client disconnects.
            let _permit = permit;
            estimate(&text, &context)
        });
        Ok(estimate.await.unwrap_or_else(|error| {
            // The text of a panic may contain the password.
            tracing::error!(panicked = error.is_panic(), "the strength of a password could not be estimated");
            Err(WeakPassword::Guessable("its strength could not be estimated"))
        }))
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self::new(MIN_LENGTH)
    }
}

fn estimate(password: &str, context: &[String]) -> Result<(), WeakPassword> {
    if common_passwords::contains(password) {
        return Err(WeakPassword::Common);
    }
    guessing::weakness(password, context).map_or(Ok(()), |reason| Err(WeakPassword::Guessable(reason)))
}
