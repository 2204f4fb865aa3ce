//! What `homeroom keys` does to the directory: the servers notice within a minute.

use std::{ffi::OsString, path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{
    KeyError, SigningKey,
    directory::{self, Skipped},
    key_set::{KeySet, Keys, signs_at},
};
use crate::{domain::id::KeyId, random::RandomSource};

/// A key as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key's id.
    pub kid: KeyId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What it is there for now.
    pub state: KeyState,
}

/// What a key is there for; all of them are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It signs what is signed now.
    Signing,
    /// It is too young to sign.
    Waiting {
        /// When it begins to.
        signs_at: DateTime<Utc>,
    },
    /// It signs no more, and checks what it has signed.
    Verifying,
}

/// Why a key was not retired.
#[derive(Debug, Error)]
pub enum RetireError {
    /// There is no such key.
    #[error("there is no key {0}")]
    Unknown(KeyId),
    /// What is being signed now could not be checked any more.
    #[error("{0} is the key that signs now: rotate, and retire it once the new key signs")]
    Signing(KeyId),
    /// The directory did not play along.
    #[error(transparent)]
    Directory(#[from] KeyError),
}

/// Makes one more key, which signs once it is [`LEAD`](super::LEAD) old, and answers its id.
pub fn rotate(directory: &Path, now: DateTime<Utc>, random: &dyn RandomSource) -> Result<KeyId, KeyError> {
    directory::create(directory, now, random)
}

/// Deletes a key for good: what it has signed is no longer accepted.
pub fn retire(directory: &Path, kid: KeyId, now: DateTime<Utc>) -> Result<(), RetireError> {
    let keys =
        read(directory)?.filter(|set| set.keys().contains_key(&kid)).ok_or(RetireError::Unknown(kid))?;
    if keys.signing(now).kid() == kid {
        return Err(RetireError::Signing(kid));
    }
    Ok(directory::remove(directory, kid)?)
}

/// The keys, from the oldest to the youngest.
pub fn list(directory: &Path, now: DateTime<Utc>) -> Result<Vec<KeyInfo>, KeyError> {
    inspect(directory, now).map(|(keys, _)| keys)
}

/// The keys, from the oldest to the youngest, and the names of the files that were passed over.
pub fn inspect(directory: &Path, now: DateTime<Utc>) -> Result<(Vec<KeyInfo>, Vec<OsString>), KeyError> {
    let mut skipped = Skipped::new();
    let keys = directory::read(directory, &Keys::new(), &mut skipped)?;
    let skipped = skipped.into_iter().collect();
    let Some(set) = KeySet::new(keys) else { return Ok((Vec::new(), skipped)) };
    let signing = set.signing(now).kid();
    let state = |key: &SigningKey| {
        let signs_at = signs_at(key);
        if key.kid() == signing {
            KeyState::Signing
        } else if signs_at > now {
            KeyState::Waiting { signs_at }
        } else {
            KeyState::Verifying
        }
    };
    let info =
        |key: &Arc<SigningKey>| KeyInfo { kid: key.kid(), created_at: key.created_at(), state: state(key) };
    Ok((set.keys().values().map(info).collect(), skipped))
}

fn read(directory: &Path) -> Result<Option<KeySet>, KeyError> {
    directory::read(directory, &Keys::new(), &mut Skipped::new()).map(KeySet::new)
}
