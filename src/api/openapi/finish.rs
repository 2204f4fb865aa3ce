//! What the generator cannot say, added to the document once, before it is served.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value, json};

use crate::{
    api::{
        classes::operations::Classes, service::operations::Service, sign_in::operations::SignInOperations,
    },
    domain::{join_code::JoinCode, redirect_uri::RedirectUri},
    http::{operation::Examples, request_id},
};

/// Finishes a generated document.
pub fn finish(document: &mut Value) {
    let examples: HashMap<&str, Examples> = SignInOperations::examples()
        .into_iter()
        .chain(Classes::examples())
        .chain(Service::examples())
        .map(|examples| (examples.id, examples))
        .collect();
    let mut headers = Map::new();
    let mut requests = Vec::new();
    for operation in members(&mut document["paths"]).flat_map(members) {
        close(operation);
        bound_parameters(operation);
        requests.extend(request_schema(operation));
        if let Some(examples) = operation["operationId"].as_str().and_then(|id| examples.get(id)) {
            exemplify(operation, examples);
        }
        link(operation);
        identify(operation);
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
    // The story in its order; what the server says of itself comes last.
    let place = |tag: &Value| {
        ["sign-in", "classes"].iter().position(|name| tag["name"] == *name).unwrap_or(usize::MAX)
    };
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(place);
    }
}

/// An operation without security is open by intent, and says so.
fn close(operation: &mut Value) {
    if operation.get("security").is_none() {
        operation["security"] = json!([]);
    }
}

/// Any text will do as a parameter, and is looked up or read: one that is longer than this is nobody's. Its example is
/// the parameter's, where every reader of the document looks for it.
fn bound_parameters(operation: &mut Value) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let length = match parameter["name"].as_str() {
            Some("joinCode") => Some(JoinCode::MAX_TYPED),
            Some("Origin") => Some(RedirectUri::MAX),
            _ => None,
        };
        if let Some(length) = length {
            parameter["schema"]["maxLength"] = length.into();
        }
        if let Some(example) = parameter["schema"].as_object_mut().and_then(|schema| schema.remove("example"))
        {
            parameter["example"] = example;
        }
    }
}

/// Puts an example beside every body.
fn exemplify(operation: &mut Value, examples: &Examples) {
    if let Some(request) = &examples.request {
        operation["requestBody"]["content"]["application/json"]["example"] = request.clone();
    }
    for (status, body) in &examples.responses {
        operation["responses"][status.to_string()]["content"]["application/json"]["example"] = body.clone();
    }
}

/// What an answer is good for next.
struct Link {
    from: &'static str,
    status: &'static str,
    to: &'static str,
    parameter: &'static str,
    value: &'static str,
    description: &'static str,
}

/// From the draw of a join code to the class with its student in it. How a code becomes tokens is not among them: it is
/// inside a URL, where no runtime expression reaches.
const LINKS: [Link; 5] = [
    Link {
        from: "generateJoinCode",
        status: "200",
        to: "joinClassByCode",
        parameter: "joinCode",
        value: "$response.body#/data/joinCode",
        description: "A student joins the class with this code.",
    },
    Link {
        from: "generateJoinCode",
        status: "200",
        to: "getClassById",
        parameter: "classId",
        value: "$request.path.classId",
        description: "The class shows this code to its owner.",
    },
    Link {
        from: "joinClassByCode",
        status: "201",
        to: "getClassById",
        parameter: "classId",
        value: "$response.body#/data/classId",
        description: "The student may read the class now.",
    },
    Link {
        from: "getClassById",
        status: "200",
        to: "generateJoinCode",
        parameter: "classId",
        value: "$response.body#/data/id",
        description: "The class's owner draws its next join code.",
    },
    Link {
        from: "getClassById",
        status: "200",
        to: "joinClassByCode",
        parameter: "joinCode",
        value: "$response.body#/data/joinCode",
        description: "A student joins with the code that its owner sees, if there is one.",
    },
];

/// Links an operation's answers to the operations that take what they hold.
fn link(operation: &mut Value) {
    let id = operation["operationId"].as_str().map(str::to_owned);
    for link in LINKS.iter().filter(|link| id.as_deref() == Some(link.from)) {
        operation["responses"][link.status]["links"][link.to] = json!({
            "operationId": link.to,
            "parameters": { link.parameter: link.value },
            "description": link.description,
        });
    }
}

/// Every answer says which request it answers.
fn identify(operation: &mut Value) {
    for response in members(&mut operation["responses"]) {
        response["headers"]["X-Request-Id"] = json!({
            "description": "The request's `X-Request-Id`, if it had one of this form, or a new one: what it is known by \
                            in the server's log.",
            "required": true,
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 64,
                "pattern": request_id::REQUEST_ID_PATTERN,
                "example": "019e3a3b-5f40-7c1e-9d2a-6b8f0c4e7a15",
            },
        });
    }
}

/// A header means the same on every answer: it is described once, and referred to.
fn share_headers(operation: &mut Value, shared: &mut Map<String, Value>) {
    for response in members(&mut operation["responses"]) {
        let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) else { continue };
        *headers =
            std::mem::take(headers).into_iter().map(|(name, header)| (spelled(&name), header)).collect();
        for (name, header) in headers {
            let component = name.replace('-', "");
            if shared.entry(&component).or_insert_with(|| header.clone()) == header {
                *header = json!({ "$ref": format!("#/components/headers/{component}") });
            }
        }
    }
}

/// A header's name as the world spells it, where the generator shouts.
fn spelled(name: &str) -> String {
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

/// In a request, `null` for an optional property means that it is absent.
fn allow_null(schema: &mut Value) {
    let required = schema["required"].clone();
    let required = required.as_array().map_or(&[][..], Vec::as_slice);
    for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if !required.iter().any(|required| required == name) {
            property["nullable"] = true.into();
        }
    }
}

/// What may be null in an answer is still there.
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

/// Names the values of an enumeration that are no identifiers, for the makers of clients (`x-enum-varnames` for
/// OpenAPI Generator, `x-enumNames` for `NSwag`).
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

/// Where a property is of a named schema, the generator wraps the reference in an `allOf`, beside the property's
/// description. Many makers of clients read that as another type. And it writes whole numbers as fractions.
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

/// Where the references to schemas lead.
const SCHEMAS: &str = "#/components/schemas/";

/// The generator calls a generic schema `Of_Item`; in the names of clients' types it is `ItemOf`.
fn rename_schemas(document: &mut Value) {
    let name = |generic: &str| match generic.split_once('_') {
        Some((of, item)) => format!("{item}{of}"),
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

/// Quotes the texts that readers of YAML 1.1 would take for points in time, and not for the texts that they are.
pub fn quote_times(yaml: &str) -> String {
    let is_time =
        |text: &str| text.parse::<NaiveDate>().is_ok() || DateTime::parse_from_rfc3339(text).is_ok();
    let quoted = yaml.lines().map(|line| match line.rsplit_once(": ") {
        Some((name, text)) if is_time(text) => format!("{name}: '{text}'\n"),
        _ => format!("{line}\n"),
    });
    quoted.collect()
}

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(|object| object.values_mut())
}
