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
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;
use uuid::Uuid;

use self::{
    directory::Skipped,
    key_set::{KeySet, Keys},
};
pub use self::{
    key::{PublicKey, SignError, SigningKey, TokenHeader, VerifyError, VerifyingKey, header},
    key_set::LEAD,
    upkeep::{KeyInfo, KeyState, RetireError, inspect, list, retire, rotate},
};
use crate::entropy::Entropy;

/// How rarely tokens with ids that nobody knows can make the directory be read.
const UNKNOWN_KID_PAUSE: TimeDelta = TimeDelta::seconds(10);

/// The keys of a running server.
///
/// Reading the directory blocks the thread for a few file operations, and for about a millisecond with
/// each key that is new.
pub struct SigningKeys {
    directory: PathBuf,
    current: RwLock<Arc<KeySet>>,
    /// Held while the directory is being read, so that whoever misses a key meanwhile waits for it.
    reading: Mutex<Reading>,
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
    pub fn open(directory: &Path, now: DateTime<Utc>, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        directory::make(directory)?;
        let mut reading = Reading::default();
        let mut keys = directory::read(directory, &Keys::new(), &mut reading.skipped)?;
        if keys.is_empty() {
            let kid = directory::create(directory, now, entropy)?;
            tracing::info!(%kid, "made the first signing key");
            // Another node may have made one at the same time, and then it is in the directory too.
            keys = directory::read(directory, &Keys::new(), &mut reading.skipped)?;
        }
        let keys = KeySet::new(keys).ok_or_else(|| KeyError::NoKey { path: directory.to_owned() })?;
        Ok(Self {
            directory: directory.to_owned(),
            current: RwLock::new(Arc::new(keys)),
            reading: Mutex::new(reading),
        })
    }

    /// Reads the directory again, as the server does each minute. A directory that cannot be read, or is
    /// empty, leaves the keys as they are: a mount that goes away does not take them along.
    pub fn reload(&self) {
        self.read(&mut self.reading.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The key to sign with.
    pub fn signing(&self, now: DateTime<Utc>) -> Arc<SigningKey> {
        Arc::clone(self.current().signing(now))
    }

    /// The key to check with, by the `kid` of a token's [`header`]. An unknown one may be another node's
    /// that is new here, so it makes the directory be read again, at most every ten seconds.
    pub fn verifying(&self, kid: &str, now: DateTime<Utc>) -> Option<Arc<VerifyingKey>> {
        let kid = Uuid::try_parse(kid).ok()?;
        self.current().verifying(kid).or_else(|| {
            let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            // Either way round: a clock that was set back does not keep the directory shut.
            if reading.unknown_kid_at.is_none_or(|at| (now - at).abs() >= UNKNOWN_KID_PAUSE) {
                reading.unknown_kid_at = Some(now);
                self.read(&mut reading);
            }
            self.current().verifying(kid)
        })
    }

    /// Whether what this key has signed is accepted still.
    pub fn holds(&self, kid: Uuid) -> bool {
        self.current().keys().contains_key(&kid)
    }

    /// All public keys, from the oldest to the youngest.
    pub fn published(&self) -> Arc<[PublicKey]> {
        Arc::clone(self.current().published())
    }

    fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, reading: &mut Reading) {
        if let Err(error) = self.try_read(reading) {
            tracing::warn!(%error, "the signing keys stay as they were");
        }
    }

    fn try_read(&self, reading: &mut Reading) -> Result<(), KeyError> {
        let keys = directory::read(&self.directory, self.current().keys(), &mut reading.skipped)?;
        let keys = KeySet::new(keys).ok_or_else(|| KeyError::NoKey { path: self.directory.clone() })?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }
}

impl Debug for SigningKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKeys").field(&self.current().keys().keys()).finish()
    }
}
