//! Validation of JSON bodies against the served schemas, by the crate `jsonschema`.
//!
//! Every violation is reported, and no message repeats a value: a value may be a password.

use std::{collections::HashMap, fmt, sync::Arc};

use jsonschema::{
    Draft, PatternOptions, ValidationError, error::ValidationErrorKind, paths::LocationSegment,
};
use poem_openapi::registry::MetaSchemaRef;
use serde_json::{Map, Value, json};
use url::Url;

use crate::domain::{email::Email, password::Password};

/// The maximum number of reported violations: the documented maximum of errors in a response.
const MAX_VIOLATIONS: usize = 64;

/// The keywords in the order in which they are reported. Only the first violated keyword of a property is reported.
const KEYWORDS: [&str; 14] = [
    "required",
    "type",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "additionalProperties",
    "pattern",
    "format",
    "multipleOf",
];

/// A schema that cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("the schema of the request body {name} is not valid: {reason}")]
pub struct SchemaError {
    name: String,
    reason: String,
}

/// One violated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the property, for example `settings.theme`. Empty for the body itself.
    pub property: String,
    /// The rule, for example `is required`.
    pub rule: String,
}

impl Violation {
    /// The violation of a text property by a rule that no schema expresses. None for a text that follows the rule, and for a
    /// member that is not a text.
    pub fn of<T, E: fmt::Display>(
        members: &Map<String, Value>,
        property: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Self> {
        let error = parse(members.get(property)?.as_str()?).err()?;
        Some(Self { property: property.to_owned(), rule: error.to_string() })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, rule } = self;
        if property.is_empty() { write!(f, "the body {rule}") } else { write!(f, "{property} {rule}") }
    }
}

/// The validators of all request bodies, by the names of their schemas.
#[derive(Clone)]
pub struct Validators(Arc<HashMap<String, Validator>>);

impl Validators {
    /// Compiles the schema of every request body of an OpenAPI 3.0 document.
    pub fn new(document: &Value) -> Result<Self, SchemaError> {
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(_, operations)| operations.as_object().into_iter().flatten());
        let names = operations.filter_map(|(_, operation)| {
            let body = operation["requestBody"]["content"].as_object()?.values().next()?;
            body["schema"]["$ref"].as_str()?.strip_prefix(SCHEMAS)
        });
        let components = Arc::new(document["components"].clone());
        let validators =
            names.map(|name| Ok((name.to_owned(), Validator::new(name, Arc::clone(&components))?)));
        Ok(Self(Arc::new(validators.collect::<Result<_, _>>()?)))
    }

    /// The validator of a schema.
    pub(super) fn of(&self, schema: &MetaSchemaRef) -> Option<&Validator> {
        match schema {
            MetaSchemaRef::Reference(name) => self.0.get(name),
            MetaSchemaRef::Inline(_) => None,
        }
    }
}

const SCHEMAS: &str = "#/components/schemas/";

/// The validator of one request body.
pub(super) struct Validator {
    name: String,
    components: Arc<Value>,
    compiled: jsonschema::Validator,
}

impl Validator {
    fn new(name: &str, components: Arc<Value>) -> Result<Self, SchemaError> {
        let schema = json!({ "$ref": format!("{SCHEMAS}{name}"), "components": draft_4(&components) });
        // OpenAPI 3.0 is based on draft 4. The engine `regex` takes linear time on every input.
        let compiled = jsonschema::options()
            .with_draft(Draft::Draft4)
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(true)
            .with_format("email", |text: &str| Email::parse(text).is_ok())
            .with_format("uri", |text: &str| Url::parse(text).is_ok())
            .with_format("password", |text: &str| Password::parse(text).is_ok())
            .build(&schema)
            .map_err(|error| SchemaError { name: name.to_owned(), reason: error.to_string() })?;
        Ok(Self { name: name.to_owned(), components, compiled })
    }

    /// The violations of `body`: one for each property, in documented order. `further` finds violations of rules that no
    /// schema expresses.
    pub(super) fn violations(
        &self,
        body: &Value,
        further: impl FnOnce(&Map<String, Value>) -> Vec<Violation>,
    ) -> Vec<String> {
        let Some(members) = body.as_object() else {
            return vec!["the body must be a JSON object".to_owned()];
        };
        let mut errors: Vec<_> =
            self.compiled.iter_errors(body).map(|error| self.violation(&error)).collect();
        errors.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        errors.dedup_by(|other, one| other.0 == one.0);
        let mut violations: Vec<Violation> = errors.into_iter().map(|(_, _, violation)| violation).collect();
        for violation in further(members) {
            if violations.iter().all(|found| found.property != violation.property) {
                violations.push(violation);
            }
        }
        violations.iter().take(MAX_VIOLATIONS).map(ToString::to_string).collect()
    }

    /// Takes the values of the documented properties out of a valid body.
    pub(super) fn take_documented<'a>(
        &'a self,
        body: &'a mut Value,
    ) -> impl Iterator<Item = (String, Value)> + 'a {
        let properties = self.schema()["properties"].as_object().into_iter().flatten();
        properties.filter_map(|(name, _)| Some((name.clone(), body.as_object_mut()?.remove(name.as_str())?)))
    }

    fn schema(&self) -> &Value {
        &self.components["schemas"][&self.name]
    }

    /// An error of the engine: the position of its property in the document, the position of its keyword, and its violation.
    fn violation(&self, error: &ValidationError<'_>) -> (Vec<usize>, usize, Violation) {
        let mut place = Place { schema: self.schema(), position: Vec::new(), property: String::new() };
        let is_documented =
            error.instance_path().into_iter().all(|segment| place.enter(&self.components, &segment));
        if let ValidationErrorKind::Required { property } = error.kind() {
            let name = property.as_str().unwrap_or_default().into();
            place.enter(&self.components, &LocationSegment::Property(name));
        }
        let keyword = error.kind().keyword();
        let rank = KEYWORDS.iter().position(|known| *known == keyword).unwrap_or(KEYWORDS.len());
        let rule = if is_documented {
            rule(keyword, place.schema)
        } else {
            "has a member that is not valid".to_owned()
        };
        let violation = Violation { property: place.property, rule };
        (place.position, rank, violation)
    }
}

/// A value in a body, as the schema documents it.
struct Place<'a> {
    schema: &'a Value,
    position: Vec<usize>,
    property: String,
}

impl<'a> Place<'a> {
    /// Goes to a member or an item. Returns whether the schema documents it: other names come from the client and are not
    /// repeated.
    fn enter(&mut self, components: &'a Value, segment: &LocationSegment<'_>) -> bool {
        match segment {
            LocationSegment::Property(name) => {
                let properties = self.schema["properties"].as_object().into_iter().flatten();
                let found = properties.enumerate().find(|(_, (documented, _))| *documented == name);
                let Some((position, (_, schema))) = found else { return false };
                self.position.push(position);
                self.schema = resolved(components, schema);
                if !self.property.is_empty() {
                    self.property.push('.');
                }
                self.property.push_str(name);
            }
            LocationSegment::Index(index) => {
                self.position.push(*index);
                self.schema = resolved(components, &self.schema["items"]);
                self.property = format!("{}[{index}]", self.property);
            }
        }
        true
    }
}

/// A schema, or the schema that it refers to.
fn resolved<'a>(components: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(SCHEMAS));
    name.map_or(schema, |name| &components["schemas"][name])
}

/// The rule that a keyword of a schema states.
fn rule(keyword: &str, schema: &Value) -> String {
    let limit = &schema[keyword];
    match keyword {
        "required" => "is required".to_owned(),
        "type" => format!("must be of type {}", limit.as_str().unwrap_or_default()),
        "enum" => match limit.as_array().map(Vec::as_slice) {
            Some([only]) => format!("must be {only}"),
            _ => format!("must be one of {limit}"),
        },
        "minimum" => format!("must be at least {limit}"),
        "maximum" => format!("must be at most {limit}"),
        "minLength" => format!("must have at least {limit} characters"),
        "maxLength" => format!("must have at most {limit} characters"),
        "minItems" => format!("must have at least {limit} items"),
        "maxItems" => format!("must have at most {limit} items"),
        "uniqueItems" => "must have no item twice".to_owned(),
        "additionalProperties" => "must have no undocumented properties".to_owned(),
        "pattern" => format!("must match {}", limit.as_str().unwrap_or_default()),
        "format" => match limit.as_str().unwrap_or_default() {
            "email" => "must be an e-mail address".to_owned(),
            "uri" => "must be an absolute URI".to_owned(),
            "password" => format!("must have at most {} characters", Password::MAX),
            format => format!("must be of the format {format}"),
        },
        _ => format!("violates {keyword}"),
    }
}

/// A schema of OpenAPI 3.0 as a schema of JSON Schema draft 4.
///
/// `nullable` becomes a further type. The `maxLength` of a password is left to its format, which counts after Unicode
/// normalization.
fn draft_4(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(draft_4).collect(),
        Value::Object(members) => {
            let is_nullable = members.get("nullable") == Some(&true.into());
            let is_password = members.get("format") == Some(&"password".into());
            let members = members.iter().filter(|(name, _)| !(is_password && *name == "maxLength"));
            let members = members.map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("type", Value::String(_)) if is_nullable => json!([value, "null"]),
                    ("enum", Value::Array(values)) if is_nullable => {
                        values.iter().cloned().chain([Value::Null]).collect()
                    }
                    _ => draft_4(value),
                };
                (name.clone(), value)
            });
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The violations of a body whose schema has these properties.
    fn violations(properties: &Value, body: &Value) -> Vec<String> {
        let document = json!({
            "paths": { "/": { "post": { "requestBody": { "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Body" },
            } } } } } },
            "components": { "schemas": {
                "Body": { "type": "object", "required": ["p"], "properties": properties },
                "Named": { "type": "string", "enum": ["a", "b"] },
                "Closed": {
                    "type": "object",
                    "required": ["inner"],
                    "properties": { "inner": { "type": "string", "maxLength": 3 } },
                    "additionalProperties": false,
                },
            } },
        });
        let validators = Validators::new(&document).unwrap();
        let validator = validators.of(&MetaSchemaRef::Reference("Body".to_owned())).unwrap();
        validator.violations(body, |_| Vec::new())
    }

    #[test]
    fn value_at_a_bound_is_valid_and_beyond_it_is_a_violation() {
        let text = |keyword: &str, value: Value| json!({ "type": "string", keyword: value });
        for (schema, valid, invalid, message) in [
            (json!({ "type": "string" }), json!(""), json!(null), "p must be of type string"),
            (json!({ "type": "boolean" }), json!(false), json!(0), "p must be of type boolean"),
            (
                json!({ "type": "string", "nullable": true }),
                json!(null),
                json!(0),
                "p must be of type string",
            ),
            (
                text("minLength", json!(2)),
                json!("\u{1F511}é"),
                json!("a"),
                "p must have at least 2 characters",
            ),
            (
                text("maxLength", json!(2)),
                json!("\u{1F511}é"),
                json!("abc"),
                "p must have at most 2 characters",
            ),
            (
                text("pattern", json!("^[^\\x00-\\x1F]*$")),
                json!("é\u{1F511}"),
                json!("\n"),
                "p must match ^[^\\x00-\\x1F]*$",
            ),
            (text("format", json!("email")), json!("a@b"), json!("a"), "p must be an e-mail address"),
            (text("format", json!("uri")), json!("a:b"), json!("/a"), "p must be an absolute URI"),
            (text("enum", json!(["S256"])), json!("S256"), json!("plain"), "p must be \"S256\""),
            (
                json!({ "$ref": "#/components/schemas/Named" }),
                json!("b"),
                json!("c"),
                "p must be one of [\"a\",\"b\"]",
            ),
            (
                json!({ "type": "string", "enum": ["a"], "nullable": true }),
                json!(null),
                json!("b"),
                "p must be \"a\"",
            ),
            (json!({ "type": "integer", "minimum": 1 }), json!(1), json!(0), "p must be at least 1"),
            (
                json!({ "type": "array", "maxItems": 1 }),
                json!([1]),
                json!([1, 2]),
                "p must have at most 1 items",
            ),
        ] {
            let properties = json!({ "p": schema });
            assert_eq!(violations(&properties, &json!({ "p": valid })), [""; 0], "{schema}");
            assert_eq!(violations(&properties, &json!({ "p": invalid })), [message], "{schema}");
        }
    }

    #[test]
    fn password_is_counted_after_normalization() {
        let properties =
            json!({ "p": { "type": "string", "format": "password", "minLength": 1, "maxLength": 256 } });
        let check = |text: String| violations(&properties, &json!({ "p": text }));
        assert_eq!(check("e\u{301}".repeat(256)), [""; 0]);
        assert_eq!(check("\u{FB03}".repeat(86)), ["p must have at most 256 characters"]);
        assert_eq!(check(String::new()), ["p must have at least 1 characters"]);
    }

    #[test]
    fn violations_are_reported_once_for_each_property_in_documented_order() {
        let properties = json!({
            "z": { "format": "email", "minLength": 3, "maxLength": 5, "type": "string" },
            "p": { "type": "string" },
            "a": { "type": "boolean" },
        });
        assert_eq!(
            violations(&properties, &json!({ "a": "", "z": "" })),
            ["z must have at least 3 characters", "p is required", "a must be of type boolean"]
        );
        assert_eq!(
            violations(&properties, &json!({ "p": "", "z": "a long one" })),
            ["z must have at most 5 characters"]
        );
        assert_eq!(violations(&properties, &json!({ "p": "", "z": [] })), ["z must be of type string"]);
        assert_eq!(violations(&properties, &json!([])), ["the body must be a JSON object"]);
    }

    #[test]
    fn nested_violation_names_its_path_and_no_name_of_the_client() {
        let properties = json!({
            "p": { "$ref": "#/components/schemas/Closed" },
            "list": { "type": "array", "items": { "$ref": "#/components/schemas/Closed" } },
            "free": { "type": "object", "additionalProperties": { "type": "string" } },
        });
        let body = json!({
            "p": { "inner": "long" },
            "list": [{ "inner": "a" }, {}, { "inner": "", "secret": 1 }],
            "free": { "secret": 1 },
        });
        assert_eq!(
            violations(&properties, &body),
            [
                "p.inner must have at most 3 characters",
                "list[1].inner is required",
                "list[2] must have no undocumented properties",
                "free has a member that is not valid",
            ]
        );
    }
}
