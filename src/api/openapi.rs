//! The document: made from the handlers' types, finished here, and served. The bytes that are served are the bytes of
//! `openapi.yaml`.

use std::{cmp::Reverse, collections::HashMap, marker::PhantomData, sync::LazyLock};

use poem::{
    endpoint::BoxEndpoint,
    http::{Method, header},
};
use poem_openapi::{
    OpenApi, OpenApiService, SecurityScheme, ServerObject, Tags,
    auth::Bearer,
    registry::{MetaApi, Registry},
};
use serde_json::{Value, json};

use super::{
    classes::operations::Classes, identity::operations::SignInOperations, operation::Examples,
    service::operations::Service,
};

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

/// An access token of `POST /api/v1/tokens`, in the `Authorization` header (RFC 6750 section 2.1).
#[derive(SecurityScheme)]
#[oai(ty = "bearer", rename = "accessToken", bearer_format = "JWT")]
pub struct AccessToken(pub Bearer);

/// The document, in the forms in which it is needed.
pub struct Document {
    value: Value,
    json: String,
    yaml: String,
    page: String,
    paths: Vec<PathItem>,
}

/// A documented path.
#[derive(Debug)]
pub struct PathItem {
    segments: Vec<Segment>,
    methods: Vec<String>,
    headers: Vec<&'static str>,
    service: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Parameter,
    Text(String),
}

impl PathItem {
    /// The methods that are documented, and `HEAD` beside `GET`.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// The headers that its operations read, as far as a page may send them.
    pub fn headers(&self) -> &[&'static str] {
        &self.headers
    }

    /// Whether it belongs to neither family.
    pub fn is_service(&self) -> bool {
        self.service
    }

    /// Whether it has an operation for `method`.
    pub fn answers(&self, method: &Method) -> bool {
        self.methods.iter().any(|known| known == method.as_str())
    }

    fn matches(&self, path: &str) -> bool {
        let mut asked = path.split('/').skip(1);
        let fits = self.segments.iter().all(|segment| {
            asked.next().is_some_and(|asked| match segment {
                Segment::Text(text) => asked == text,
                Segment::Parameter => !asked.is_empty(),
            })
        });
        fits && asked.next().is_none()
    }
}

impl Document {
    /// As a value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// As JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// As YAML: `openapi.yaml`, to the byte.
    pub fn yaml(&self) -> &str {
        &self.yaml
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

/// Swagger UI over the document, whole.
pub fn page() -> &'static str {
    &document().page
}

fn write() -> Document {
    let service = OpenApiService::new(Described::<Operations>(PhantomData), "Homeroom", VERSION)
        .description(
            "The two moments at the start of a lesson: a person signs in, and a student joins a class.\n\n\
             Sign in with `POST /api/v1/codes`, swap the code from the URL for tokens with `POST /api/v1/tokens`, and \
             show the access token to `/classes`. A class's owner draws its join code; students join with it.",
        )
        .server(ServerObject::new("/").description("This server"));
    let generated = service.spec();
    let mut value: Value = serde_json::from_str(&generated).unwrap_or_default();
    finish(&mut value);
    let json = serde_json::to_string_pretty(&value).unwrap_or_default();
    let yaml = serde_yaml::to_string(&value).unwrap_or_default();
    // Inside a script element `</` would end it.
    let page = service.swagger_ui_html().replacen(&generated, &json.replace("</", "<\\/"), 1);
    let paths = path_items(&value);
    Document { value, json, yaml, page, paths }
}

/// Adds what the generator cannot say.
fn finish(document: &mut Value) {
    let examples: HashMap<&str, Examples> = SignInOperations::examples()
        .into_iter()
        .chain(Classes::examples())
        .map(|examples| (examples.id, examples))
        .collect();
    for operation in operations(document) {
        // An operation without security is open by intent, and says so.
        if operation.get("security").is_none() {
            operation["security"] = json!([]);
        }
        let id = operation["operationId"].as_str().unwrap_or_default();
        let Some(examples) = examples.get(id) else { continue };
        if let Some(request) = &examples.request {
            operation["requestBody"]["content"]["application/json"]["example"] = request.clone();
        }
        for (status, body) in &examples.responses {
            operation["responses"][status.to_string()]["content"]["application/json"]["example"] =
                body.clone();
        }
    }
    // What may be null is still there.
    for schema in members(&mut document["components"]["schemas"]) {
        let nullable: Vec<Value> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, property)| property["nullable"] == true)
            .map(|(name, _)| Value::from(name.as_str()))
            .collect();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.extend(nullable);
        }
    }
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    members(&mut document["paths"]).flat_map(members)
}

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(|object| object.values_mut())
}

/// The documented paths, those with a text where others have a parameter first.
fn path_items(document: &Value) -> Vec<PathItem> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let mut items: Vec<PathItem> = paths
        .map(|(path, operations)| {
            let operations = || operations.as_object().into_iter().flatten();
            let mut methods: Vec<String> = operations().map(|(method, _)| method.to_uppercase()).collect();
            if methods.iter().any(|method| method == Method::GET.as_str()) {
                methods.push(Method::HEAD.to_string());
            }
            let any = |test: fn(&Value) -> bool| operations().any(|(_, operation)| test(operation));
            let mut headers = Vec::new();
            if any(|operation| operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty())) {
                headers.push(header::AUTHORIZATION.as_str());
            }
            if any(|operation| operation.get("requestBody").is_some()) {
                headers.push(header::CONTENT_TYPE.as_str());
            }
            let service = any(|operation| operation["tags"][0] == "service");
            let segments = path.split('/').skip(1).map(|segment| {
                if segment.starts_with('{') { Segment::Parameter } else { Segment::Text(segment.to_owned()) }
            });
            PathItem { segments: segments.collect(), methods, headers, service }
        })
        .collect();
    items.sort_by(|one, other| Reverse(&one.segments).cmp(&Reverse(&other.segments)));
    items
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
