//! One RSA key: signing with it, and checking with its public half.

use std::{
    fmt::{self, Debug, Formatter},
    sync::{Arc, LazyLock},
};

use aws_lc_rs::{
    error::Unspecified,
    rand::SystemRandom,
    rsa,
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use uuid::{Uuid, Version};
use zeroize::Zeroizing;

/// The label of a PKCS#8 private key in PEM (RFC 7468 section 10).
pub(super) const PEM_TAG: &str = "PRIVATE KEY";

/// Signatures and nothing else: when a token runs out is judged by the caller, on the caller's clock,
/// and so are its audience and issuer.
static SIGNATURE_ONLY: LazyLock<Validation> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
});

/// A private key, ready to sign.
pub struct SigningKey {
    created_at: DateTime<Utc>,
    pair: rsa::KeyPair,
    verifying: Arc<VerifyingKey>,
}

impl SigningKey {
    /// The key in a PEM text, if it is an RSA key of at least 2048 bits in PKCS#8 and `kid` is a `UUIDv7`.
    pub(super) fn from_pem(kid: Uuid, text: &[u8]) -> Option<Self> {
        let created_at = birth(kid)?;
        let pem = pem::parse(text).ok().filter(|pem| pem.tag() == PEM_TAG)?;
        let der = Zeroizing::new(pem.into_contents());
        let pair = rsa::KeyPair::from_pkcs8(&der).ok()?;
        let components = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let verifying = Arc::new(VerifyingKey {
            checking: DecodingKey::from_rsa_raw_components(&components.n, &components.e),
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
    pub fn kid(&self) -> Uuid {
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
    /// `jsonwebtoken` parses and checks the private key again at every signature, which takes longer
    /// than signing does, so the signature itself is made here, by the key pair that is at hand.
    pub fn sign<C: Serialize>(&self, typ: &str, claims: &C) -> Result<String, SignError> {
        let header = Header {
            typ: Some(typ.to_owned()),
            kid: Some(self.kid().to_string()),
            ..Header::new(Algorithm::RS256)
        };
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
    checking: DecodingKey,
    public: PublicKey,
}

impl VerifyingKey {
    /// What the key is called in a token's header and in the JWK set.
    #[must_use]
    pub fn kid(&self) -> Uuid {
        self.public.kid
    }

    /// What others need to check signatures with it.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The claims of a token that this key signed.
    ///
    /// Only the signature has been checked then, and that its algorithm is RS256 (RFC 8725 section 3.1):
    /// `typ`, `exp`, `iss` and `aud` are the caller's to check.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<C, VerifyError> {
        Ok(jsonwebtoken::decode(token, &self.checking, &SIGNATURE_ONLY)?.claims)
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
    pub kid: Uuid,
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

/// The header of a token, to find the key to check it with; nothing if it is no JWT or lacks either field,
/// as no token made here does.
#[must_use]
pub fn header(token: &str) -> Option<TokenHeader> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    Some(TokenHeader { kid: header.kid?, typ: header.typ? })
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
#[error("the token does not verify: {0}")]
pub struct VerifyError(#[from] jsonwebtoken::errors::Error);

/// The instant inside a `UUIDv7` (RFC 9562 section 5.7); nothing if it is another version.
fn birth(kid: Uuid) -> Option<DateTime<Utc>> {
    if kid.get_version() != Some(Version::SortRand) {
        return None;
    }
    let (seconds, nanoseconds) = kid.get_timestamp()?.to_unix();
    DateTime::from_timestamp(seconds.try_into().ok()?, nanoseconds)
}
