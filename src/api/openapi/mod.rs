//! The OpenAPI document: generated from the handlers' types, completed here, and served.
//!
//! The served YAML has the bytes of `openapi.yaml`, unless the server's public URL has a path.

mod finish;
mod page;

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

use super::Operations;
use crate::http::{
    operation::Describe,
    routes::{Alias, Routes},
    static_body::StaticBody,
    validation::{SchemaError, Validators},
};
use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    ContactObject, LicenseObject, OpenApi, OpenApiService, ServerObject, Tags,
    registry::{MetaApi, MetaPath, Registry},
};

/// The title of the document.
pub const TITLE: &str = "Homeroom";

/// The version of the contract (Semantic Versioning 2.0.0).
pub const VERSION: &str = "1.0.0";

/// The classroom family is answered below `/api` too, because the base URL of its documented page ends in `/api`.
const ALIAS: Alias = Alias { prefix: "/api", of: &["/classes", "/students", "/user"] };

/// The tags of the operations.
#[derive(Tags)]
pub enum Tag {
    /// Sign-in and sessions: an e-mail address and a password give a code, the code gives tokens, and refresh tokens continue the
    /// session.
    #[oai(rename = "sign-in")]
    SignIn,
    /// Accounts: registration, confirmation, new passwords, and the profile of a person.
    #[oai(rename = "accounts")]
    Accounts,
    /// Joining a class: its owner generates a join code, and students join with it.
    #[oai(rename = "classes")]
    Classes,
    /// Students: the roster of a class, and the accounts that a school makes for its students.
    #[oai(rename = "students")]
    Students,
    /// Information about the server: its keys, its health and this document.
    #[oai(rename = "service")]
    Service,
}

/// Why the document cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The generated document is not JSON.
    #[error("the generated document is not JSON")]
    Json(#[from] serde_json::Error),
    /// The document cannot be written as YAML.
    #[error("the document cannot be written as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// A schema cannot be compiled.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// The document of one server, in every form in which the server uses it.
pub struct Document {
    json: StaticBody,
    yaml: StaticBody,
    page: OnceLock<StaticBody>,
    routes: Arc<Routes>,
    validators: Validators,
}

impl Document {
    /// Builds the document of a server whose public URL has this path.
    pub fn new(public_path: &str) -> Result<Self, DocumentError> {
        let mut value = serde_json::from_str(&generator().spec())?;
        let details = Operations::details();
        finish::finish(&mut value, &details);
        let base = public_path.trim_end_matches('/').to_owned();
        if !base.is_empty() {
            value["servers"][0]["url"] = base.as_str().into();
        }
        // Long texts stay on one line, so that a changed word changes one line of openapi.yaml.
        let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        Ok(Self {
            json: StaticBody::new("application/json", serde_json::to_string_pretty(&value)?),
            yaml: StaticBody::new("application/yaml", serde_saphyr::to_string_with_options(&value, options)?),
            page: OnceLock::new(),
            routes: Arc::new(Routes::new(&value, &details, base, ALIAS)),
            validators: Validators::new(&value)?,
        })
    }

    /// The document as JSON.
    pub fn json(&self) -> &StaticBody {
        &self.json
    }

    /// The document as YAML.
    pub fn yaml(&self) -> &StaticBody {
        &self.yaml
    }

    /// A page that shows the document: Swagger UI. It has some megabytes, and is built for the first request.
    pub fn page(&self) -> &StaticBody {
        self.page.get_or_init(|| page::page(&String::from_utf8_lossy(self.json.bytes())))
    }

    /// The documented paths.
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The validators of the request bodies.
    pub fn validators(&self) -> &Validators {
        &self.validators
    }
}

fn generator() -> OpenApiService<Generator<Operations>, ()> {
    OpenApiService::new(Generator(PhantomData), TITLE, VERSION)
        .description(include_str!("description.md").trim_end())
        .contact(ContactObject::new().name("The operator of this server"))
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .server(ServerObject::new("/").description("This server: local, staging or production"))
}

/// Generates the document from the types of the operations alone. Operations of one path become one entry: poem-openapi would
/// write an entry for each.
struct Generator<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Generator<T> {
    fn meta() -> Vec<MetaApi> {
        let mut paths: Vec<MetaPath> = Vec::new();
        for path in T::meta().into_iter().flat_map(|api| api.paths) {
            match paths.iter_mut().find(|known| known.path == path.path) {
                Some(known) => known.operations.extend(path.operations),
                None => paths.push(path),
            }
        }
        vec![MetaApi { paths }]
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn page_shows_the_finished_document_in_standards_mode() {
        let document = Document::new("/").unwrap();
        let page = std::str::from_utf8(document.page().bytes()).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert!(page.contains("\"x-internal\": false"));
    }

    #[test]
    fn document_of_a_server_with_a_base_has_it_as_its_server() {
        for (path, server) in
            [("/", "/"), ("", "/"), ("/homeroom", "/homeroom"), ("/a/homeroom/", "/a/homeroom")]
        {
            let document = Document::new(path).unwrap();
            let value: Value = serde_json::from_slice(document.json().bytes()).unwrap();
            assert_eq!(value["servers"][0]["url"], server, "{path}");
            let yaml: Value = serde_saphyr::from_slice(document.yaml().bytes()).unwrap();
            assert_eq!(yaml, value, "{path}");
            let page = std::str::from_utf8(document.page().bytes()).unwrap();
            assert!(page.contains(&format!("\"url\": \"{server}\"")), "{path}");
        }
    }

    #[test]
    fn details_name_every_operation_once() {
        let document = Document::new("/").unwrap();
        let mut described: Vec<&str> = Operations::details().iter().map(|details| details.id).collect();
        let mut documented: Vec<&str> = document.routes().operation_ids().collect();
        described.sort_unstable();
        documented.sort_unstable();
        documented.dedup();
        assert_eq!(described, documented);
    }

    #[test]
    fn link_leads_to_a_parameter_of_an_operation() {
        let document = Document::new("/").unwrap();
        let value: Value = serde_json::from_slice(document.json().bytes()).unwrap();
        let paths = value["paths"].as_object().unwrap().values();
        let operations: Vec<&Value> =
            paths.flat_map(|operations| operations.as_object().unwrap().values()).collect();
        for link in Operations::details().iter().flat_map(|details| details.links) {
            let to = operations.iter().find(|operation| operation["operationId"] == link.to).unwrap();
            let mut parameters = to["parameters"].as_array().unwrap().iter();
            assert!(parameters.any(|parameter| parameter["name"] == link.parameter), "{link:?}");
        }
    }
}
