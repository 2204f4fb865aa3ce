//! The keys of one moment, and the rule that says which of them signs.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::key::{PublicKey, SigningKey, VerifyingKey};
use crate::domain::id::KeyId;

/// How long a key is published before it signs: long enough for every node, and everybody who keeps a copy
/// of the JWK set, to have seen it.
pub const LEAD: TimeDelta = TimeDelta::minutes(10);

/// Keys by their ids, and thereby from the oldest to the youngest: a `UUIDv7` begins with its instant.
pub(super) type Keys = BTreeMap<KeyId, Arc<SigningKey>>;

/// At least one key.
pub(super) struct KeySet {
    keys: Keys,
    oldest: Arc<SigningKey>,
    published: Arc<[PublicKey]>,
}

impl KeySet {
    /// The set of these keys, unless there are none.
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

    /// The youngest key that has been published long enough. Without one it is the oldest key, which is
    /// how the first one signs at once, and how nodes that each made a first one agree.
    pub(super) fn signing(&self, now: DateTime<Utc>) -> &Arc<SigningKey> {
        self.keys.values().rev().find(|key| signs_at(key) <= now).unwrap_or(&self.oldest)
    }

    pub(super) fn verifying(&self, kid: KeyId) -> Option<Arc<VerifyingKey>> {
        self.keys.get(&kid).map(|key| Arc::clone(key.verifying()))
    }
}

/// When a key that is not the first begins to sign.
pub(super) fn signs_at(key: &SigningKey) -> DateTime<Utc> {
    key.created_at() + LEAD
}
