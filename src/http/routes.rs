//! The documented paths: which route a request has, and what the route offers.

use std::{borrow::Cow, cmp::Reverse, time::Duration};

use percent_encoding::percent_decode_str;
use poem::{
    Request,
    http::{Method, Uri, uri::PathAndQuery},
};
use serde_json::Value;

use super::operation::{OperationDetails, TIME_LIMIT};

/// The tag of the operations that belong to no family.
const SERVICE_TAG: &str = "service";

/// All documented paths of a server.
#[derive(Debug)]
pub struct Routes {
    base: String,
    alias: Alias,
    routes: Vec<Route>,
}

/// A second prefix for the paths of a family.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    /// The prefix that is removed, for example `/api`.
    pub prefix: &'static str,
    /// The paths that may have the prefix, for example `/classes`, with all paths below them.
    pub of: &'static [&'static str],
}

/// A documented path.
#[derive(Debug)]
pub struct Route {
    template: String,
    segments: Vec<Segment>,
    /// Each method with the `operationId`. `HEAD` is answered as `GET`.
    operations: Vec<(String, String)>,
    is_service: bool,
    is_public: bool,
    reads_body: bool,
    /// The maximum time for a response of its slowest operation.
    time_limit: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Parameter,
    Text(String),
}

impl Routes {
    /// The paths of an OpenAPI document, for a server whose public URL has the path `base`: empty, or without a slash at its
    /// end.
    pub fn new(document: &Value, details: &[OperationDetails], base: String, alias: Alias) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        let mut routes: Vec<Route> =
            paths.map(|(path, operations)| Route::new(path, operations, details)).collect();
        // `/classes/join/{joinCode}` is found before `/classes/{classId}/join-code`.
        routes.sort_by(|one, other| Reverse(&one.segments).cmp(&Reverse(&other.segments)));
        Self { base, alias, routes }
    }

    /// The path of the server's public URL: empty, or without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The route of a path.
    pub fn find(&self, path: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.matches(path))
    }

    /// The `operationId` of every operation.
    pub fn operation_ids(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().flat_map(|route| route.operations.iter().map(|(_, id)| id.as_str()))
    }

    /// A path without the path of the public URL. Some reverse proxies remove that path, and others keep it.
    fn without_base<'a>(&self, path: &'a str) -> &'a str {
        if self.base.is_empty() || self.find(path).is_some() {
            return path;
        }
        match path.strip_prefix(&self.base) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }

    /// A path without the prefix of the alias.
    fn without_alias<'a>(&self, path: &'a str) -> &'a str {
        let Alias { prefix, of } = self.alias;
        let rest = path.strip_prefix(prefix);
        let is_below = |rest: &str, of: &str| {
            rest.strip_prefix(of).is_some_and(|end| end.is_empty() || end.starts_with('/'))
        };
        let is_alias = |rest: &&str| of.iter().any(|of| is_below(rest, of));
        rest.filter(is_alias).unwrap_or(path)
    }

    /// Brings the path of a request to the documented form: without the path of the public URL and without the prefix of the
    /// alias. A segment that is not UTF-8 becomes a replacement character, so that it is an unknown id and not an unknown path.
    pub(super) fn normalize(&self, request: &mut Request) {
        let requested = request.uri().path();
        let path = self.without_alias(self.without_base(requested));
        let is_utf8 = |text: &str| percent_decode_str(text).decode_utf8().is_ok();
        let decodable = is_utf8(path);
        if decodable && path.len() == requested.len() {
            return;
        }
        let mut path = Cow::Borrowed(path);
        if !decodable {
            // One replacement character for each segment: one for each byte could exceed the maximum length of a URI.
            let segments =
                path.split('/').map(|segment| if is_utf8(segment) { segment } else { "%EF%BF%BD" });
            path = Cow::Owned(segments.collect::<Vec<_>>().join("/"));
        }
        let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
        if let Ok(path) = format!("{path}{query}").parse::<PathAndQuery>() {
            *request.uri_mut() = Uri::from(path);
        }
    }
}

impl Route {
    fn new(path: &str, item: &Value, details: &[OperationDetails]) -> Self {
        let all = || item.as_object().into_iter().flatten();
        let mut operations: Vec<(String, String)> = all()
            .map(|(method, operation)| {
                let id = operation["operationId"].as_str().unwrap_or_default();
                (method.to_uppercase(), id.to_owned())
            })
            .collect();
        let is_public = operations
            .iter()
            .any(|(_, id)| details.iter().any(|details| details.id == id && details.is_public));
        let limits = details.iter().filter(|details| operations.iter().any(|(_, id)| details.id == id));
        let time_limit = limits.map(|details| details.time_limit).max().unwrap_or(TIME_LIMIT);
        if let Some((_, get)) = operations.iter().find(|(method, _)| *method == Method::GET.as_str()) {
            operations.push((Method::HEAD.to_string(), get.clone()));
        }
        let segments = path.split('/').skip(1).map(|segment| {
            if segment.starts_with('{') { Segment::Parameter } else { Segment::Text(segment.to_owned()) }
        });
        Self {
            template: path.to_owned(),
            segments: segments.collect(),
            operations,
            is_service: all().any(|(_, operation)| operation["tags"][0] == SERVICE_TAG),
            is_public,
            reads_body: all().any(|(_, operation)| operation.get("requestBody").is_some()),
            time_limit,
        }
    }

    /// The path in the document, with its parameters in braces.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Whether one of its operations reads a body.
    pub(super) fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// The maximum time for a response.
    pub(super) fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// The methods, separated by commas: the value of `Allow`.
    pub(super) fn allow(&self) -> String {
        let methods: Vec<&str> = self.operations.iter().map(|(method, _)| method.as_str()).collect();
        methods.join(", ")
    }

    /// Whether it belongs to no family.
    pub(super) fn is_service(&self) -> bool {
        self.is_service
    }

    /// Whether pages of every origin may read its responses.
    pub(super) fn is_public(&self) -> bool {
        self.is_public
    }

    /// The `operationId` of the operation for `method`.
    pub(super) fn operation(&self, method: &Method) -> Option<&str> {
        let (_, id) = self.operations.iter().find(|(known, _)| known == method.as_str())?;
        Some(id)
    }

    fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/').skip(1);
        let fits = self.segments.iter().all(|expected| {
            segments.next().is_some_and(|segment| match expected {
                Segment::Text(text) => segment == text,
                Segment::Parameter => !segment.is_empty(),
            })
        });
        fits && segments.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn path_below_the_base_is_found_without_it_unless_it_is_documented() {
        let document = json!({ "paths": { "/docs": {}, "/api/v1/codes": {} } });
        let alias = Alias { prefix: "/api", of: &["/classes"] };
        for (base, path, expected) in [
            ("", "/docs", "/docs"),
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
            let routes = Routes::new(&document, &[], base.to_owned(), alias);
            assert_eq!(routes.without_base(path), expected, "{base} {path}");
        }
    }

    #[test]
    fn alias_is_removed_from_the_paths_of_its_family_only() {
        let routes = Routes::new(&json!({}), &[], String::new(), Alias { prefix: "/api", of: &["/classes"] });
        for (path, expected) in [
            ("/api/classes", "/classes"),
            ("/api/classes/1", "/classes/1"),
            ("/api/classes1", "/api/classes1"),
            ("/api/v1/codes", "/api/v1/codes"),
            ("/classes/1", "/classes/1"),
        ] {
            assert_eq!(routes.without_alias(path), expected);
        }
    }

    #[test]
    fn time_limit_is_that_of_the_slowest_operation_of_the_path() {
        let document = json!({ "paths": {
            "/fast": { "get": { "operationId": "a" } },
            "/slow": { "get": { "operationId": "b" }, "post": { "operationId": "c" } },
        } });
        let slow = OperationDetails { time_limit: Duration::from_mins(5), ..OperationDetails::new("c") };
        let details = [OperationDetails::new("a"), OperationDetails::new("b"), slow];
        let alias = Alias { prefix: "/api", of: &[] };
        let routes = Routes::new(&document, &details, String::new(), alias);
        let limit = |path| routes.find(path).unwrap().time_limit();
        assert_eq!((limit("/fast"), limit("/slow")), (TIME_LIMIT, Duration::from_mins(5)));
    }
}
