//! Operations of `homeroom keys` on the directory. Running servers notice them within a minute.

use std::{ffi::OsString, path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{
    KeyError, SigningKey,
    directory::{self, Skipped},
    key_set::{KeySet, Keys, signs_at},
};
use crate::{domain::id::KeyId, random::RandomSource};

/// A key as `homeroom keys list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key's id.
    pub kid: KeyId,
    /// The creation time.
    pub created_at: DateTime<Utc>,
    /// The state.
    pub state: KeyState,
}

/// The state of a key. All keys are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// The key signs new tokens.
    Signing,
    /// The key is too young to sign.
    Waiting {
        /// The time from which it signs.
        signs_at: DateTime<Utc>,
    },
    /// The key only verifies the tokens that it signed before.
    Verifying,
}

/// Why [`retire`] failed.
#[derive(Debug, Error)]
pub enum RetireError {
    /// No key has the id.
    #[error("there is no key {0}")]
    Unknown(KeyId),
    /// The key signs new tokens.
    #[error("{0} is the key that signs now: rotate, and retire it once the new key signs")]
    Signing(KeyId),
    /// The directory could not be read or written.
    #[error(transparent)]
    Directory(#[from] KeyError),
}

/// Creates a key, which signs once it is [`LEAD`](super::LEAD) old, and returns its id.
pub fn rotate(directory: &Path, now: DateTime<Utc>, random: &dyn RandomSource) -> Result<KeyId, KeyError> {
    directory::create(directory, now, random)
}

/// Deletes a key. The tokens that it signed are no longer accepted.
pub fn retire(directory: &Path, kid: KeyId, now: DateTime<Utc>) -> Result<(), RetireError> {
    let keys =
        read(directory)?.filter(|set| set.keys().contains_key(&kid)).ok_or(RetireError::Unknown(kid))?;
    if keys.signing(now).kid() == kid {
        return Err(RetireError::Signing(kid));
    }
    Ok(directory::remove(directory, kid)?)
}

/// All keys, oldest first.
pub fn list(directory: &Path, now: DateTime<Utc>) -> Result<Vec<KeyInfo>, KeyError> {
    inspect(directory, now).map(|(keys, _)| keys)
}

/// All keys, oldest first, and the names of the skipped files.
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
