//! What holds for every operation of the document, and for every example in it.

use std::collections::BTreeSet;

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use super::{document, file, operations, resolved};

/// Visits every value of a document with the way to it. Examples hold what a body holds, and are left out.
fn visit<'a>(value: &'a Value, way: &str, see: &mut impl FnMut(&str, &'a Value)) {
    see(way, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| *name != "example") {
                visit(member, &format!("{way}/{name}"), see);
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                visit(item, &format!("{way}/{place}"), see);
            }
        }
        _ => {}
    }
}

fn is_said(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[test]
fn every_parameter_of_a_path_is_in_it_and_the_other_way_round() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let named = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_path = parameters.filter(|parameter| parameter["in"] == "path");
        let declared: Vec<&str> = in_path
            .map(|parameter| {
                assert_eq!(parameter["required"], true, "{method} {path}");
                parameter["name"].as_str().unwrap()
            })
            .collect();
        assert_eq!(named.collect::<Vec<_>>(), declared, "{method} {path}");
        assert!(!path.contains(':') && !path.contains('*'), "{path}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = document();
    let mut seen = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
        assert!(id.starts_with(|c: char| c.is_ascii_lowercase()), "{id}");
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
        assert!(seen.insert(id), "{id} twice");
    }
}

#[test]
fn everything_is_described() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        for word in ["summary", "description"] {
            assert!(is_said(&operation[word]), "{method} {path} has no {word}");
        }
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(is_said(&parameter["description"]), "{method} {path}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(is_said(&response["description"]), "{method} {path} {status}");
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                let header = resolved(&document, header);
                assert!(is_said(&header["description"]), "{method} {path} {status} {name}");
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(is_said(&schema["description"]), "{name}");
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(is_said(&schema["description"]), "{name}.{property}");
        }
    }
    for tag in document["tags"].as_array().unwrap() {
        assert!(is_said(&tag["description"]), "{tag}");
    }
}

#[test]
fn every_operation_says_whether_it_needs_a_token() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let expected = if path.starts_with("/classes") { json!([{ "accessToken": [] }]) } else { json!([]) };
        assert_eq!(operation["security"], expected, "{method} {path}");
        let refuses = operation["responses"].get("401").is_some();
        assert_eq!(refuses, expected != json!([]), "{method} {path}");
    }
}

#[test]
fn an_answer_says_its_headers() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        if operation["tags"][0] == "service" {
            continue;
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let has = |name: &str| response["headers"].get(name).is_some();
            let context = format!("{method} {path} {status}");
            assert!(has("Cache-Control") && has("Vary"), "{context}");
            assert_eq!(has("WWW-Authenticate"), status == "401", "{context}");
            assert_eq!(has("Retry-After"), status == "429" || status == "503", "{context}");
        }
    }
}

#[test]
fn no_media_type_has_a_parameter() {
    visit(&document(), "", &mut |way, value| {
        if let (true, Some(content)) = (way.ends_with("/content"), value.as_object()) {
            for media_type in content.keys() {
                assert!(!media_type.contains(';'), "{way}: {media_type}");
            }
        }
    });
}

#[test]
fn the_document_writes_utc_as_z_and_says_nothing_with_null() {
    assert!(!file().contains("+00:00"));
    visit(&document(), "", &mut |way, value| assert!(!value.is_null(), "{way} is null"));
}

#[test]
fn every_answer_of_a_family_has_an_example() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        if operation["tags"][0] == "service" {
            continue;
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let example = &response["content"]["application/json"]["example"];
            assert!(example.is_object(), "{method} {path} {status}");
            // A failure's example is one of that status.
            if let Some(code) = example.get("code") {
                assert_eq!(code.to_string(), *status, "{method} {path}");
            }
        }
        if operation.get("requestBody").is_some() {
            assert!(operation["requestBody"]["content"]["application/json"]["example"].is_object(), "{path}");
        }
    }
}

#[test]
fn every_example_is_valid_by_its_own_schema() {
    let document = document();
    let components = draft_4(&document["components"]);
    let mut checked = 0;
    let mut check = |way: &str, schema: &Value, example: &Value| {
        let mut root = draft_4(schema);
        root.as_object_mut().unwrap().insert("components".into(), components.clone());
        let validator = jsonschema::options()
            .with_draft(Draft::Draft4)
            .should_validate_formats(true)
            .build(&root)
            .unwrap();
        let faults: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{way}: {faults:?}");
        checked += 1;
    };
    visit(&document, "", &mut |way, value| {
        let Some(example) = value.get("example") else { return };
        // A body has its schema beside the example, everything else is a schema itself.
        match value.get("schema") {
            Some(schema) => check(way, &resolved(&document, schema), example),
            None => check(way, value, example),
        }
    });
    assert!(checked > 40, "only {checked} examples were found");
}

/// OpenAPI 3.0's schema as JSON Schema's draft 4, which has no `nullable`. Nothing may be there but what is documented,
/// so that no example shows more than its schema says.
fn draft_4(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(draft_4).collect(),
        Value::Object(members) => {
            let mut members: Map<String, Value> =
                members.iter().map(|(name, member)| (name.clone(), draft_4(member))).collect();
            if members.get("nullable") == Some(&Value::Bool(true)) {
                let own = members["type"].clone();
                members.insert("type".into(), json!([own, "null"]));
            }
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            Value::Object(members)
        }
        other => other.clone(),
    }
}
