//! The paths of the document: which of them a request's path is, and what it answers to.

use std::cmp::Reverse;

use poem::http::Method;
use serde_json::Value;

/// A documented path.
#[derive(Debug)]
pub struct Route {
    template: String,
    segments: Vec<Segment>,
    methods: Vec<String>,
    /// The `operationId` of each of the methods.
    operations: Vec<String>,
    service: bool,
    reads_body: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Parameter,
    Text(String),
}

impl Route {
    /// The path as the document has it, its parameters in braces.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Whether any of its operations reads a body.
    pub fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// The methods that are documented, and `HEAD` beside `GET`.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// Whether it belongs to neither family.
    pub fn is_service(&self) -> bool {
        self.service
    }

    /// Whether it has an operation for `method`.
    pub fn answers(&self, method: &Method) -> bool {
        self.methods.iter().any(|known| known == method.as_str())
    }

    /// The `operationId` of what it does on `method`.
    pub fn operation(&self, method: &Method) -> Option<&str> {
        let place = self.methods.iter().position(|known| known == method.as_str())?;
        self.operations.get(place).map(String::as_str)
    }

    /// The ids of its operations.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().map(String::as_str)
    }

    /// Whether `path` is an instance of this template.
    pub fn matches(&self, path: &str) -> bool {
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

/// The documented paths, those with a text where others have a parameter first.
pub fn routes(document: &Value) -> Vec<Route> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let mut items: Vec<Route> = paths
        .map(|(path, operations)| {
            let operations = || operations.as_object().into_iter().flatten();
            let (mut methods, mut ids): (Vec<String>, Vec<String>) = operations()
                .map(|(method, operation)| {
                    let id = operation["operationId"].as_str().unwrap_or_default();
                    (method.to_uppercase(), id.to_owned())
                })
                .unzip();
            if let Some(get) = methods.iter().position(|method| method == Method::GET.as_str()) {
                methods.push(Method::HEAD.to_string());
                ids.push(ids[get].clone());
            }
            let any = |test: fn(&Value) -> bool| operations().any(|(_, operation)| test(operation));
            let reads_body = any(|operation| operation.get("requestBody").is_some());
            let service = any(|operation| operation["tags"][0] == "service");
            let segments = path.split('/').skip(1).map(|segment| {
                if segment.starts_with('{') { Segment::Parameter } else { Segment::Text(segment.to_owned()) }
            });
            Route {
                template: path.clone(),
                segments: segments.collect(),
                methods,
                operations: ids,
                service,
                reads_body,
            }
        })
        .collect();
    items.sort_by(|one, other| Reverse(&one.segments).cmp(&Reverse(&other.segments)));
    items
}
