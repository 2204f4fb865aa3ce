//! A cache of verified access tokens, so that each signature is verified once.

use aws_lc_rs::digest::{self, digest};
use quick_cache::sync::Cache;

use super::tokens::Bearer;
use crate::domain::id::KeyId;

/// SHA-512/256 of a token. It is faster than SHA-256 on processors without SHA instructions. The token itself is not cached.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; digest::SHA512_256_OUTPUT_LEN]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; digest::SHA512_256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&digest::SHA512_256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// The claims of a token with a valid signature. The token may have expired since.
#[derive(Clone, Copy)]
pub(super) struct VerifiedToken {
    /// The key that signed the token.
    pub(super) kid: KeyId,
    /// The expiry in seconds since 1970.
    pub(super) exp: i64,
    /// The bearer.
    pub(super) bearer: Bearer,
}

/// The recently used tokens. A full cache evicts the least used ones.
pub(super) struct VerifiedTokens(Cache<TokenDigest, VerifiedToken>);

impl VerifiedTokens {
    /// Enough for all users of a large school, in a few megabytes.
    const CAPACITY: usize = 65_536;

    pub(super) fn new() -> Self {
        Self(Cache::new(Self::CAPACITY))
    }

    pub(super) fn get(&self, digest: &TokenDigest) -> Option<VerifiedToken> {
        self.0.get(digest)
    }

    pub(super) fn insert(&self, digest: TokenDigest, verified: VerifiedToken) {
        self.0.insert(digest, verified);
    }

    pub(super) fn remove(&self, digest: &TokenDigest) {
        self.0.remove(digest);
    }
}
