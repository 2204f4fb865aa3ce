//! The service operations: a table of contents. Their bodies are their own.

use std::sync::Arc;

use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    payload::{Html, Payload},
    registry::{MetaSchema, MetaSchemaRef},
};

use crate::{
    api::{
        json::Json,
        openapi::{self, Tag},
    },
    identity::{Identity, signing_keys::PublicKey},
    store::Store,
};

/// How long a key set may be kept, in seconds (RFC 9111 section 5.2.2.1). A new key signs only after twice that.
const KEYS_MAX_AGE: &str = "public, max-age=300";

/// The handlers, with what they ask.
pub struct Service {
    identity: Arc<Identity>,
    store: Store,
}

impl Service {
    /// Opens the service operations.
    pub fn new(identity: Arc<Identity>, store: Store) -> Self {
        Self { identity, store }
    }
}

#[OpenApi(tag = "Tag::Service")]
impl Service {
    /// The public keys that tokens are signed with
    ///
    /// A JSON Web Key Set (RFC 7517 section 5). A key that a token names and this set does not hold is a new one: read it
    /// again.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "getKeySet")]
    async fn key_set(&self) -> KeySetResponse {
        let keys = self.identity.keys().published().iter().map(Jwk::from).collect();
        KeySetResponse::Ok(Json(KeySet { keys }), KEYS_MAX_AGE.to_owned())
    }

    /// Whether the server runs
    ///
    /// It says so without asking anything else: a server that does not answer here is to be restarted.
    #[oai(path = "/health/live", method = "get", operation_id = "getLiveness")]
    async fn live(&self) -> LiveResponse {
        LiveResponse::Ok(Json(Health { status: HealthStatus::Up }))
    }

    /// Whether the server can do its work
    ///
    /// It can when its database answers.
    #[oai(path = "/health/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self) -> ReadyResponse {
        match self.store.ping().await {
            Ok(()) => ReadyResponse::Ok(Json(Health { status: HealthStatus::Up })),
            Err(_) => ReadyResponse::Down(Json(Health { status: HealthStatus::Down })),
        }
    }

    /// This document, as YAML
    ///
    /// The bytes of the `openapi.yaml` that the server was released with.
    #[oai(path = "/openapi.yaml", method = "get", operation_id = "getDocumentYaml")]
    async fn document_yaml(&self) -> YamlResponse {
        YamlResponse::Ok(Yaml(openapi::document().yaml()))
    }

    /// This document, as JSON
    ///
    /// It says the same as `/openapi.yaml`.
    #[oai(path = "/openapi.json", method = "get", operation_id = "getDocumentJson")]
    async fn document_json(&self) -> JsonResponse {
        JsonResponse::Ok(JsonText(openapi::document().json()))
    }

    /// This document, to read and to try
    ///
    /// Swagger UI, whole: the page asks nobody but this server.
    #[oai(path = "/docs", method = "get", operation_id = "getDocs")]
    async fn docs(&self) -> DocsResponse {
        DocsResponse::Ok(Html(openapi::page()))
    }
}

/// A JSON Web Key Set (RFC 7517 section 5).
#[derive(Debug, Object)]
pub struct KeySet {
    /// The keys, the oldest first.
    #[oai(validator(min_items = 1, max_items = 100))]
    keys: Vec<Jwk>,
}

/// A public RSA key (RFC 7518 section 6.3.1).
#[derive(Debug, Object)]
pub struct Jwk {
    /// The key's type.
    kty: KeyType,
    /// What it is for.
    #[oai(rename = "use")]
    usage: KeyUse,
    /// The algorithm it is used with.
    alg: KeyAlgorithm,
    /// Its id, a UUIDv7.
    kid: uuid::Uuid,
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

/// A key's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "UPPERCASE")]
pub enum KeyType {
    /// RSA.
    Rsa,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum KeyUse {
    /// Signatures.
    #[oai(rename = "sig")]
    Signature,
}

/// The algorithm that a key is used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "UPPERCASE")]
pub enum KeyAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

/// How the server does.
#[derive(Debug, Object)]
pub struct Health {
    /// Whether it does.
    status: HealthStatus,
}

/// Whether the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "camelCase")]
pub enum HealthStatus {
    /// It does.
    Up,
    /// It does not.
    Down,
}

/// The key set.
#[derive(ApiResponse)]
pub enum KeySetResponse {
    /// The key set
    #[oai(status = 200)]
    Ok(
        Json<KeySet>,
        /// How long the set may be kept.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

/// The server runs.
#[derive(ApiResponse)]
pub enum LiveResponse {
    /// The server runs
    #[oai(status = 200)]
    Ok(Json<Health>),
}

/// Whether the server can do its work.
#[derive(ApiResponse)]
pub enum ReadyResponse {
    /// The server can do its work
    #[oai(status = 200)]
    Ok(Json<Health>),
    /// The database does not answer
    #[oai(status = 503)]
    Down(Json<Health>),
}

/// The document as YAML.
#[derive(ApiResponse)]
pub enum YamlResponse {
    /// The document
    #[oai(status = 200)]
    Ok(Yaml),
}

/// The document as JSON.
#[derive(ApiResponse)]
pub enum JsonResponse {
    /// The document
    #[oai(status = 200)]
    Ok(JsonText),
}

/// The page.
#[derive(ApiResponse)]
pub enum DocsResponse {
    /// The page
    #[oai(status = 200)]
    Ok(Html<&'static str>),
}

/// YAML that was written down before (RFC 9512).
pub struct Yaml(&'static str);

/// JSON that was written down before.
pub struct JsonText(&'static str);

/// Bytes that are served as they are.
macro_rules! written {
    ($payload:ident, $content_type:literal, $type:literal) => {
        impl Payload for $payload {
            const CONTENT_TYPE: &'static str = $content_type;

            fn check_content_type(content_type: &str) -> bool {
                content_type == Self::CONTENT_TYPE
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema::new($type)))
            }
        }

        impl poem::IntoResponse for $payload {
            fn into_response(self) -> poem::Response {
                poem::Response::builder().content_type(Self::CONTENT_TYPE).body(self.0)
            }
        }
    };
}
written!(Yaml, "application/yaml", "string");
written!(JsonText, "application/json", "object");
