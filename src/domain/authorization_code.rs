//! Authorization codes (RFC 6749 section 4.1.2): the secret that travels, and the digest that stays.

use std::fmt;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sea_orm::DeriveValueType;
use zeroize::Zeroizing;

use crate::random::{self, RandomSource};

/// The plain code: 256 random bits in base64url. It is only ever in the redirect URL and in the exchange.
pub struct AuthorizationCode(Zeroizing<String>);

/// The stored code: SHA-256 of the plain one. Who reads the table cannot redeem from it.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct CodeDigest(Vec<u8>);

super::not_auto_increment!(CodeDigest);

impl AuthorizationCode {
    /// Generates a code.
    pub fn generate(random: &dyn RandomSource) -> Self {
        let bits = Zeroizing::new(random::bytes::<32>(random));
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bits)))
    }

    /// Takes what a client presents. Any text will do: one that was never drawn has no row.
    pub fn presented(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// What is stored and looked up.
    pub fn digest(&self) -> CodeDigest {
        CodeDigest(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref().to_vec())
    }

    /// The plain code, for the redirect URL.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationCode(..)")
    }
}

impl fmt::Debug for CodeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeDigest(..)")
    }
}
