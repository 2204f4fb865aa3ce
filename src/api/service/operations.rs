//! The service operations: a table of contents. Their bodies are their own.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use poem::http::HeaderValue;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::Header,
    payload::{Html, Payload},
    registry::{MetaSchema, MetaSchemaRef},
    types::ToHeader,
};

use crate::{
    api::{json::Json, openapi, text::text},
    identity::{Identity, signing_keys::PublicKey},
    store::Store,
};

/// The handlers, with what they ask.
pub struct Service {
    identity: Arc<Identity>,
    store: Store,
    /// Whether the server is about to stop.
    leaving: Arc<AtomicBool>,
}

impl Service {
    /// Opens the service operations.
    pub fn new(identity: Arc<Identity>, store: Store, leaving: Arc<AtomicBool>) -> Self {
        Self { identity, store, leaving }
    }
}

#[OpenApi(tag = "openapi::Tag::Service")]
impl Service {
    /// The public keys that tokens are signed with
    ///
    /// A JSON Web Key Set (RFC 7517 section 5). A key that a token names and this set does not hold is a new one: read it
    /// again.
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "getKeySet")]
    async fn key_set(&self) -> KeySetResponse {
        let keys = self.identity.keys().published().iter().map(Jwk::from).collect();
        KeySetResponse::Ok(Json(KeySet { keys }), KeySetCaching::default())
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
    /// It can when its database answers, and as long as it was not told to stop.
    #[oai(path = "/health/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self) -> ReadyResponse {
        match self.store.ping().await {
            Ok(()) if !self.leaving.load(Ordering::Relaxed) => {
                ReadyResponse::Ok(Json(Health { status: HealthStatus::Up }))
            }
            _ => ReadyResponse::Down(Json(Health { status: HealthStatus::Down })),
        }
    }

    /// This document, as YAML
    ///
    /// The bytes of the `openapi.yaml` that the server was released with.
    #[oai(path = "/openapi.yaml", method = "get", operation_id = "getDocumentYaml")]
    async fn document_yaml(
        &self,
        /// The tags of the forms that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match")]
        held: Header<Option<String>>,
    ) -> YamlResponse {
        let text = openapi::document().yaml();
        if text.is_held(held.as_deref()) {
            YamlResponse::NotModified(Tag(text.tag()), TextCaching::default())
        } else {
            YamlResponse::Ok(Yaml(text.as_str()), Tag(text.tag()), TextCaching::default())
        }
    }

    /// This document, as JSON
    ///
    /// It says the same as `/openapi.yaml`.
    #[oai(path = "/openapi.json", method = "get", operation_id = "getDocumentJson")]
    async fn document_json(
        &self,
        /// The tags of the forms that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match")]
        held: Header<Option<String>>,
    ) -> JsonResponse {
        let text = openapi::document().json();
        if text.is_held(held.as_deref()) {
            JsonResponse::NotModified(Tag(text.tag()), TextCaching::default())
        } else {
            JsonResponse::Ok(JsonText(text.as_str()), Tag(text.tag()), TextCaching::default())
        }
    }

    /// This document, to read and to try
    ///
    /// Swagger UI, whole: the page asks nobody but this server.
    #[oai(path = "/docs", method = "get", operation_id = "getDocs")]
    async fn docs(
        &self,
        /// The tags of the forms that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match")]
        held: Header<Option<String>>,
    ) -> DocsResponse {
        let text = openapi::page().text();
        if text.is_held(held.as_deref()) {
            DocsResponse::NotModified(Tag(text.tag()), TextCaching::default())
        } else {
            DocsResponse::Ok(Html(text.as_str()), Tag(text.tag()), TextCaching::default())
        }
    }
}

/// Makes a header's value, with what the document says of it.
macro_rules! header {
    ($(#[$doc:meta])* $name:ident, $length:expr, $pattern:expr) => {
        $(#[$doc])*
        pub struct $name(String);

        text!($name, "Header", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
            max_length: $length,
            pattern: $pattern.into(),
        });

        impl ToHeader for $name {
            fn to_header(&self) -> Option<HeaderValue> {
                HeaderValue::from_str(&self.0).ok()
            }
        }
    };
}
header!(
    /// How long a key set may be kept (RFC 9111 section 5.2.2.1): five minutes. A new key signs only after twice that.
    KeySetCaching, 19, "^public, max-age=300$"
);
header!(
    /// How long a text with a tag may be kept (RFC 9111 section 5.2.2.4): for good, but it is asked for again.
    TextCaching, 8, "^no-cache$"
);
header!(
    /// An entity tag (RFC 9110 section 8.8.3).
    Tag, 24, "^\"[A-Za-z0-9_-]{22}\"$"
);

impl Default for KeySetCaching {
    fn default() -> Self {
        Self("public, max-age=300".to_owned())
    }
}

impl Default for TextCaching {
    fn default() -> Self {
        Self("no-cache".to_owned())
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
        KeySetCaching,
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

/// Makes the response of a text that is served with a tag, and only if the client does not have it.
macro_rules! tagged {
    ($response:ident, $payload:ty) => {
        /// A text, or word that the client has it.
        #[derive(ApiResponse)]
        pub enum $response {
            /// The text
            #[oai(status = 200)]
            Ok(
                $payload,
                /// The text's tag (RFC 9110 section 8.8.3).
                #[oai(header = "ETag")]
                Tag,
                /// The text may be kept, but is asked for again.
                #[oai(header = "Cache-Control")]
                TextCaching,
            ),
            /// The client has the text
            #[oai(status = 304)]
            NotModified(
                /// The text's tag (RFC 9110 section 8.8.3).
                #[oai(header = "ETag")]
                Tag,
                /// The text may be kept, but is asked for again.
                #[oai(header = "Cache-Control")]
                TextCaching,
            ),
        }
    };
}
tagged!(YamlResponse, Yaml);
tagged!(JsonResponse, JsonText);
tagged!(DocsResponse, Html<&'static str>);

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
written!(Yaml, "application/yaml", "object");
written!(JsonText, "application/json", "object");
