//! The keys that sign the server's tokens: RSA private keys in a directory that all nodes share.
//!
//! The directory is the only thing that nodes have to agree on. A key's id is a `UUIDv7`, the instant inside
//! it is the key's birth, and from the births alone every node tells which key signs: the youngest that is
//! at least [`LEAD`] old, or else the oldest. Until then a new key is only published, so that whoever
//! checks signatures knows it before they meet it.

mod directory;
mod key;
mod key_set;
mod upkeep;

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

use self::{
    directory::Skipped,
    key_set::{KeySet, Keys},
};
pub use self::{
    key::{PublicKey, SignError, SigningKey, TokenHeader, VerifyError, VerifyingKey, header},
    key_set::LEAD,
    upkeep::{KeyInfo, KeyState, RetireError, inspect, list, retire, rotate},
};
use crate::{domain::id::KeyId, jobs::Job, random::RandomSource};

/// How rarely tokens with ids that nobody knows can make the directory be read.
const UNKNOWN_KID_PAUSE: TimeDelta = TimeDelta::seconds(10);

/// How long such a token waits for the directory to be read.
const UNKNOWN_KID_PATIENCE: Duration = Duration::from_secs(1);

/// The keys of a running server.
///
/// Their directory is read on a thread that requests have no need of: it may be mounted over a network, and stand still.
pub struct SigningKeys {
    kept: Arc<Kept>,
    /// Held while the directory is being read, so that whoever misses a key meanwhile waits for it.
    reading: Arc<Mutex<Reading>>,
}

/// The directory, and what it held when it was last read.
struct Kept {
    directory: PathBuf,
    current: RwLock<Arc<KeySet>>,
}

#[derive(Default)]
struct Reading {
    /// What has been warned of.
    skipped: Skipped,
    /// When an id that nobody knew last led to the directory being read.
    unknown_kid_at: Option<DateTime<Utc>>,
}

/// Why there are no keys, or not one more.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The directory could not be read.
    #[error("the key directory {} cannot be read: {cause}", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The directory, or a file in it, could not be written.
    #[error("the key directory {} cannot be written: {cause}", path.display())]
    Write {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The library made no key.
    #[error("an RSA key could not be made")]
    Generate,
    /// There is nothing in the directory to sign with.
    #[error("the key directory {} holds no key", path.display())]
    NoKey {
        /// The directory.
        path: PathBuf,
    },
}

impl SigningKeys {
    /// The keys in `directory`, which is made if need be, and so is the first key.
    pub fn open(directory: &Path, now: DateTime<Utc>, random: &dyn RandomSource) -> Result<Self, KeyError> {
        directory::make(directory)?;
        let mut reading = Reading::default();
        let mut keys = directory::read(directory, &Keys::new(), &mut reading.skipped)?;
        if keys.is_empty() {
            let kid = directory::create(directory, now, random)?;
            tracing::info!(%kid, "made the first signing key");
            // Another node may have made one at the same time, and then it is in the directory too.
            keys = directory::read(directory, &Keys::new(), &mut reading.skipped)?;
        }
        let kept = Kept {
            directory: directory.to_owned(),
            current: RwLock::new(Arc::new(key_set(keys, directory)?)),
        };
        Ok(Self { kept: Arc::new(kept), reading: Arc::new(Mutex::new(reading)) })
    }

    /// Reads the directory again, as the server does each minute. A directory that cannot be read, or is
    /// empty, leaves the keys as they are: a mount that goes away does not take them along.
    pub async fn reload(&self) {
        self.read(Arc::clone(&self.reading).lock_owned().await).await;
    }

    /// The key to sign with.
    pub fn signing(&self, now: DateTime<Utc>) -> Arc<SigningKey> {
        Arc::clone(self.kept.current().signing(now))
    }

    /// The key to check with, by the `kid` of a token's [`header`]. An unknown one may be another node's
    /// that is new here, so it makes the directory be read again, at most every ten seconds. One that is not read within a
    /// second is not there.
    pub async fn verifying(&self, kid: &str, now: DateTime<Utc>) -> Option<Arc<VerifyingKey>> {
        let kid = kid.parse().ok()?;
        if let Some(known) = self.kept.current().verifying(kid) {
            return Some(known);
        }
        let looked_for = async {
            let mut reading = Arc::clone(&self.reading).lock_owned().await;
            // Either way round: a clock that was set back does not keep the directory shut.
            if reading.unknown_kid_at.is_none_or(|at| (now - at).abs() >= UNKNOWN_KID_PAUSE) {
                reading.unknown_kid_at = Some(now);
                self.read(reading).await;
            }
        };
        if timeout(UNKNOWN_KID_PATIENCE, looked_for).await.is_err() {
            tracing::warn!("the key directory does not answer");
        }
        self.kept.current().verifying(kid)
    }

    /// Whether what this key has signed is accepted still.
    pub fn holds(&self, kid: KeyId) -> bool {
        self.kept.current().keys().contains_key(&kid)
    }

    /// All public keys, from the oldest to the youngest.
    pub fn published(&self) -> Arc<[PublicKey]> {
        Arc::clone(self.kept.current().published())
    }

    /// Goes on when nobody waits for it any more.
    #[expect(clippy::disallowed_methods, reason = "one at a time, of a directory that may stand still")]
    async fn read(&self, mut reading: OwnedMutexGuard<Reading>) {
        let kept = Arc::clone(&self.kept);
        let read = spawn_blocking(move || kept.read(&mut reading.skipped));
        match read.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the signing keys stay as they were"),
            // Reading panicked. The error would repeat the message of the panic.
            Err(_) => tracing::error!("the signing keys stay as they were"),
        }
    }
}

impl Kept {
    fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, skipped: &mut Skipped) -> Result<(), KeyError> {
        let keys = directory::read(&self.directory, self.current().keys(), skipped)?;
        let keys = key_set(keys, &self.directory)?;
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
        f.debug_tuple("SigningKeys").field(&self.kept.current().keys().keys()).finish()
    }
}
