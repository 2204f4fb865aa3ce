//! The form of a request body. It is checked against the very schema that is served, so that what the document says is
//! what is enforced; every fault is found, and none repeats what was sent, which may be a password.

mod rule;

use std::{collections::BTreeMap, sync::LazyLock};

use poem_openapi::{registry::MetaSchemaRef, types::Type};
use serde_json::{Map, Value};

use self::rule::Rule;
use super::middleware::BadBody;
use crate::api::openapi;

/// Said of a body that its schema admits and its type does not: the two have come apart.
pub const UNREADABLE: &str = "the body cannot be read";

/// What a body's schema cannot say: rules over more than one property.
pub trait Form {
    /// One message for each such fault, beginning with a property's name.
    fn faults(_object: &Map<String, Value>) -> Vec<String> {
        Vec::new()
    }
}

/// The properties of each request, in the order in which they are documented.
static SCHEMAS: LazyLock<BTreeMap<String, Vec<Property>>> = LazyLock::new(|| {
    let document = openapi::generated();
    let schemas = &document["components"]["schemas"];
    let read = bodies(document).filter_map(|name| Some((name.to_owned(), properties(schemas, name)?)));
    read.collect()
});

/// The schemas of request bodies.
fn bodies(document: &Value) -> impl Iterator<Item = &str> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(_, operations)| operations.as_object().into_iter().flatten());
    operations.filter_map(|(_, operation)| {
        let body = operation["requestBody"]["content"].as_object()?.values().next()?;
        referred(&body["schema"])
    })
}

/// The name of the schema that is referred to.
fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

/// The properties of an object of this name; nothing if there is a keyword that is not understood.
fn properties(schemas: &Value, name: &str) -> Option<Vec<Property>> {
    const KEYWORDS: [&str; 5] = ["type", "title", "description", "required", "properties"];
    let schema = schemas[name].as_object()?;
    let understood = schema.keys().all(|keyword| KEYWORDS.contains(&keyword.as_str()));
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let properties = schema["properties"].as_object().filter(|_| understood)?.iter().map(|(name, schema)| {
        let required = required.iter().any(|required| required == name);
        let nullable = schema["nullable"] == true;
        Some(Property { name: name.clone(), required, nullable, rules: rules(schemas, schema)? })
    });
    properties.collect()
}

/// The rules of a schema, in the order in which they are told; nothing if there is a keyword that is not understood.
fn rules(schemas: &Value, schema: &Value) -> Option<Vec<Rule>> {
    const RULES: [&str; 6] = ["type", "enum", "minLength", "maxLength", "pattern", "format"];
    const OTHERS: [&str; 5] = ["title", "description", "default", "writeOnly", "nullable"];
    let keywords = schema.as_object()?;
    if keywords.contains_key("$ref") {
        return rules(schemas, &schemas[referred(schema)?]);
    }
    let understood = |keyword: &str| RULES.contains(&keyword) || OTHERS.contains(&keyword);
    if !keywords.keys().all(|keyword| understood(keyword)) {
        return None;
    }
    let mut all = Vec::new();
    // The format counts after normalization, the keyword before it.
    let counts = |keyword: &str| keyword != "maxLength" || keywords.get("format") != Some(&"password".into());
    for keyword in RULES.into_iter().filter(|keyword| counts(keyword)) {
        if let Some(value) = keywords.get(keyword) {
            all.push(Rule::read(keyword, value)?);
        }
    }
    Some(all)
}

/// A property of a request.
struct Property {
    name: String,
    required: bool,
    /// Whether `null` counts as absent.
    nullable: bool,
    rules: Vec<Rule>,
}

impl Property {
    /// What is wrong with it. It is named once: an empty address is too short, and nobody needs to hear that it is no
    /// address.
    fn fault(&self, object: &Map<String, Value>) -> Option<String> {
        let value = object.get(&self.name).filter(|value| !(self.nullable && value.is_null()));
        let fault = match value {
            None => self.required.then(|| "is required".to_owned()),
            Some(value) => {
                self.rules.iter().find(|rule| !rule.is_kept_by(value)).map(|rule| format!("must {rule}"))
            }
        };
        fault.map(|fault| format!("{} {fault}", self.name))
    }
}

/// Finds every fault of `value` as a `T`.
pub fn check<T: Type + Form>(value: &Value) -> Result<(), BadBody> {
    let MetaSchemaRef::Reference(name) = T::schema_ref() else {
        return Err(BadBody::Form(vec![UNREADABLE.into()]));
    };
    let Some(properties) = SCHEMAS.get(&name) else { return Err(BadBody::Form(vec![UNREADABLE.into()])) };
    let Some(object) = value.as_object() else {
        return Err(BadBody::Form(vec!["the body must be a JSON object".into()]));
    };
    let faults = properties.iter().filter_map(|property| property.fault(object));
    let messages: Vec<String> = faults.chain(T::faults(object)).collect();
    if messages.is_empty() { Ok(()) } else { Err(BadBody::Form(messages)) }
}

#[cfg(test)]
mod tests;
