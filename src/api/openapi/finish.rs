//! What the generator cannot express, added to the document before it is served.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::{
    operation::{Link, OperationDetails},
    request_id::REQUEST_ID_PATTERN,
};

/// Completes a generated document.
pub(super) fn finish(document: &mut Value, details: &[OperationDetails]) {
    sort_tags(document);
    let mut headers = Map::new();
    let mut requests = Vec::new();
    for operation in members(&mut document["paths"]).flat_map(members) {
        declare_no_security(operation);
        move_parameter_examples(operation);
        requests.extend(request_schema(operation));
        if let Some(details) = details.iter().find(|details| operation["operationId"] == details.id) {
            add_examples(operation, details);
            add_links(operation, details);
        }
        add_request_id(operation);
        share_headers(operation, &mut headers);
    }
    document["components"]["headers"] = Value::Object(headers);
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        if requests.contains(name) {
            allow_null(schema);
        } else {
            require_nullable(schema);
        }
        name_values(schema);
    }
    simplify(document);
    rename_schemas(document);
    document["servers"][0]["x-internal"] = false.into();
}

/// Sorts the tags in the order of the operations. The generator sorts them by name.
fn sort_tags(document: &mut Value) {
    let operations = document["paths"].as_object().into_iter().flatten();
    let operations = operations.flat_map(|(_, operations)| operations.as_object().into_iter().flatten());
    let order: Vec<Value> = operations.map(|(_, operation)| operation["tags"][0].clone()).collect();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(|tag| order.iter().position(|name| *name == tag["name"]));
    }
}

/// An operation without a security requirement declares so, which the generator cannot express.
fn declare_no_security(operation: &mut Value) {
    if operation.get("security").is_none() {
        operation["security"] = json!([]);
    }
}

/// Moves the example of a parameter from its schema to the parameter, where all tools look for it.
fn move_parameter_examples(operation: &mut Value) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let schema = parameter["schema"].as_object_mut();
        if let Some(example) = schema.and_then(|schema| schema.remove("example")) {
            parameter["example"] = example;
        }
    }
}

/// Adds an example to every body.
fn add_examples(operation: &mut Value, details: &OperationDetails) {
    if let Some(request) = &details.request_example {
        operation["requestBody"]["content"]["application/json"]["example"] = request.clone();
    }
    for (status, body) in &details.response_examples {
        operation["responses"][status.to_string()]["content"]["application/json"]["example"] = body.clone();
    }
}

/// Adds the links to the success response.
fn add_links(operation: &mut Value, details: &OperationDetails) {
    let Some((status, _)) = details.response_examples.first() else { return };
    for Link { to, parameter, value, description } in details.links {
        operation["responses"][status.to_string()]["links"][to] = json!({
            "operationId": to,
            "parameters": { *parameter: value },
            "description": description,
        });
    }
}

/// Adds the header `X-Request-Id` to every response.
fn add_request_id(operation: &mut Value) {
    for response in members(&mut operation["responses"]) {
        response["headers"]["X-Request-Id"] = json!({
            "description": "The request's `X-Request-Id`, if it had one of this form, or a new one. The server's log \
                            shows it.",
            "required": true,
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 64,
                "pattern": REQUEST_ID_PATTERN,
                "example": "019e3a3b-5f40-7c1e-9d2a-6b8f0c4e7a15",
            },
        });
    }
}

/// Moves equal headers of all responses to one shared component.
fn share_headers(operation: &mut Value, shared: &mut Map<String, Value>) {
    for response in members(&mut operation["responses"]) {
        let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) else { continue };
        *headers = std::mem::take(headers)
            .into_iter()
            .map(|(name, header)| (usual_spelling(&name), header))
            .collect();
        for (name, header) in headers {
            let component = name.replace('-', "");
            if shared.entry(&component).or_insert_with(|| header.clone()) == header {
                *header = json!({ "$ref": format!("#/components/headers/{component}") });
            }
        }
    }
}

/// The usual spelling of a header's name, which the generator writes in upper case.
fn usual_spelling(name: &str) -> String {
    if name.contains(char::is_lowercase) {
        return name.to_owned();
    }
    if name == "ETAG" {
        return "ETag".to_owned();
    }
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{first}{}", rest.to_lowercase())
    });
    words.collect::<Vec<_>>().join("-")
}

/// The name of the schema of an operation's request body.
fn request_schema(operation: &Value) -> Option<String> {
    let body = operation.pointer("/requestBody/content/application~1json/schema/$ref")?;
    Some(body.as_str()?.strip_prefix(SCHEMAS)?.to_owned())
}

/// Makes the optional properties of a request nullable: `null` means that the property is absent.
fn allow_null(schema: &mut Value) {
    let required = schema["required"].clone();
    let required = required.as_array().map_or(&[][..], Vec::as_slice);
    for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if !required.iter().any(|required| required == name) {
            property["nullable"] = true.into();
        }
    }
}

/// Makes the nullable properties of a response required: the response has them with the value `null`.
fn require_nullable(schema: &mut Value) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let nullable: Vec<Value> = properties
        .filter(|(_, property)| property["nullable"] == true)
        .map(|(name, _)| Value::from(name.as_str()))
        .collect();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.extend(nullable);
    }
}

/// Names the values of an enumeration that are not identifiers, for generators of clients (`x-enum-varnames` for OpenAPI
/// Generator, `x-enumNames` for `NSwag`).
fn name_values(schema: &mut Value) {
    let values: Vec<&str> =
        schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if values.iter().all(|value| value.chars().all(fits)) {
        return;
    }
    let names: Vec<String> =
        values.iter().map(|value| value.chars().filter(|&c| fits(c)).collect()).collect();
    schema["x-enum-varnames"] = json!(names);
    schema["x-enumNames"] = json!(names);
}

/// Replaces an `allOf` of a reference and a description by the reference, and writes whole numbers without a fraction. The
/// generator wraps the references of properties so, and many generators of clients read an `allOf` as another type.
fn simplify(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(members) => {
            let parts = members.get("allOf").and_then(Value::as_array);
            if let Some(reference) =
                parts.and_then(|parts| parts.iter().find(|part| part.get("$ref").is_some()))
            {
                *value = reference.clone();
            } else {
                members.values_mut().for_each(simplify);
            }
        }
        Value::Number(number) =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "a bound that is a whole number")]
            if let Some(whole) = number.as_f64().filter(|number| number.fract() == 0.0) {
                *value = (whole as i64).into();
            }
        }
        _ => {}
    }
}

/// The prefix of references to schemas.
const SCHEMAS: &str = "#/components/schemas/";

/// Renames generic schemas from `List_Item` to `ItemList`, because generated clients use the names for their types.
fn rename_schemas(document: &mut Value) {
    let name = |generic: &str| match generic.split_once('_') {
        Some((list, item)) => format!("{item}{list}"),
        None => generic.to_owned(),
    };
    let schemas = document["components"]["schemas"].take();
    let renamed: BTreeMap<String, Value> = schemas
        .as_object()
        .into_iter()
        .flatten()
        .map(|(generic, schema)| {
            let mut schema = schema.clone();
            if schema.get("title").is_some() {
                schema["title"] = name(generic).into();
            }
            (name(generic), schema)
        })
        .collect();
    document["components"]["schemas"] = json!(renamed);
    rename_references(document, &name);
}

fn rename_references(value: &mut Value, name: &impl Fn(&str) -> String) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, name)),
        Value::Object(members) => {
            for (key, member) in members {
                let referred = member.as_str().filter(|_| key == "$ref");
                if let Some(generic) = referred.and_then(|reference| reference.strip_prefix(SCHEMAS)) {
                    *member = format!("{SCHEMAS}{}", name(generic)).into();
                } else {
                    rename_references(member, name);
                }
            }
        }
        _ => {}
    }
}

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(|object| object.values_mut())
}
