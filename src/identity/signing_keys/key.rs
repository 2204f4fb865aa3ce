//! One RSA key: signing with it, and checking with its public half.

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

/// A private key, ready to sign.
pub struct SigningKey {
    created_at: DateTime<Utc>,
    pair: rsa::KeyPair,
    verifying: Arc<VerifyingKey>,
}

impl SigningKey {
    /// The key in a PEM text, if it is an RSA key of at least 2048 bits in PKCS#8 and `kid` is a `UUIDv7`.
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

    /// What the key is called in a token's header and in the JWK set.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.verifying.kid()
    }

    /// When the key was made, as its id says.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// The public half.
    #[must_use]
    pub fn verifying(&self) -> &Arc<VerifyingKey> {
        &self.verifying
    }

    /// `claims` as a JWT of the type `typ`, signed with RS256 (RFC 7515 section 3.1, RFC 7518 section 3.3).
    ///
    /// This and [`VerifyingKey::verify`] are here, and not a library's, because the libraries parse the key again at
    /// every token, which takes longer than the signature does.
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

/// A public key, ready to check signatures.
pub struct VerifyingKey {
    checking: ParsedPublicKey,
    public: PublicKey,
}

impl VerifyingKey {
    /// What the key is called in a token's header and in the JWK set.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.public.kid
    }

    /// What others need to check signatures with it.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The claims of a token that this key signed.
    ///
    /// Only the signature has been checked then, as one of RS256 (RFC 8725 section 3.1), which the key decides and not
    /// the token: what the [`header`] says, `exp`, `iss` and `aud` are the caller's to check.
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

/// What is particular to one key in the JWK set (RFC 7517 section 4, RFC 7518 section 6.3.1); each of
/// them has `kty` `RSA`, `use` `sig` and `alg` `RS256` besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's id.
    pub kid: KeyId,
    /// The modulus: base64url, without padding.
    pub n: String,
    /// The exponent: base64url, without padding.
    pub e: String,
}

/// What a token says of itself before anything in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHeader {
    /// The key that it claims to be signed with.
    pub kid: String,
    /// What kind of token it claims to be.
    pub typ: String,
}

/// The one algorithm (RFC 7518 section 3.3).
#[derive(Serialize, Deserialize)]
enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
}

/// A header as it is written (RFC 7515 section 4.1).
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: Algorithm,
    kid: KeyId,
}

/// A header as it is read. None of these may be said twice.
#[derive(Deserialize)]
struct UncheckedHeader {
    typ: String,
    #[serde(rename = "alg")]
    _rs256: Algorithm,
    kid: String,
    #[serde(default, rename = "crit", deserialize_with = "refuse")]
    _nothing_critical: (),
}

/// Whatever a token makes critical is an extension, and we know none (RFC 7515 section 4.1.11).
fn refuse<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("no extension is known here"))
}

/// The header of a token, to find the key to check it with; nothing if it is no JWT signed with RS256 (RFC 7515 section
/// 3.1), lacks either field, as no token made here does, or asks for more than we know.
#[must_use]
pub fn header(token: &str) -> Option<TokenHeader> {
    let (header, rest) = token.split_once('.')?;
    let parts = 1 + rest.split('.').count();
    let UncheckedHeader { typ, kid, .. } = serde_json::from_slice(&decode(header)?).ok()?;
    (parts == 3).then_some(TokenHeader { kid, typ })
}

/// What a part of a token says: base64url without padding, in its one spelling (RFC 4648 section 3.5).
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Why a token could not be made.
#[derive(Debug, Error)]
pub enum SignError {
    /// The claims have no JSON.
    #[error("the claims cannot be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
    /// The library refused to sign.
    #[error("the signature could not be made")]
    Signature(#[from] Unspecified),
}

/// Why a token is not one of this key's, or its claims are not the expected ones.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It is not three parts in base64url.
    #[error("the token is no JWT")]
    Form,
    /// This key did not sign it.
    #[error("the signature is not this key's")]
    Signature(#[from] Unspecified),
    /// The claims are others.
    #[error("the claims are not the expected ones")]
    Claims(#[from] serde_json::Error),
}
