//! Access tokens whose signature was checked, so that it is not checked again at each request.

use aws_lc_rs::digest::{self, digest};
use quick_cache::sync::Cache;

use crate::domain::id::{KeyId, UserId};

/// SHA-512/256 of a token, as it was sent: on a processor without instructions for SHA-256 it takes half as long as that. The
/// token itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; digest::SHA512_256_OUTPUT_LEN]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; digest::SHA512_256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&digest::SHA512_256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// What a token that this server signed says. That it is valid *now* is another matter.
#[derive(Clone, Copy)]
pub(super) struct Verified {
    /// The key that signed it.
    pub(super) kid: KeyId,
    /// The second from which it is worth nothing.
    pub(super) exp: i64,
    /// The user it was issued to.
    pub(super) user: UserId,
}

/// The tokens that were used of late. When it is full, those that are used least make room.
pub(super) struct VerifiedTokens(Cache<TokenDigest, Verified>);

impl VerifiedTokens {
    /// Enough for everybody who is in a lesson at the same time, in a few megabytes.
    const MOST: usize = 65_536;

    pub(super) fn new() -> Self {
        Self(Cache::new(Self::MOST))
    }

    pub(super) fn get(&self, digest: &TokenDigest) -> Option<Verified> {
        self.0.get(digest)
    }

    pub(super) fn insert(&self, digest: TokenDigest, verified: Verified) {
        self.0.insert(digest, verified);
    }

    pub(super) fn remove(&self, digest: &TokenDigest) {
        self.0.remove(digest);
    }
}
