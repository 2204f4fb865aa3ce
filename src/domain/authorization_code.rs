//! Authorization codes (RFC 6749 section 4.1.2): the secret that the client receives, and the digest that is stored.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sea_orm::DeriveValueType;
use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use crate::random::{self, RandomSource};

/// An authorization code: 256 random bits in base64url. It appears in the redirect URL and in the exchange only.
#[derive(Debug)]
pub struct AuthorizationCode(SecretBox<String>);

/// SHA-256 of a code. A reader of the table cannot redeem codes with it.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct CodeDigest(Vec<u8>);

super::not_auto_increment!(CodeDigest);
super::redacted_debug!(CodeDigest);

impl AuthorizationCode {
    /// Generates a code.
    pub fn generate(random: &dyn RandomSource) -> Self {
        let bits = Zeroizing::new(random::bytes::<32>(random));
        Self(SecretBox::new(Box::new(URL_SAFE_NO_PAD.encode(*bits))))
    }

    /// Accepts the code of a request. Any text is accepted, as text that is not a code has no row.
    pub fn presented(text: &str) -> Self {
        Self(SecretBox::new(Box::new(text.to_owned())))
    }

    /// The digest that is stored and looked up.
    pub fn digest(&self) -> CodeDigest {
        CodeDigest(digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes()).as_ref().to_vec())
    }

    /// The code, for the redirect URL.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
