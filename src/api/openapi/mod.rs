//! The document: made from the handlers' types, finished here, and served. The bytes that are served are the bytes of
//! `openapi.yaml`.

mod finish;
mod page;
mod paths;
mod text;

use std::{collections::HashMap, marker::PhantomData, sync::LazyLock};

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    ContactObject, LicenseObject, OpenApi, OpenApiService, SecurityScheme, ServerObject, Tags,
    auth::Bearer,
    registry::{MetaApi, Registry},
};
use serde_json::Value;

use super::{
    classes::operations::Classes, identity::operations::SignInOperations, service::operations::Service,
};

pub use self::{page::Page, paths::PathItem, text::Text};

/// The contract's own version, by the rules of semantic versioning.
pub const VERSION: &str = "1.1.0";

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

/// The document, in the forms in which it is needed.
pub struct Document {
    json: Text,
    yaml: Text,
    paths: Vec<PathItem>,
}

impl Document {
    /// As JSON.
    pub fn json(&self) -> &Text {
        &self.json
    }

    /// As YAML: `openapi.yaml`, to the byte.
    pub fn yaml(&self) -> &Text {
        &self.yaml
    }

    /// The id of every operation.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().flat_map(PathItem::operations)
    }

    /// The documented path that a request's path is.
    pub fn path(&self, path: &str) -> Option<&PathItem> {
        self.paths.iter().find(|item| item.matches(path))
    }
}

/// The document.
pub fn document() -> &'static Document {
    static DOCUMENT: LazyLock<Document> = LazyLock::new(write);
    &DOCUMENT
}

/// The document as a page to read it on and to try it from: Swagger UI, whole. Most servers are never asked for its
/// megabytes, and so it is made for the first who does.
pub fn page() -> &'static Page {
    static PAGE: LazyLock<Page> = LazyLock::new(|| {
        let service = service();
        Page::finish(&service.swagger_ui_html(), &service.spec(), document().json().as_str())
    });
    &PAGE
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
             loaded but what `/docs` needs; and `Strict-Transport-Security`, if the server is told so.\n\n\
             A body may have 24,576 bytes, enough for every property at its longest. The head of a request may have 64 \
             fields and 16,384 bytes.\n\n\
             What is no HTTP is answered 400, and a head that is larger 431, with none of these and no body. \
             A request that does not name its `Host`, or not one, is answered 400 by every operation.",
        )
        .contact(ContactObject::new().name("Whoever runs this server"))
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .server(ServerObject::new("/").description("This server, be it local, staging or production"))
}

fn write() -> Document {
    let mut value: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    finish::finish(&mut value);
    let json = serde_json::to_string_pretty(&value).unwrap_or_default();
    let yaml = finish::quote_times(&serde_yaml::to_string(&value).unwrap_or_default());
    let paths = paths::path_items(&value);
    Document { json: Text::new(json), yaml: Text::new(yaml), paths }
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
        let page = page().text().as_str();
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert!(page.contains("\"x-internal\": false"));
    }
}
