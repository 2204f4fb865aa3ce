//! The service operations: a table of contents. Their bodies are their own.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use poem::{Request, http::HeaderValue};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::Header,
    registry::{MetaMediaType, MetaSchema, MetaSchemaRef},
    types::ToHeader,
};
use serde_json::json;

use super::landing::{Landing, ServiceInfo};
use crate::{
    api::openapi::{self, Document},
    db::Db,
    domain::id::KeyId,
    http::{
        json::Json,
        operation::Examples,
        static_body::TAG_EXAMPLE,
        static_response::{Content, StaticResponse},
        text::text,
    },
    identity::{Identity, signing_keys::PublicKey},
};

/// The handlers, with what they ask.
pub struct Service {
    identity: Arc<Identity>,
    db: Db,
    document: Arc<Document>,
    landing: Landing,
    /// Whether the server is about to stop.
    leaving: Arc<AtomicBool>,
}

impl Service {
    /// Opens the service operations.
    pub fn new(identity: Arc<Identity>, db: Db, document: Arc<Document>, leaving: Arc<AtomicBool>) -> Self {
        let landing = Landing::new(document.base());
        Self { identity, db, document, landing, leaving }
    }

    /// The examples of the service operations.
    pub fn examples() -> Vec<Examples> {
        let up = (200, json!({ "status": "up" }));
        let keys = json!([{
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": "01900000-0000-7000-8000-000000000001",
            "n": EXAMPLE_MODULUS,
            "e": "AQAB",
        }]);
        let info = json!({
            "name": "Homeroom",
            "version": openapi::VERSION,
            "docs": "/docs",
            "openapiYaml": "/openapi.yaml",
            "openapiJson": "/openapi.json",
        });
        vec![
            Examples { id: "getServiceInfo", request: None, responses: vec![(200, info)] },
            Examples { id: "getKeySet", request: None, responses: vec![(200, json!({ "keys": keys }))] },
            Examples { id: "getLiveness", request: None, responses: vec![up.clone()] },
            Examples {
                id: "getReadiness",
                request: None,
                responses: vec![up, (503, json!({ "status": "down" }))],
            },
        ]
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
        let keys = self.identity.keys.published().iter().map(Jwk::from).collect();
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
        match self.db.ping().await {
            Ok(()) if !self.leaving.load(Ordering::Relaxed) => {
                ReadyResponse::Ok(Json(Health { status: HealthStatus::Up }))
            }
            _ => ReadyResponse::Down(Json(Health { status: HealthStatus::Down })),
        }
    }

    /// What this server is
    ///
    /// A browser gets a page with links to the documents of the API, a program gets the same links as JSON. `Accept`
    /// decides; JSON is sent if it allows both alike.
    #[oai(path = "/", method = "get", operation_id = "getServiceInfo")]
    async fn info(
        &self,
        request: &Request,
        /// The tags of the forms that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match", example = "example_tags")]
        held: Header<Option<String>>,
    ) -> StaticResponse<ServiceInfo> {
        self.landing.respond(request, held.as_deref()).into()
    }

    /// This document, as YAML
    ///
    /// The bytes of the `openapi.yaml` that the server was released with. If the server's public URL has a path, then
    /// that path is the URL in `servers`.
    #[oai(path = "/openapi.yaml", method = "get", operation_id = "getDocumentYaml")]
    async fn document_yaml(
        &self,
        request: &Request,
        /// The tags of the forms that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match", example = "example_tags")]
        held: Header<Option<String>>,
    ) -> StaticResponse<Yaml> {
        self.document.yaml().respond(request, held.as_deref()).into()
    }

    /// This document, as JSON
    ///
    /// It says the same as `/openapi.yaml`.
    #[oai(path = "/openapi.json", method = "get", operation_id = "getDocumentJson")]
    async fn document_json(
        &self,
        request: &Request,
        /// The tags of the forms that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match", example = "example_tags")]
        held: Header<Option<String>>,
    ) -> StaticResponse<JsonText> {
        self.document.json().respond(request, held.as_deref()).into()
    }

    /// This document, to read and to try
    ///
    /// Swagger UI, whole: the page asks nobody but this server.
    #[oai(path = "/docs", method = "get", operation_id = "getDocs")]
    async fn docs(
        &self,
        request: &Request,
        /// The tags of the forms that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match", example = "example_tags")]
        held: Header<Option<String>>,
    ) -> StaticResponse<DocsPage> {
        self.document.page().respond(request, held.as_deref()).into()
    }
}

/// The modulus of RFC 7517 appendix A.1.
const EXAMPLE_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP\
    ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZg\
    nYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-\
    csFCur-kEgU8awapJzKnqDKgw";

#[expect(clippy::unnecessary_wraps, reason = "the framework takes an example of the parameter's type")]
fn example_tags() -> Option<String> {
    Some(TAG_EXAMPLE.to_owned())
}

/// How long a key set may be kept (RFC 9111 section 5.2.2.1): five minutes. A new key signs only after twice that.
pub struct KeySetCaching(String);

text!(KeySetCaching, "Header", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 19,
    example: "public, max-age=300".into(),
});

impl ToHeader for KeySetCaching {
    fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl Default for KeySetCaching {
    fn default() -> Self {
        Self("public, max-age=300".to_owned())
    }
}

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
    /// The key's type.
    kty: KeyType,
    /// What it is for.
    #[oai(rename = "use")]
    usage: KeyUse,
    /// The algorithm it is used with.
    alg: KeyAlgorithm,
    /// Its id, a UUIDv7.
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

/// A key's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JwkKeyType", rename_all = "UPPERCASE")]
pub enum KeyType {
    /// RSA.
    Rsa,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JwkUse")]
pub enum KeyUse {
    /// Signatures.
    #[oai(rename = "sig")]
    Signature,
}

/// The algorithm that a key is used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JwkAlgorithm", rename_all = "UPPERCASE")]
pub enum KeyAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

/// How the server does.
#[derive(Debug, Object)]
#[oai(rename = "ServiceHealth")]
pub struct Health {
    /// Whether it does.
    status: HealthStatus,
}

/// Whether the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ServiceHealthStatus", rename_all = "camelCase")]
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

/// The document as YAML (RFC 9512). Its schema is that of a file: clients do not read it into an object.
pub struct Yaml;

impl Content for Yaml {
    fn media_types() -> Vec<MetaMediaType> {
        let schema = MetaSchema::new_with_format("string", "binary");
        vec![media_type("application/yaml", schema)]
    }
}

/// The document as JSON.
pub struct JsonText;

impl Content for JsonText {
    fn media_types() -> Vec<MetaMediaType> {
        vec![media_type("application/json", MetaSchema::new("object"))]
    }
}

/// The page of the document.
pub struct DocsPage;

impl Content for DocsPage {
    fn media_types() -> Vec<MetaMediaType> {
        vec![html()]
    }
}

/// A page. The document names its media type without the parameter that comes with it.
pub fn html() -> MetaMediaType {
    media_type("text/html", MetaSchema::new_with_format("string", "binary"))
}

fn media_type(content_type: &'static str, schema: MetaSchema) -> MetaMediaType {
    MetaMediaType { content_type, schema: MetaSchemaRef::Inline(Box::new(schema)) }
}
