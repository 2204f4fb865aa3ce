//! The form of a request body. It is checked against the very schema that is served, so that what the document says is
//! what is enforced; every fault is found, and none repeats what was sent, which may be a password.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::{Draft, PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use poem_openapi::{registry::MetaSchemaRef, types::Type};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{boundary::BadBody, openapi};
use crate::domain::email::Email;

/// Said of a body that its schema admits and its type does not: the two have come apart.
pub const UNREADABLE: &str = "the body cannot be read";

/// What a body's schema cannot say: rules over more than one property.
pub trait Form {
    /// One message for each such fault, beginning with a property's name.
    fn faults(_object: &Map<String, Value>) -> Vec<String> {
        Vec::new()
    }
}

/// A request's schema, compiled, with the order in which its properties are documented.
struct Compiled {
    validator: Validator,
    properties: Vec<String>,
}

static SCHEMAS: LazyLock<BTreeMap<String, Compiled>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(openapi::document().json().as_str()).unwrap_or_default();
    let components = translated(&document["components"]);
    let compiled = bodies(&document).filter_map(|name| {
        let schema = components["schemas"].get(name)?;
        let root = json!({ "$ref": format!("#/components/schemas/{name}"), "components": components });
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(true)
            .with_format("email", |text: &str| Email::parse(text).is_ok())
            .with_format("uuid", |text: &str| Uuid::try_parse(text).is_ok())
            .with_format("uri", |text: &str| Url::parse(text).is_ok())
            .build(&root)
            .ok()?;
        let properties = schema["properties"].as_object();
        let properties =
            properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default();
        Some((name.to_owned(), Compiled { validator, properties }))
    });
    compiled.collect()
});

/// The schemas of request bodies.
fn bodies(document: &Value) -> impl Iterator<Item = &str> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(_, operations)| operations.as_object().into_iter().flatten());
    operations.filter_map(|(_, operation)| {
        let body = operation["requestBody"]["content"].as_object()?.values().next()?;
        body["schema"]["$ref"].as_str()?.strip_prefix("#/components/schemas/")
    })
}

/// Finds every fault of `value` as a `T`.
pub fn check<T: Type + Form>(value: &Value) -> Result<(), BadBody> {
    let MetaSchemaRef::Reference(name) = T::schema_ref() else {
        return Err(BadBody::Form(vec![UNREADABLE.into()]));
    };
    let Some(schema) = SCHEMAS.get(&name) else { return Err(BadBody::Form(vec![UNREADABLE.into()])) };
    let Some(object) = value.as_object() else {
        return Err(BadBody::Form(vec!["the body must be a JSON object".into()]));
    };
    let mut faults: Vec<(usize, String)> = Vec::new();
    for error in schema.validator.iter_errors(value) {
        let name = property(&error);
        let place = schema.properties.iter().position(|property| *property == name).unwrap_or(usize::MAX);
        // A property is named once: an empty address is too short, and nobody needs to hear that it is no address.
        if place == usize::MAX || faults.iter().all(|(other, _)| *other != place) {
            faults.push((place, format!("{name} {}", complaint(error.kind()))));
        }
    }
    faults.sort_by_key(|(place, _)| *place);
    let messages: Vec<String> = faults.into_iter().map(|(_, fault)| fault).chain(T::faults(object)).collect();
    if messages.is_empty() { Ok(()) } else { Err(BadBody::Form(messages)) }
}

/// The property that an error is about.
fn property(error: &ValidationError<'_>) -> String {
    if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind() {
        return name.clone();
    }
    error.instance_path().as_str().trim_start_matches('/').replace('/', ".")
}

fn complaint(kind: &ValidationErrorKind) -> String {
    match kind {
        ValidationErrorKind::Required { .. } => "is required".into(),
        ValidationErrorKind::Type { kind: jsonschema::error::TypeKind::Single(expected) } => {
            format!("must be of type {expected}")
        }
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::Minimum { limit } => {
            format!("must be at least {:.0}", limit.as_f64().unwrap_or_default())
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("must be at most {:.0}", limit.as_f64().unwrap_or_default())
        }
        ValidationErrorKind::Pattern { pattern } => format!("must match {pattern}"),
        ValidationErrorKind::Format { format } => match format.as_str() {
            "email" => "must be an e-mail address".into(),
            "uuid" => "must be a UUID".into(),
            "uri" => "must be an absolute URI".into(),
            other => format!("must have the format {other}"),
        },
        ValidationErrorKind::Enum { options } => match options.as_array().map(Vec::as_slice) {
            Some([only]) => format!("must be {only}"),
            _ => format!("must be one of {options}"),
        },
        other => format!("breaks the rule {}", other.keyword()),
    }
}

/// OpenAPI 3.0's schemas as JSON Schema draft 4, from which they differ in `nullable` alone.
fn translated(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(translated).collect(),
        Value::Object(members) => {
            let mut members: Map<String, Value> =
                members.iter().map(|(name, member)| (name.clone(), translated(member))).collect();
            if members.get("nullable") == Some(&Value::Bool(true))
                && let Some(own) = members.get("type").cloned()
            {
                members.insert("type".into(), json!([own, "null"]));
            }
            Value::Object(members)
        }
        other => other.clone(),
    }
}
