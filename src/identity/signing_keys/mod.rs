//! The RSA private keys that sign tokens, in a directory that all nodes share.
//!
//! The id of a key is a UUIDv7, which contains its creation time. From these times alone, every node determines the signing key: the
//! youngest key that is at least [`LEAD`] old, or else the oldest. A younger key is only published, so that verifiers know it before
//! they receive tokens signed with it.

mod administration;
mod directory;
mod key;
mod key_set;

#[cfg(test)]
mod tests;

use std::{
    fmt::{self, Debug, Formatter},
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::spawn_blocking,
    time::timeout,
};

pub use self::{
    administration::{KeyInfo, KeyState, RetireError, inspect, list, retire, rotate},
    key::{PublicKey, SignError, SigningKey, TokenHeader, VerifyError, VerifyingKey, header},
    key_set::LEAD,
};
use self::{
    directory::Skipped,
    key_set::{KeySet, Keys},
};
use crate::{domain::id::KeyId, jobs::Job, random::RandomSource};

/// The minimum time between two reads of the directory because of unknown key ids.
const UNKNOWN_KID_PAUSE: TimeDelta = TimeDelta::seconds(10);

/// The maximum time that a token with an unknown key id waits for such a read.
const UNKNOWN_KID_MAX_WAIT: Duration = Duration::from_secs(1);

/// The keys of a running server.
///
/// The directory is read on a blocking thread, because it may be on a network file system that hangs.
pub struct SigningKeys {
    directory: Arc<KeyDirectory>,
    /// Locked while the directory is read, so that requests with an unknown key id wait for the result.
    reading: Arc<Mutex<Reading>>,
}

/// The directory, and the keys as of the last read.
struct KeyDirectory {
    path: PathBuf,
    current: RwLock<Arc<KeySet>>,
}

#[derive(Default)]
struct Reading {
    /// The files that a warning was logged for.
    skipped: Skipped,
    /// The time of the last read because of an unknown key id.
    unknown_kid_at: Option<DateTime<Utc>>,
}

/// Why keys could not be read or created.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The directory could not be read.
    #[error("the key directory {} cannot be read: {cause}", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The directory, or a file in it, could not be written.
    #[error("the key directory {} cannot be written: {cause}", path.display())]
    Write {
        /// The directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The library could not generate a key.
    #[error("an RSA key could not be generated")]
    Generate,
    /// The directory contains no key.
    #[error("the key directory {} holds no key", path.display())]
    NoKey {
        /// The directory.
        path: PathBuf,
    },
}

impl SigningKeys {
    /// Reads the keys in `directory`. Creates the directory and the first key if needed.
    pub fn open(directory: &Path, now: DateTime<Utc>, random: &dyn RandomSource) -> Result<Self, KeyError> {
        directory::make(directory)?;
        let mut reading = Reading::default();
        let mut keys = directory::read(directory, &Keys::new(), &mut reading.skipped)?;
        if keys.is_empty() {
            let kid = directory::create(directory, now, random)?;
            tracing::info!(%kid, "created the first signing key");
            // Another node may have created one at the same time.
            keys = directory::read(directory, &Keys::new(), &mut reading.skipped)?;
        }
        let directory = KeyDirectory {
            path: directory.to_owned(),
            current: RwLock::new(Arc::new(key_set(keys, directory)?)),
        };
        Ok(Self { directory: Arc::new(directory), reading: Arc::new(Mutex::new(reading)) })
    }

    /// Reads the directory again. If it cannot be read or is empty, the keys stay as they are, so that an unmounted file system does not
    /// remove them.
    pub async fn reload(&self) {
        self.read(Arc::clone(&self.reading).lock_owned().await).await;
    }

    /// The key to sign with.
    pub fn signing(&self, now: DateTime<Utc>) -> Arc<SigningKey> {
        Arc::clone(self.directory.current().signing(now))
    }

    /// The public key with the id from the [`header`] of a token. An unknown id may belong to a new key of another node, so the directory
    /// is read again, at most every ten seconds, and for at most one second.
    pub async fn verifying(&self, kid: &str, now: DateTime<Utc>) -> Option<Arc<VerifyingKey>> {
        let kid = kid.parse().ok()?;
        if let Some(known) = self.directory.current().verifying(kid) {
            return Some(known);
        }
        let reload = async {
            let mut reading = Arc::clone(&self.reading).lock_owned().await;
            // The absolute value, so that a clock that was set back does not prevent reads.
            if reading.unknown_kid_at.is_none_or(|at| (now - at).abs() >= UNKNOWN_KID_PAUSE) {
                reading.unknown_kid_at = Some(now);
                self.read(reading).await;
            }
        };
        if timeout(UNKNOWN_KID_MAX_WAIT, reload).await.is_err() {
            tracing::warn!("reading the key directory takes too long");
        }
        self.directory.current().verifying(kid)
    }

    /// Whether the key exists, so that its tokens are accepted.
    pub fn holds(&self, kid: KeyId) -> bool {
        self.directory.current().keys().contains_key(&kid)
    }

    /// All public keys, oldest first.
    pub fn published(&self) -> Arc<[PublicKey]> {
        Arc::clone(self.directory.current().published())
    }

    /// Runs to its end even if the caller stops waiting.
    #[expect(clippy::disallowed_methods, reason = "one at a time, of a directory that may hang")]
    async fn read(&self, mut reading: OwnedMutexGuard<Reading>) {
        let directory = Arc::clone(&self.directory);
        let read = spawn_blocking(move || directory.read(&mut reading.skipped));
        match read.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the signing keys were not reloaded"),
            // The panic was logged.
            Err(_) => tracing::error!("the signing keys were not reloaded"),
        }
    }
}

impl KeyDirectory {
    fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, skipped: &mut Skipped) -> Result<(), KeyError> {
        let keys = directory::read(&self.path, self.current().keys(), skipped)?;
        let keys = key_set(keys, &self.path)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }
}

fn key_set(keys: Keys, directory: &Path) -> Result<KeySet, KeyError> {
    KeySet::new(keys).ok_or_else(|| KeyError::NoKey { path: directory.to_owned() })
}

/// Reads the key directory again, and so finds the keys that other nodes added.
pub struct ReloadKeys(pub Arc<SigningKeys>);

impl Job for ReloadKeys {
    async fn run(&mut self) {
        self.0.reload().await;
    }
}

impl Debug for SigningKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKeys").field(&self.directory.current().keys().keys()).finish()
    }
}
