//! A schema is read as a JSON Schema engine reads it, and what is told of a fault.

use jsonschema::{Draft, error::ValidationErrorKind};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use serde_json::json;
use unicode_normalization::UnicodeNormalization;
use url::Url;

use super::*;
use crate::domain::email::Email;

/// What is wrong with a value by a schema which has these keywords.
fn fault(schema: &Value, value: &Value) -> Option<String> {
    let schemas = json!({ "Named": { "type": "string", "enum": ["a", "b"] } });
    let rules = rules(&schemas, schema).unwrap();
    let property =
        Property { name: "p".into(), required: false, nullable: schema["nullable"] == true, rules };
    property.fault(json!({ "p": value }).as_object().unwrap())
}

#[test]
fn every_keyword_of_every_request_is_understood() {
    let document = openapi::generated();
    let names: Vec<_> = bodies(document).collect();
    assert_eq!(names, ["CreateCodeRequest", "CreateTokenRequest"]);
    for name in names {
        let documented = document["components"]["schemas"][name]["properties"].as_object().unwrap();
        let read: Vec<_> = SCHEMAS[name].iter().map(|property| &property.name).collect();
        assert_eq!(read, documented.keys().collect::<Vec<_>>());
    }
}

#[test]
fn a_keyword_that_is_not_understood_makes_a_schema_worthless_and_not_lax() {
    for schema in [
        json!({ "type": "number" }),
        json!({ "type": "string", "format": "date" }),
        json!({ "type": "integer" }),
        json!({ "type": "string", "multipleOf": 2 }),
        json!({ "type": "string", "pattern": "(" }),
        json!({ "$ref": "#/components/schemas/Unknown" }),
        json!({ "allOf": [{ "type": "string" }] }),
    ] {
        assert!(rules(&json!({}), &schema).is_none(), "{schema}");
    }
    let schemas = json!({ "Closed": { "type": "object", "properties": {}, "additionalProperties": false } });
    assert!(properties(&schemas, "Closed").is_none());
}

#[test]
fn a_rule_of_a_schema_is_kept_at_its_bounds_and_broken_beyond_them() {
    let text = |keyword: &str, value: Value| json!({ "type": "string", keyword: value });
    let named = json!({ "$ref": "#/components/schemas/Named" });
    let nullable = json!({ "type": "string", "nullable": true });
    for (schema, kept, broken, complaint) in [
        (json!({ "type": "string" }), json!(""), json!(null), "p must be of type string"),
        (json!({ "type": "boolean" }), json!(false), json!(0), "p must be of type boolean"),
        (nullable, json!(null), json!(0), "p must be of type string"),
        (text("minLength", json!(2)), json!("\u{1F511}é"), json!("a"), "p must have at least 2 characters"),
        (text("maxLength", json!(2)), json!("\u{1F511}é"), json!("abc"), "p must have at most 2 characters"),
        (
            text("pattern", json!("^[^\\x00-\\x1F]*$")),
            json!("é\u{1F511}"),
            json!("\n"),
            "p must match ^[^\\x00-\\x1F]*$",
        ),
        (text("format", json!("email")), json!("a@b"), json!("a"), "p must be an e-mail address"),
        (text("format", json!("uri")), json!("a:b"), json!("/a"), "p must be an absolute URI"),
        (text("enum", json!(["S256"])), json!("S256"), json!("plain"), "p must be \"S256\""),
        (named, json!("b"), json!("c"), "p must be one of [\"a\",\"b\"]"),
    ] {
        assert_eq!(fault(&schema, &kept), None, "{schema}");
        assert_eq!(fault(&schema, &broken).as_deref(), Some(complaint), "{schema}");
    }
}

/// Values that a property may well be sent as.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_i64..=1).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        "[ -~]{0,45}".prop_map(Value::from),
        "[A-Za-z0-9_-]{42}[A-Z]".prop_map(Value::from),
        "(app_)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".prop_map(Value::from),
        prop::sample::select(vec!["a@b.example", "https://a.example/", "S256", "authorization_code"])
            .prop_map(Value::from),
        Just(json!(["a"])),
    ]
}

/// OpenAPI's `nullable` in the words of JSON Schema.
fn draft_4(mut schema: Value) -> Value {
    if schema["nullable"] == true {
        schema["type"] = json!([schema["type"], "null"]);
    }
    match schema {
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, draft_4(value))).collect(),
        other => other,
    }
}

#[test]
fn a_form_is_refused_by_us_if_and_only_if_its_schema_refuses_it() {
    let document = openapi::generated();
    for name in bodies(document) {
        let reference = json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": draft_4(document["components"].clone()),
        });
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .should_validate_formats(true)
            .with_format("email", |text: &str| Email::parse(text).is_ok())
            .with_format("uri", |text: &str| Url::parse(text).is_ok())
            .build(&reference)
            .unwrap();
        let properties = &SCHEMAS[name];
        let values = prop::collection::vec(prop::option::weighted(0.9, any_value()), properties.len());
        TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() })
            .run(&values, |values| {
                let sent = properties.iter().zip(values);
                let sent = sent.filter_map(|(property, value)| Some((property.name.clone(), value?)));
                let body: Value = sent.collect::<Map<_, _>>().into();
                // The server counts a password after normalization. The engine counts as sent, so it gets the normalized text.
                let mut normalized = body.clone();
                if let Some(password) = body["password"].as_str() {
                    normalized["password"] = password.nfkc().collect::<String>().into();
                }
                let mut faulty: Vec<_> = validator
                    .iter_errors(&normalized)
                    .map(|error| match error.kind() {
                        ValidationErrorKind::Required { property } => property.as_str().unwrap().to_owned(),
                        _ => error.instance_path().as_str().trim_start_matches('/').to_owned(),
                    })
                    .collect();
                faulty.sort_by_key(|name| properties.iter().position(|property| property.name == *name));
                faulty.dedup();
                let object = body.as_object().unwrap();
                let ours: Vec<_> = properties
                    .iter()
                    .filter(|property| property.fault(object).is_some())
                    .map(|property| property.name.clone())
                    .collect();
                prop_assert_eq!(ours, faulty);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn of_the_rules_that_a_property_breaks_the_first_is_told() {
    let schema = json!({ "format": "email", "minLength": 3, "maxLength": 5, "type": "string" });
    assert_eq!(fault(&schema, &json!([])).as_deref(), Some("p must be of type string"));
    assert_eq!(fault(&schema, &json!("")).as_deref(), Some("p must have at least 3 characters"));
    assert_eq!(fault(&schema, &json!("a long one")).as_deref(), Some("p must have at most 5 characters"));
    assert_eq!(fault(&schema, &json!("none")).as_deref(), Some("p must be an e-mail address"));
}
