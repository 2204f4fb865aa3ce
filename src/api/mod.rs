//! The contract: typed handlers from which `openapi.yaml` is generated.
//!
//! There is one folder for each family and one file for each operation. The file of an operation holds its types, errors,
//! examples, links and handler. A handler extracts, calls one service method and converts the result.

pub mod caller;
pub mod classes;
pub mod openapi;
mod person;
pub mod service;
mod service_errors;
pub mod sign_in;

use std::sync::{Arc, atomic::AtomicBool};

use poem::{Endpoint, EndpointExt, IntoEndpoint, Response};
use poem_openapi::OpenApiService;
use url::Url;

use self::openapi::Document;
use crate::{
    classroom::Classroom,
    clock::Clock,
    db::Db,
    domain::origin::Origin,
    http::{
        api_error::{self, WriteError},
        client_address::TrustedProxies,
        cors::AllowedOrigins,
        middleware::{Middleware, Settings},
    },
    identity::Identity,
    random::RandomSource,
    school::School,
};

/// All operations: a tuple for each family, in the order of the document.
pub type Operations = (sign_in::Operations, classes::Operations, service::Operations);

/// What the handlers use. A handler extracts it as `Data<&Arc<Services>>`.
pub struct Services {
    /// Sign-in, tokens and keys.
    pub identity: Arc<Identity>,
    /// Classes, join codes and enrollments.
    pub classroom: Arc<Classroom>,
    /// Accounts that the school makes.
    pub school: Arc<School>,
    /// The database.
    pub db: Db,
    /// The OpenAPI document.
    pub document: Arc<Document>,
    /// The URL of the server, as its users know it.
    pub public_url: Url,
    /// Whether the server is about to stop.
    pub draining: Arc<AtomicBool>,
}

/// The endpoint of all operations, without the middleware.
pub fn endpoint(services: Services, proxies: TrustedProxies) -> impl Endpoint<Output = Response> + 'static {
    let validators = services.document.validators().clone();
    OpenApiService::new(Operations::default(), openapi::TITLE, openapi::VERSION)
        .into_endpoint()
        .data(validators)
        .data(proxies)
        .data(Arc::new(services))
}

/// The middleware around `inner`, with the routes, the error bodies and the allowed origins of this API.
pub fn middleware<E: Endpoint>(
    inner: E,
    document: &Document,
    identity: Arc<Identity>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    hsts: Option<u32>,
) -> Middleware<E, Arc<Identity>> {
    let routes = document.routes().clone();
    Middleware::new(inner, Settings { routes, origins: identity, write_error, clock, random, hsts })
}

/// Whether a path is below that of the sign-in family.
fn is_sign_in(path: &str) -> bool {
    path == "/api/v1" || path.starts_with("/api/v1/")
}

/// Errors of the sign-in family have its envelope. All other errors have the envelope of the classroom family.
fn write_error(path: &str) -> WriteError {
    if is_sign_in(path) {
        api_error::write_error::<sign_in::error::ErrorCode>
    } else {
        api_error::write_error::<classes::error::ErrorCode>
    }
}

impl AllowedOrigins for Arc<Identity> {
    async fn contains(&self, origin: &Origin) -> bool {
        self.apps.allows_origin(origin).await.unwrap_or(false)
    }
}
