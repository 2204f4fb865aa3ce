//! The document: made from the handlers' types, finished here, and served. The bytes that are served are the bytes of
//! `openapi.yaml`, unless the server's public URL has a path.

mod finish;
mod page;

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{LazyLock, OnceLock},
};

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    ContactObject, LicenseObject, OpenApi, OpenApiService, SecurityScheme, ServerObject, Tags,
    auth::Bearer,
    registry::{MetaApi, Registry},
};
use serde_json::Value;

use super::{
    classes::operations::Classes, service::operations::Service, sign_in::operations::SignInOperations,
};
use crate::http::{routes, routes::Route, static_body::StaticBody};

pub use self::page::html_page;

/// The contract's own version, by the rules of semantic versioning.
pub const VERSION: &str = "1.0.0";

/// The operations of every family.
pub type Operations = (SignInOperations, Classes, Service);

/// What the operations are about.
#[derive(Tags)]
pub enum Tag {
    /// Signing in: e-mail and password become a code, the code becomes tokens.
    #[oai(rename = "sign-in")]
    SignIn,
    /// Joining a class: its owner draws a code, students join with it.
    #[oai(rename = "classes")]
    Classes,
    /// What the server says of itself.
    #[oai(rename = "service")]
    Service,
}

/// An access token of `POST /api/v1/tokens`, in the `Authorization` header (RFC 6750 section 2.1). It is a JWT of type
/// `at+jwt` (RFC 9068), signed with RS256 and checked as RFC8725 asks.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "accessToken", bearer_format = "JWT")]
pub struct AccessToken(pub Bearer);

/// The document of one server, in the forms in which it is needed.
pub struct Document {
    base: String,
    json: StaticBody,
    yaml: StaticBody,
    page: OnceLock<StaticBody>,
    paths: Vec<Route>,
}

impl Document {
    /// The document of a server whose public URL has this path.
    pub fn new(public_path: &str) -> Self {
        let base = public_path.trim_end_matches('/').to_owned();
        let mut value = generated().clone();
        if !base.is_empty() {
            value["servers"][0]["url"] = base.as_str().into();
        }
        let json = serde_json::to_string_pretty(&value).unwrap_or_default();
        let yaml = finish::quote_times(&serde_yaml::to_string(&value).unwrap_or_default());
        Self {
            base,
            json: StaticBody::new("application/json", json),
            yaml: StaticBody::new("application/yaml", yaml),
            page: OnceLock::new(),
            paths: routes::routes(&value),
        }
    }

    /// The path of the server's public URL: empty, or without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// As JSON.
    pub fn json(&self) -> &StaticBody {
        &self.json
    }

    /// As YAML: `openapi.yaml`, to the byte, if the public URL has no path.
    pub fn yaml(&self) -> &StaticBody {
        &self.yaml
    }

    /// As a page to read it on and to try it from: Swagger UI, whole. Most servers are never asked for its megabytes, so
    /// that it is made for the first request.
    pub fn page(&self) -> &StaticBody {
        self.page.get_or_init(|| {
            let service = service();
            let json = String::from_utf8_lossy(self.json.bytes());
            html_page(page::finish(&service.swagger_ui_html(), &service.spec(), &json))
        })
    }

    /// The id of every operation.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().flat_map(Route::operations)
    }

    /// The documented path that a request's path is.
    pub fn path(&self, path: &str) -> Option<&Route> {
        self.paths.iter().find(|item| item.matches(path))
    }

    /// A request's path without the path of the public URL. Some reverse proxies strip that path, others pass it on.
    pub fn without_base<'a>(&self, path: &'a str) -> &'a str {
        if self.base.is_empty() || self.path(path).is_some() {
            return path;
        }
        match path.strip_prefix(&self.base) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

/// What the documents of all servers have in common, which is all but the server's URL.
pub fn generated() -> &'static Value {
    static GENERATED: LazyLock<Value> = LazyLock::new(|| {
        let mut value = serde_json::from_str(&service().spec()).unwrap_or_default();
        finish::finish(&mut value);
        value
    });
    &GENERATED
}

fn service() -> OpenApiService<Described<Operations>, ()> {
    OpenApiService::new(Described(PhantomData), "Homeroom", VERSION)
        .description(
            "The two moments at the start of a lesson: a person signs in, and a student joins a class.\n\n\
             Sign in with `POST /api/v1/codes`, swap the code from the URL for tokens with `POST /api/v1/tokens`, and \
             show the access token to `/classes`. A class's owner draws its join code; students join with it.\n\n\
             A request may bear an `X-Request-Id` (1 to 64 of `A-Z a-z 0-9 . _ -`), and every answer bears one: the \
             request's, or a new one. A `traceparent` (W3C Trace Context) is taken into the server's log.\n\n\
             Every answer bears `X-Content-Type-Options: nosniff`, `Referrer-Policy: no-referrer`, `X-Frame-Options: \
             DENY`, `Cross-Origin-Resource-Policy: same-origin` and a `Content-Security-Policy`, which lets nothing be \
             loaded but what the pages `/` and `/docs` need; and `Strict-Transport-Security`, if the server is told so.\n\n\
             A page of an enabled app may call both families from a browser, without credentials (the Fetch standard): \
             every answer to it, failures too, bears `Access-Control-Allow-Origin` with its origin, and \
             `Access-Control-Expose-Headers: Retry-After, WWW-Authenticate, X-Request-Id`. A preflight allows the path's \
             methods and the headers `Content-Type`, `Authorization`, `traceparent`, `tracestate` and `X-Request-Id`. \
             Every answer of both families bears `Vary: Origin`. Pages of any origin may read \
             `/.well-known/jwks.json`, `/openapi.yaml` and `/openapi.json`.\n\n\
             In a request, `null` for an optional property means that the property is absent, and unknown properties are \
             ignored. Answers may get further properties.\n\n\
             A body may have 24,576 bytes, enough for every property at its longest. The head of a request may have 64 \
             fields and 16,384 bytes.\n\n\
             What is no HTTP is answered 400, and a head that is larger 431, with none of these and no body. \
             A request that does not name its `Host`, or not one, is answered 400 by every operation. A \
             `Transfer-Encoding` that names another coding before `chunked` is answered 501 by every operation; one that does \
             not end in `chunked` leaves the length of the body unknown, and is no HTTP (RFC 9112 section 6.3). A \
             `Content-Encoding` of a body that is read is answered 415. Two `Authorization` fields count as a token that is not accepted.",
        )
        .contact(ContactObject::new().name("Whoever runs this server"))
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .server(ServerObject::new("/").description("This server, be it local, staging or production"))
}

/// Operations as types alone: what the document needs of them.
struct Described<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Described<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_finished_document_in_standards_mode() {
        let document = Document::new("/");
        let page = std::str::from_utf8(document.page().bytes()).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert!(page.contains("\"x-internal\": false"));
    }

    #[test]
    fn document_of_a_server_with_a_base_has_it_as_its_server() {
        for (path, server) in
            [("/", "/"), ("", "/"), ("/homeroom", "/homeroom"), ("/a/homeroom/", "/a/homeroom")]
        {
            let document = Document::new(path);
            let value: Value = serde_json::from_slice(document.json().bytes()).unwrap();
            assert_eq!(value["servers"][0]["url"], server, "{path}");
            let yaml: Value = serde_yaml::from_slice(document.yaml().bytes()).unwrap();
            assert_eq!(yaml, value, "{path}");
            let page = std::str::from_utf8(document.page().bytes()).unwrap();
            assert!(page.contains(&format!("\"url\": \"{server}\"")), "{path}");
        }
    }

    #[test]
    fn path_below_the_base_is_read_without_it_unless_it_is_documented() {
        let without = |base: &str, path: &'static str| Document::new(base).without_base(path).to_owned();
        for (base, path, expected) in [
            ("/", "/docs", "/docs"),
            ("/homeroom", "/docs", "/docs"),
            ("/homeroom", "/homeroom/docs", "/docs"),
            ("/homeroom", "/homeroom/nothing", "/nothing"),
            ("/homeroom", "/homeroom", "/"),
            ("/homeroom", "/homeroom/", "/"),
            ("/homeroom", "/homerooms/docs", "/homerooms/docs"),
            ("/homeroom", "/homeroom/homeroom/docs", "/homeroom/docs"),
            ("/api", "/api/v1/codes", "/api/v1/codes"),
            ("/api", "/api/api/v1/codes", "/api/v1/codes"),
            ("/homeroom", "*", "*"),
        ] {
            assert_eq!(without(base, path), expected, "{base} {path}");
        }
    }
}
