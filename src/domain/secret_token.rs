//! Opaque secrets of 256 random bits: the secret itself, which one client receives, and the digest, which is stored.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sea_orm::DeriveValueType;
use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use crate::random::{self, RandomSource};

macro_rules! secret_token {
    ($(#[$of_secret:meta])* $secret:ident, $(#[$of_digest:meta])* $digest:ident) => {
        $(#[$of_secret])*
        #[derive(Debug)]
        pub struct $secret(SecretBox<String>);

        $(#[$of_digest])*
        #[derive(Clone, PartialEq, Eq, DeriveValueType)]
        pub struct $digest(Vec<u8>);

        super::not_auto_increment!($digest);
        super::redacted_debug!($digest);

        impl $secret {
            /// Generates a secret: 256 random bits in base64url.
            pub fn generate(random: &dyn RandomSource) -> Self {
                let bits = Zeroizing::new(random::bytes::<32>(random));
                Self(SecretBox::new(Box::new(URL_SAFE_NO_PAD.encode(*bits))))
            }

            /// Accepts the secret of a request. Any text is accepted, as text that was not generated has no row.
            pub fn presented(text: &str) -> Self {
                Self(SecretBox::new(Box::new(text.to_owned())))
            }

            /// The digest that is stored and looked up.
            pub fn digest(&self) -> $digest {
                let secret = self.0.expose_secret().as_bytes();
                $digest(digest::digest(&digest::SHA256, secret).as_ref().to_vec())
            }

            /// The secret, for its client.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }
    };
}

secret_token! {
    /// An authorization code (RFC 6749 section 4.1.2). It appears in the redirect URL and in the exchange only.
    AuthorizationCode,
    /// SHA-256 of a code. A reader of the table cannot redeem codes with it.
    CodeDigest
}

secret_token! {
    /// A refresh token (RFC 6749 section 1.5). It appears in the responses and requests of `POST /api/v1/tokens` only.
    RefreshToken,
    /// SHA-256 of a refresh token. A reader of the table cannot refresh with it.
    RefreshTokenDigest
}

secret_token! {
    /// The secret in the link of a mail: it confirms an address or resets a password.
    ConfirmHash,
    /// SHA-256 of such a secret. A reader of the table cannot use it as a link.
    ConfirmHashDigest
}
