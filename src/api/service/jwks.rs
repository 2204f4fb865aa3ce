//! `GET /.well-known/jwks.json`

use std::sync::Arc;

use poem::{http::HeaderValue, web::Data};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, types::ToHeader};
use serde_json::json;

use crate::{
    api::{Services, openapi::Tag},
    domain::id::KeyId,
    http::{
        json::Json,
        operation::{Describe, OperationDetails},
        string_types::text,
    },
    identity::signing_keys::PublicKey,
};

/// A JSON Web Key Set (RFC 7517 section 5).
#[derive(Debug, Object)]
#[oai(rename = "JwkSet")]
pub struct KeySet {
    /// The keys, the oldest first.
    #[oai(validator(min_items = 1, max_items = 100))]
    keys: Vec<Jwk>,
}

/// A public RSA key (RFC 7518 section 6.3.1).
#[derive(Debug, Object)]
pub struct Jwk {
    /// The type of the key.
    kty: KeyType,
    /// The use of the key.
    #[oai(rename = "use")]
    usage: KeyUse,
    /// The algorithm of the key.
    alg: KeyAlgorithm,
    /// The id of the key, a UUIDv7.
    kid: KeyId,
    /// The modulus, in base64url.
    #[oai(validator(max_length = 512, pattern = "^[A-Za-z0-9_-]+$"))]
    n: String,
    /// The exponent, in base64url.
    #[oai(validator(max_length = 8, pattern = "^[A-Za-z0-9_-]+$"))]
    e: String,
}

impl From<&PublicKey> for Jwk {
    fn from(PublicKey { kid, n, e }: &PublicKey) -> Self {
        Self {
            kty: KeyType::Rsa,
            usage: KeyUse::Signature,
            alg: KeyAlgorithm::Rs256,
            kid: *kid,
            n: n.clone(),
            e: e.clone(),
        }
    }
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JwkKeyType", rename_all = "UPPERCASE")]
enum KeyType {
    /// RSA.
    Rsa,
}

/// The use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JwkUse")]
enum KeyUse {
    /// Signatures.
    #[oai(rename = "sig")]
    Signature,
}

/// The algorithm of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JwkAlgorithm", rename_all = "UPPERCASE")]
enum KeyAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

/// How long clients may cache the key set (RFC 9111 section 5.2.2.1): five minutes. A new key signs only after twice that time.
const CACHE_CONTROL: &str = "public, max-age=300";

/// The value of `Cache-Control`.
pub struct KeySetCaching;

text!(KeySetCaching, "Header", |_: &str| Ok::<_, &str>(Self), {
    max_length: CACHE_CONTROL.len(),
    example: CACHE_CONTROL.into(),
});

impl ToHeader for KeySetCaching {
    fn to_header(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(CACHE_CONTROL))
    }
}

/// The response with the key set.
#[derive(ApiResponse)]
pub enum KeySetResponse {
    /// The key set
    #[oai(status = 200)]
    Ok(
        Json<KeySet>,
        /// How long the key set may be cached.
        #[oai(header = "Cache-Control")]
        KeySetCaching,
    ),
}

/// `GET /.well-known/jwks.json`
#[derive(Default)]
pub struct GetKeySet;

#[OpenApi(tag = "Tag::Service")]
impl GetKeySet {
    /// The public keys of the tokens' signatures
    ///
    /// A JSON Web Key Set (RFC 7517 section 5). If a token names a key that is not in the cached set, read the set again: the
    /// key is new.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "getKeySet")]
    async fn get_key_set(&self, services: Data<&Arc<Services>>) -> KeySetResponse {
        let keys = services.identity.keys.published().iter().map(Jwk::from).collect();
        KeySetResponse::Ok(Json(KeySet { keys }), KeySetCaching)
    }
}

impl Describe for GetKeySet {
    fn details() -> Vec<OperationDetails> {
        let key = json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": "01900000-0000-7000-8000-000000000001",
            "n": EXAMPLE_MODULUS,
            "e": "AQAB",
        });
        vec![OperationDetails::new("getKeySet").public().response_example(200, json!({ "keys": [key] }))]
    }
}

/// The modulus of RFC 7517 appendix A.1.
const EXAMPLE_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP\
    ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZg\
    nYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-\
    csFCur-kEgU8awapJzKnqDKgw";
