//! Rules for every operation and every example of the document.

use std::collections::BTreeSet;

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use super::{document, file, operations, resolved};

/// Visits every value of a document with its path. Examples are left out, because they may hold any value.
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
fn path_parameters_and_templates_agree() {
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
fn operation_id_is_unique() {
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
fn every_part_has_a_description() {
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
            assert!(is_said(&resolved(&document, schema)["description"]), "{name}.{property}");
        }
    }
    for tag in document["tags"].as_array().unwrap() {
        assert!(is_said(&tag["description"]), "{tag}");
    }
}

#[test]
fn operation_declares_its_security() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let needs_token = ["/classes", "/students", "/user/me", "/api/v1/users/me"]
            .iter()
            .any(|prefix| path.starts_with(prefix));
        let expected = if needs_token { json!([{ "accessToken": [] }]) } else { json!([]) };
        assert_eq!(operation["security"], expected, "{method} {path}");
        let refuses = operation["responses"].get("401").is_some();
        assert_eq!(refuses, expected != json!([]), "{method} {path}");
    }
}

#[test]
fn response_declares_its_headers() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        if operation["tags"][0] == "service" {
            continue;
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let has = |name: &str| response["headers"].get(name).is_some();
            let context = format!("{method} {path} {status}");
            assert!(has("Cache-Control") && has("X-Request-Id"), "{context}");
            assert_eq!(has("WWW-Authenticate"), status == "401", "{context}");
            assert_eq!(has("Retry-After"), status == "429" || status == "503", "{context}");
        }
    }
}

#[test]
fn media_type_has_no_parameter() {
    visit(&document(), "", &mut |way, value| {
        if let (true, Some(content)) = (way.ends_with("/content"), value.as_object()) {
            for media_type in content.keys() {
                assert!(!media_type.contains(';'), "{way}: {media_type}");
            }
        }
    });
}

/// The keyword of a schema. A member of `properties` with the same name does not count.
fn keyword<'a>(way: &str, value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|_| !way.ends_with("/properties"))
}

#[test]
fn format_with_a_type_of_its_own_has_no_length() {
    visit(&document(), "", &mut |way, value| {
        let format = keyword(way, value, "format").and_then(Value::as_str);
        if matches!(format, Some("date-time" | "date" | "uuid" | "binary" | "byte")) {
            for bound in ["minLength", "maxLength", "pattern"] {
                assert_eq!(value.get(bound), None, "{way}");
            }
        }
    });
}

#[test]
fn uuid_has_a_pattern_and_no_format() {
    // Libraries for `format: uuid` refuse UUIDs without a version, such as the one in the documented example.
    visit(&document(), "", &mut |way, value| {
        assert_ne!(keyword(way, value, "format"), Some(&json!("uuid")), "{way}");
    });
}

#[test]
fn pattern_has_only_ascii_characters_and_escapes() {
    visit(&document(), "", &mut |way, value| {
        let Some(pattern) = keyword(way, value, "pattern").and_then(Value::as_str) else { return };
        assert!(pattern.is_ascii(), "{way}");
        for escape in pattern.split('\\').skip(1).filter(|escape| !escape.is_empty()) {
            let code = escape.strip_prefix('x').map(|code| u8::from_str_radix(&code[..2], 16).unwrap());
            assert!(code.is_none_or(|code| code.is_ascii()), "{way}: {pattern}");
            // Other escapes are punctuation, which all engines escape in the same way.
            assert!(
                code.is_some() || escape.starts_with(|c: char| c.is_ascii_punctuation()),
                "{way}: {pattern}"
            );
        }
        assert!(pattern.starts_with('^'), "{way}: {pattern}");
    });
}

#[test]
fn reference_has_no_siblings() {
    visit(&document(), "", &mut |way, value| {
        assert_eq!(keyword(way, value, "allOf"), None, "{way}");
        if let Some(members) = value.as_object().filter(|members| members.contains_key("$ref")) {
            assert_eq!(members.len(), 1, "{way}");
        }
    });
}

#[test]
fn header_is_a_string_with_an_example() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                let context = format!("{method} {path} {status} {name}");
                let schema = &resolved(&document, header)["schema"];
                assert_eq!(schema["type"], "string", "{context}");
                assert!(schema["example"].is_string(), "{context}");
                assert_eq!(schema.get("enum"), None, "{context}");
                // The introduction describes these for every response.
                assert!(!name.starts_with("Access-Control-"), "{context}");
                assert!(
                    name != "Vary" || !schema["example"].as_str().unwrap().contains("Origin"),
                    "{context}"
                );
            }
        }
    }
}

#[test]
fn body_that_is_not_json_is_a_file() {
    let document = document();
    for (path, _, operation) in operations(&document) {
        for (_, response) in operation["responses"].as_object().unwrap() {
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                let file = json!({ "type": "string", "format": "binary" });
                assert_eq!(
                    content["schema"] == file,
                    media_type != "application/json",
                    "{path} {media_type}"
                );
            }
        }
    }
}

#[test]
fn schema_name_is_no_type_of_a_language_and_no_property_of_itself() {
    let document = document();
    let general = [
        ["Action", "Class", "Code", "Enum", "Error", "Health", "Item", "Items"],
        ["Key", "List", "Method", "Module", "Object", "Request", "Response", "Result"],
        ["Service", "State", "Status", "String", "Success", "Token", "Type", "Validation"],
    ];
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        assert!(!general.concat().contains(&name.as_str()), "{name}");
        assert!(schema.get("title").is_none_or(|title| title == name), "{name}");
        // Several generators give such names to types of an operation.
        assert!(!name.ends_with("Response"), "{name}");
        for property in schema["properties"].as_object().into_iter().flatten().map(|(property, _)| property) {
            assert_ne!(
                property.replace('_', "").to_lowercase(),
                name.to_lowercase(),
                "C# forbids {name}.{property}"
            );
        }
    }
}

#[test]
fn enumeration_value_that_is_no_identifier_has_a_name() {
    let fits = |text: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !text.starts_with(|c: char| c.is_numeric())
    };
    visit(&document(), "", &mut |way, value| {
        let Some(values) = keyword(way, value, "enum").and_then(Value::as_array) else { return };
        if values.iter().filter_map(Value::as_str).all(fits) {
            return;
        }
        for names in ["x-enum-varnames", "x-enumNames"] {
            let names = value[names].as_array().unwrap_or_else(|| panic!("{way}"));
            assert_eq!(names.len(), values.len(), "{way}");
            assert!(names.iter().all(|name| name.as_str().is_some_and(fits)), "{way}: {names:?}");
            assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len(), "{way}");
        }
    });
}

#[test]
fn optional_property_of_a_request_may_be_null_and_a_required_one_may_not() {
    let document = document();
    let mut optional = 0;
    for (path, _, operation) in operations(&document) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let schema = resolved(&document, schema);
        for (name, property) in schema["properties"].as_object().unwrap() {
            let required =
                schema["required"].as_array().is_some_and(|required| required.contains(&json!(name)));
            assert_eq!(property["nullable"] == true, !required, "{path}: {name}");
            // In OpenAPI 3.0 an enumeration without `null` is not nullable.
            assert!(required || property.get("enum").is_none(), "{path}: {name}");
            optional += usize::from(!required);
        }
    }
    assert!(optional >= 14, "only {optional} were found");
}

#[test]
fn document_writes_utc_as_z_and_has_no_null() {
    assert!(!file().contains("+00:00"));
    visit(&document(), "", &mut |way, value| assert!(!value.is_null(), "{way} is null"));
}

#[test]
fn parameter_and_body_have_an_example() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter.get("example").is_some(), "{method} {path}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            // These bodies are the document itself.
            if path == "/openapi.json" || response["content"].get("application/json").is_none() {
                continue;
            }
            let example = &response["content"]["application/json"]["example"];
            assert!(example.is_object(), "{method} {path} {status}");
            // The example of an error has the status of its response.
            if let Some(code) = example.get("code") {
                assert_eq!(code.to_string(), *status, "{method} {path}");
            }
        }
        if let Some(body) = operation.get("requestBody") {
            // A form with a file has no example in JSON.
            let is_form = body["content"].get("multipart/form-data").is_some();
            assert!(is_form || body["content"]["application/json"]["example"].is_object(), "{path}");
        }
    }
}

#[test]
fn example_is_valid_against_its_schema() {
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
        // A body has a schema next to the example. Every other value with an example is a schema.
        match value.get("schema") {
            Some(schema) => check(way, &resolved(&document, schema), example),
            None => check(way, value, example),
        }
    });
    assert!(checked > 40, "only {checked} examples were found");
}

/// A schema of OpenAPI 3.0 as JSON Schema draft 4, which has no `nullable`. Objects are closed, so that an example with an
/// undocumented property is not valid.
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
