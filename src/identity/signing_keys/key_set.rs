//! A set of keys, and the rule that selects the signing key.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::key::{PublicKey, SigningKey, VerifyingKey};
use crate::domain::id::KeyId;

/// The time for which a key is published before it signs, so that all nodes and all caches of the JWK set have it.
pub const LEAD: TimeDelta = TimeDelta::minutes(10);

/// Keys by id, and so oldest first: a UUIDv7 begins with its creation time.
pub(super) type Keys = BTreeMap<KeyId, Arc<SigningKey>>;

/// A set of at least one key.
pub(super) struct KeySet {
    keys: Keys,
    oldest: Arc<SigningKey>,
    published: Arc<[PublicKey]>,
}

impl KeySet {
    /// A set of these keys. `None` if there are none.
    pub(super) fn new(keys: Keys) -> Option<Self> {
        let oldest = Arc::clone(keys.values().next()?);
        let published = keys.values().map(|key| key.verifying().public().clone()).collect();
        Some(Self { keys, oldest, published })
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn published(&self) -> &Arc<[PublicKey]> {
        &self.published
    }

    /// The youngest key that has been published for [`LEAD`], or else the oldest key. So the first key signs immediately, and nodes that
    /// each created a first key agree.
    pub(super) fn signing(&self, now: DateTime<Utc>) -> &Arc<SigningKey> {
        self.keys.values().rev().find(|key| signs_at(key) <= now).unwrap_or(&self.oldest)
    }

    pub(super) fn verifying(&self, kid: KeyId) -> Option<Arc<VerifyingKey>> {
        self.keys.get(&kid).map(|key| Arc::clone(key.verifying()))
    }
}

/// The time from which a key signs, unless it is the first.
pub(super) fn signs_at(key: &SigningKey) -> DateTime<Utc> {
    key.created_at() + LEAD
}
