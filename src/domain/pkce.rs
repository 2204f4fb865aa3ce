//! Proof Key for Code Exchange (RFC 7636) with the method `S256`.

use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sea_orm::DeriveValueType;
use secrecy::{ExposeSecret, SecretBox};

/// `BASE64URL(SHA256(code_verifier))`, sent with the request for a code (RFC 7636 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct CodeChallenge(String);

/// The text is not an S256 challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 43 characters of base64url without padding")]
pub struct InvalidCodeChallenge;

impl CodeChallenge {
    /// Parses a challenge: 32 bytes in base64url without padding.
    pub fn parse(text: &str) -> Result<Self, InvalidCodeChallenge> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if bytes.len() == digest::SHA256_OUTPUT_LEN => Ok(Self(text.to_owned())),
            _ => Err(InvalidCodeChallenge),
        }
    }

    /// The text of the challenge.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the challenge was made from `verifier` (RFC 7636 section 4.6).
    pub fn is_met_by(&self, verifier: &CodeVerifier) -> bool {
        let challenge =
            URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.0.expose_secret().as_bytes()));
        constant_time::verify_slices_are_equal(challenge.as_bytes(), self.0.as_bytes()).is_ok()
    }
}

/// The secret behind a challenge (RFC 7636 section 4.1).
#[derive(Debug)]
pub struct CodeVerifier(SecretBox<String>);

/// The text is not a code verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have {} to {} unreserved characters", CodeVerifier::MIN, CodeVerifier::MAX)]
pub struct InvalidCodeVerifier;

impl CodeVerifier {
    /// The minimum number of characters.
    pub const MIN: usize = 43;
    /// The maximum number of characters.
    pub const MAX: usize = 128;

    /// Parses a verifier: 43 to 128 of `A-Z a-z 0-9 - . _ ~`.
    pub fn parse(text: &str) -> Result<Self, InvalidCodeVerifier> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (Self::MIN..=Self::MAX).contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(Self(SecretBox::new(Box::new(text.to_owned()))))
        } else {
            Err(InvalidCodeVerifier)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_of_the_rfc_example_matches_its_verifier() {
        // RFC 7636 appendix B.
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by(&verifier));
        assert!(!challenge.is_met_by(&CodeVerifier::parse(&"a".repeat(43)).unwrap()));
    }
}
