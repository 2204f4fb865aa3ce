//! The document: it is served as in the repository, it says the same as the two documented pages, and it is consistent.

mod headers;
mod originals;
mod pages;
mod soundness;

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{CLASSROOM_CODES, Kind, SIGN_IN_CODES, School};

/// The text of `openapi.yaml`.
fn file() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml")).unwrap()
}

/// The parsed `openapi.yaml`.
pub fn document() -> Value {
    serde_saphyr::from_str(&file()).unwrap()
}

/// Every operation with its path and method.
pub fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.clone(), method.clone(), operation))
    });
    operations.collect()
}

/// A schema with its `$ref` resolved and its `allOf` merged.
fn resolved(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return resolved(document, target.unwrap_or_else(|| panic!("{reference} leads nowhere")));
    }
    let mut whole = schema.clone();
    if let Some(parts) = whole.as_object_mut().and_then(|schema| schema.remove("allOf")) {
        for part in parts.as_array().unwrap() {
            let part = resolved(document, part);
            let object = whole.as_object_mut().unwrap();
            for (name, value) in part.as_object().unwrap() {
                object.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn served_document_is_the_file_in_the_repository() {
    let school = School::start(Kind::Sqlite).await;
    let yaml = school.get("/openapi.yaml").send().await;
    assert_eq!((yaml.status, yaml.header("content-type")), (200, Some("application/yaml")));
    assert!(yaml.text == file(), "openapi.yaml is not what the server serves: run scripts/openapi");
    let json = school.get("/openapi.json").send().await;
    assert_eq!(json.whole(), (200, document()));
}

#[test]
fn error_codes_are_a_closed_list() {
    let document = document();
    for (schema, codes) in [
        ("ClassroomErrorCode", CLASSROOM_CODES.map(|(code, _)| code).to_vec()),
        ("SignInErrorCode", SIGN_IN_CODES.map(|(code, _)| code).to_vec()),
    ] {
        assert_eq!(document["components"]["schemas"][schema]["enum"], serde_json::json!(codes), "{schema}");
    }
}
