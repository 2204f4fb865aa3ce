//! One RSA key: signing and verifying.

use std::{
    fmt::{self, Debug, Formatter},
    sync::Arc,
};

use aws_lc_rs::{
    error::Unspecified,
    rand::SystemRandom,
    rsa,
    signature::{KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::id::KeyId;

/// The label of a PKCS#8 private key in PEM (RFC 7468 section 10).
pub(super) const PEM_TAG: &str = "PRIVATE KEY";

/// A parsed private key.
pub struct SigningKey {
    created_at: DateTime<Utc>,
    pair: rsa::KeyPair,
    verifying: Arc<VerifyingKey>,
}

impl SigningKey {
    /// Parses a PEM text. `None` unless it is an RSA key of at least 2048 bits in PKCS#8, and `kid` is a UUIDv7.
    pub(super) fn from_pem(kid: KeyId, text: &[u8]) -> Option<Self> {
        let created_at = kid.created_at()?;
        let pem = pem::parse(text).ok().filter(|pem| pem.tag() == PEM_TAG)?;
        let der = Zeroizing::new(pem.into_contents());
        let pair = rsa::KeyPair::from_pkcs8(&der).ok()?;
        let components = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let verifying = Arc::new(VerifyingKey {
            checking: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key()).ok()?,
            public: PublicKey {
                kid,
                n: URL_SAFE_NO_PAD.encode(components.n),
                e: URL_SAFE_NO_PAD.encode(components.e),
            },
        });
        Some(Self { created_at, pair, verifying })
    }

    /// `kid` in the header of tokens and in the JWK set.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.verifying.kid()
    }

    /// The creation time, from the id.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// The public key.
    #[must_use]
    pub fn verifying(&self) -> &Arc<VerifyingKey> {
        &self.verifying
    }

    /// Signs `claims` as a JWT of the type `typ` with RS256 (RFC 7515 section 3.1, RFC 7518 section 3.3).
    ///
    /// `docs/decisions/0002-jwt-library.md` says why this and [`VerifyingKey::verify`] use no JWT library.
    pub fn sign<C: Serialize>(&self, typ: &str, claims: &C) -> Result<String, SignError> {
        let header = Header { typ, alg: Algorithm::Rs256, kid: self.kid() };
        let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);

        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl Debug for SigningKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.kid()).finish()
    }
}

/// A parsed public key.
pub struct VerifyingKey {
    checking: ParsedPublicKey,
    public: PublicKey,
}

impl VerifyingKey {
    /// The id of the key, `kid` in a token's header and in the JWK set.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.public.kid
    }

    /// The key as the JWK set publishes it.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Verifies the signature of a token and returns its claims.
    ///
    /// The key fixes the algorithm, not the token (RFC 8725 section 3.1). The caller has to check the [`header`], `exp`, `iss` and
    /// `aud`.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<C, VerifyError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(VerifyError::Form)?;
        let (_, claims) = signed.split_once('.').ok_or(VerifyError::Form)?;
        let signature = decode(signature).ok_or(VerifyError::Form)?;
        self.checking.verify_sig(signed.as_bytes(), &signature)?;
        let claims = decode(claims).ok_or(VerifyError::Form)?;
        Ok(serde_json::from_slice(&claims)?)
    }
}

impl Debug for VerifyingKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey").field(&self.kid()).finish()
    }
}

/// The members of a key in the JWK set that differ between keys (RFC 7517 section 4, RFC 7518 section 6.3.1). All keys have `kty`
/// `RSA`, `use` `sig` and `alg` `RS256`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's id.
    pub kid: KeyId,
    /// The modulus: base64url, without padding.
    pub n: String,
    /// The exponent: base64url, without padding.
    pub e: String,
}

/// The unverified header of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHeader {
    /// The id of the signing key.
    pub kid: String,
    /// The type of the token.
    pub typ: String,
}

/// The only supported algorithm (RFC 7518 section 3.3).
#[derive(Serialize, Deserialize)]
enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
}

/// A serialized header (RFC 7515 section 4.1).
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: Algorithm,
    kid: KeyId,
}

/// A received header. serde rejects duplicate members.
#[derive(Deserialize)]
struct UncheckedHeader {
    typ: String,
    #[serde(rename = "alg")]
    _rs256: Algorithm,
    kid: String,
    #[serde(default, rename = "crit", deserialize_with = "refuse")]
    _nothing_critical: (),
}

/// Rejects critical extensions, as none is supported (RFC 7515 section 4.1.11).
fn refuse<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("no extension is supported"))
}

/// Parses the header of a token. `None` unless it is a JWT with RS256 (RFC 7515 section 3.1), `typ` and `kid`, and without critical
/// extensions.
#[must_use]
pub fn header(token: &str) -> Option<TokenHeader> {
    let (header, rest) = token.split_once('.')?;
    let parts = 1 + rest.split('.').count();
    let UncheckedHeader { typ, kid, .. } = serde_json::from_slice(&decode(header)?).ok()?;
    (parts == 3).then_some(TokenHeader { kid, typ })
}

/// Decodes base64url without padding in canonical form (RFC 4648 section 3.5).
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Why [`SigningKey::sign`] failed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The claims cannot be serialized.
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
    /// The library could not sign.
    #[error("the signature could not be made")]
    Signature(#[from] Unspecified),
}

/// Why [`VerifyingKey::verify`] failed.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The token is not three parts in base64url.
    #[error("the token is not a JWT")]
    Form,
    /// The signature does not match.
    #[error("the signature does not match the key")]
    Signature(#[from] Unspecified),
    /// The claims have another structure.
    #[error("the claims are not the expected ones")]
    Claims(#[from] serde_json::Error),
}
