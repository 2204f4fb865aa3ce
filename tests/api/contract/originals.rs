//! Facts about the operations of the source systems. Their clients depend on them.

mod accounts;
mod additions;
mod classroom;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::{
    additions::ADDITIONS,
    classroom::{ORIGINALS, PAGINATION},
};
use super::{document, operations, resolved};

/// An operation of the source system.
struct Original {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    parameters: &'static [Parameter],
    body: Body,
    success: &'static str,
    data: Data,
    /// Each error status with parts of its description.
    failures: &'static [(&'static str, &'static [&'static str])],
}

enum Body {
    None,
    Json(&'static Schema),
    /// `multipart/form-data`.
    Form(&'static Schema),
}

/// The body of a success.
enum Data {
    /// No body.
    None,
    /// `data` is an object.
    One(&'static Schema),
    /// `data` is an array, beside `pagination`.
    Page(&'static Schema),
}

/// A parameter with its type and its bounds. Strings have `values` if the source lists them.
struct Parameter {
    name: &'static str,
    location: &'static str,
    kind: &'static str,
    bounds: (Option<i64>, Option<i64>),
    default: Option<i64>,
    values: &'static [&'static str],
}

/// A schema with its properties, in the source's order.
struct Schema {
    name: &'static str,
    properties: &'static [Property],
}

/// A property: name, type with its format, whether it is nullable, whether the source requires it, and its bounds.
struct Property {
    name: &'static str,
    kind: &'static str,
    nullable: bool,
    required: bool,
    max_length: Option<u64>,
    values: &'static [&'static str],
    /// The schema of an object, or of the items of an array.
    nested: Option<&'static Schema>,
}

const fn path_parameter(name: &'static str) -> Parameter {
    Parameter { location: "path", ..query_parameter(name, "string") }
}

const fn query_parameter(name: &'static str, kind: &'static str) -> Parameter {
    Parameter { name, location: "query", kind, bounds: (None, None), default: None, values: &[] }
}

const fn property(name: &'static str, kind: &'static str) -> Property {
    Property { name, kind, nullable: false, required: false, max_length: None, values: &[], nested: None }
}

const fn required(name: &'static str, kind: &'static str) -> Property {
    Property { required: true, ..property(name, kind) }
}

const fn nullable(name: &'static str, kind: &'static str) -> Property {
    Property { nullable: true, ..property(name, kind) }
}

/// The type of a schema with its format. `[]` follows the type of an array's items.
fn kind(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("{}[]", kind(document, &schema["items"])),
        (Some(name), Some(format)) => format!("{name}({format})"),
        (name, _) => name.unwrap_or("any").to_owned(),
    }
}

/// The values of an enumeration, or of a pattern such as `^(a|b)-(c|d)$`.
fn values(schema: &Value) -> BTreeSet<String> {
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|value| value.as_str().unwrap().to_owned()).collect();
    }
    let Some(pattern) = schema["pattern"].as_str() else { return BTreeSet::new() };
    let pattern = pattern.strip_prefix('^').and_then(|pattern| pattern.strip_suffix('$')).unwrap();
    let mut values = vec![String::new()];
    for part in pattern.split(['(', ')']) {
        let extended =
            values.iter().flat_map(|value| part.split('|').map(move |end| format!("{value}{end}")));
        values = extended.collect();
    }
    values.into_iter().collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Request,
    Response,
}

/// The differences of the document from the source: the id of an operation or the name of a schema, and the difference.
struct Comparison {
    document: Value,
    visited: BTreeSet<&'static str>,
    differences: BTreeSet<(String, String)>,
}

impl Comparison {
    fn note(&mut self, subject: &str, difference: impl Into<String>) {
        self.differences.insert((subject.to_owned(), difference.into()));
    }

    /// Notes a difference if the server has another value than the source.
    fn equal<T: std::fmt::Display>(
        &mut self,
        subject: &str,
        what: &str,
        served: Option<T>,
        source: Option<T>,
    ) {
        let text = |value: Option<T>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        let (served, source) = (text(served), text(source));
        if served != source {
            self.note(subject, format!("{what} {served}, not {source}"));
        }
    }

    fn operation(&mut self, original: &Original) {
        let id = original.id;
        let operation = self.document["paths"][original.path][original.method].clone();
        assert_eq!(operation["operationId"], id, "{} {}", original.method, original.path);
        assert_eq!(operation["security"], json!([{ "accessToken": [] }]), "{id}");
        self.visited.insert(id);
        self.parameters(original, &operation);
        self.request_body(original, &operation["requestBody"]);

        let responses = operation["responses"].as_object().unwrap();
        let failures = original.failures.iter().map(|(status, _)| *status);
        let known: BTreeSet<&str> = failures.chain([original.success]).collect();
        for status in known.iter().filter(|status| !responses.contains_key(**status)) {
            self.note(id, format!("lacks status {status}"));
        }
        for (status, response) in responses {
            if !known.contains(&**status) {
                self.note(id, format!("status {status}"));
            }
            let content = &response["content"];
            if *status == original.success {
                self.success(original, content);
            } else {
                let body = resolved(&self.document, &content["application/json"]["schema"]);
                let failure = ["success", "code", "errorCode", "message", "timestamp"];
                assert!(body["properties"].as_object().unwrap().keys().eq(failure), "{id} {status}");
            }
        }
        for (status, words) in original.failures {
            let description = responses.get(*status).map_or("", |it| it["description"].as_str().unwrap());
            assert!(words.iter().all(|word| description.contains(word)), "{id} {status}: {description}");
        }
    }

    fn parameters(&mut self, original: &Original, operation: &Value) {
        let id = original.id;
        let served = operation["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in original.parameters {
            let name = parameter.name;
            let Some(served) = served.iter().find(|served| served["name"] == name) else {
                self.note(id, format!("lacks parameter {name}"));
                continue;
            };
            let schema = &served["schema"];
            assert_eq!(served["in"], parameter.location, "{id} {name}");
            assert_eq!(served["required"], parameter.location == "path", "{id} {name}");
            assert_eq!(kind(&self.document, schema), parameter.kind, "{id} {name}");
            if !parameter.values.is_empty() {
                let source: BTreeSet<String> = parameter.values.iter().copied().map(str::to_owned).collect();
                assert_eq!(values(schema), source, "{id} {name}");
            }
            let (minimum, maximum) = parameter.bounds;
            self.equal(id, &format!("{name}: minimum"), schema["minimum"].as_i64(), minimum);
            self.equal(id, &format!("{name}: maximum"), schema["maximum"].as_i64(), maximum);
            self.equal(id, &format!("{name}: maxLength"), schema["maxLength"].as_i64(), None);
            let default = (!schema["default"].is_null()).then(|| schema["default"].to_string());
            let source = parameter.default.map(|value| value.to_string());
            self.equal(id, &format!("{name}: default"), default, source);
        }
        for parameter in &served {
            let name = parameter["name"].as_str().unwrap();
            if original.parameters.iter().all(|known| known.name != name) {
                assert_eq!(parameter["required"], false, "{id} {name}");
                self.note(id, format!("parameter {name}"));
            }
        }
    }

    fn request_body(&mut self, original: &Original, served: &Value) {
        let (media_type, schema) = match original.body {
            Body::None => return assert!(served.is_null(), "{} has a body", original.id),
            Body::Json(schema) => ("application/json", schema),
            Body::Form(schema) => ("multipart/form-data", schema),
        };
        assert_eq!(served["required"], true, "{}", original.id);
        assert!(served["content"].as_object().unwrap().keys().eq([media_type]), "{}", original.id);
        let served = served["content"][media_type]["schema"].clone();
        self.schema(Direction::Request, schema, &served);
    }

    fn success(&mut self, original: &Original, content: &Value) {
        let id = original.id;
        let (schema, members, list) = match original.data {
            Data::None => return assert!(content.is_null(), "{id} has a response body"),
            Data::One(schema) => (schema, ["success", "code", "message", "data"].as_slice(), false),
            Data::Page(schema) => (schema, &["success", "code", "message", "data", "pagination"] as _, true),
        };
        let body = resolved(&self.document, &content["application/json"]["schema"]);
        let names: Vec<&str> = body["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, members, "{id}");
        assert_eq!(kind(&self.document, &body["properties"]["code"]), "integer(int32)", "{id}");
        let mut data = resolved(&self.document, &body["properties"]["data"]);
        if list {
            assert_eq!(data["type"], "array", "{id}");
            data = data["items"].take();
            self.schema(Direction::Response, &PAGINATION, &body["properties"]["pagination"]);
        }
        self.schema(Direction::Response, schema, &data);
    }

    fn schema(&mut self, direction: Direction, source: &'static Schema, served: &Value) {
        let served = resolved(&self.document, served);
        let properties = served["properties"].as_object().unwrap();
        let is_known = |name: &str| source.properties.iter().any(|property| property.name == name);
        let order = properties.keys().filter(|name| is_known(name));
        assert!(order.eq(source.properties.iter().map(|property| property.name)), "{}", source.name);
        for name in properties.keys().filter(|name| !is_known(name)) {
            self.note(source.name, format!("property {name}"));
        }
        let promised = served["required"].as_array().cloned().unwrap_or_default();
        for property in source.properties {
            let schema = resolved(&self.document, &properties[property.name]);
            let is_required = promised.contains(&json!(property.name));
            self.property(direction, source.name, property, &schema, is_required);
        }
    }

    fn property(
        &mut self,
        direction: Direction,
        subject: &str,
        source: &Property,
        served: &Value,
        is_required: bool,
    ) {
        let name = source.name;
        assert_eq!(kind(&self.document, served), source.kind, "{subject} {name}");
        if (served["nullable"] == true) != source.nullable {
            self.note(subject, format!("{name}: {}nullable", if source.nullable { "not " } else { "" }));
        }
        // A response may promise more than the source.
        if is_required != source.required && (direction == Direction::Request || source.required) {
            self.note(subject, format!("{name}: {}", if is_required { "required" } else { "optional" }));
        }
        let length = served["maxLength"].as_u64();
        match (direction, source.max_length) {
            (Direction::Request, most) => self.equal(subject, &format!("{name}: maxLength"), length, most),
            (Direction::Response, Some(most)) => {
                assert!(length.is_some_and(|length| length <= most), "{subject} {name}");
            }
            (Direction::Response, None) => {}
        }
        if !source.values.is_empty() {
            let source: BTreeSet<String> = source.values.iter().copied().map(str::to_owned).collect();
            let served = values(served);
            for value in source.difference(&served) {
                self.note(subject, format!("{name}: lacks value {value}"));
            }
            for value in served.difference(&source) {
                self.note(subject, format!("{name}: value {value}"));
            }
        }
        match source.nested {
            Some(nested) => {
                let array = source.kind.ends_with("[]");
                self.schema(direction, nested, if array { &served["items"] } else { served });
            }
            // An object of any form.
            None if source.kind == "object" => {
                assert!(served["additionalProperties"] == json!({}) && served.get("properties").is_none());
            }
            None => {}
        }
    }
}

#[test]
fn classroom_operation_differs_from_its_source_by_the_named_additions_only() {
    let mut comparison =
        Comparison { document: document(), visited: BTreeSet::new(), differences: BTreeSet::new() };
    for original in &ORIGINALS {
        comparison.operation(original);
    }
    let Comparison { document, visited, mut differences } = comparison;
    for (path, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let classroom = ["/classes", "/students", "/user"].iter().any(|family| path.starts_with(family));
        if classroom && !visited.contains(id) {
            differences.insert((id.to_owned(), "operation".to_owned()));
        }
    }
    let mut named = BTreeSet::new();
    for (subject, difference, _) in ADDITIONS {
        if *subject == "*" {
            let all = ORIGINALS.iter().map(|original| (original.id.to_owned(), (*difference).to_owned()));
            named.extend(all);
        } else {
            named.insert(((*subject).to_owned(), (*difference).to_owned()));
        }
    }
    let unnamed: Vec<_> = differences.difference(&named).collect();
    let stale: Vec<_> = named.difference(&differences).collect();
    assert!(
        unnamed.is_empty() && stale.is_empty(),
        "unnamed: {unnamed:#?}\nwithout a difference: {stale:#?}"
    );
}
