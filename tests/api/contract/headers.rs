//! The headers of responses are exactly those that the document describes.

use std::collections::{BTreeMap, BTreeSet};

use homeroom::classroom;
use jsonschema::Draft;
use serde_json::{Value, json};

use super::{document, operations, resolved};
use crate::{
    middleware::{damage_database, disconnect_database},
    support::{
        Answer, COLLEAGUE, Call, Kind, OTHER_CLASS, OWN_CLASS, PROTECTION, STUDENT, School, TEACHER, both,
        exchange_body, sign_in_body, signing_in::changed,
    },
};

/// The paths of the tested operations in the document.
const CODES: &str = "/api/v1/codes";
const TOKENS: &str = "/api/v1/tokens";
const GENERATE: &str = "/classes/{classId}/join-code";
const CLASS: &str = "/classes/{classId}";
const JOIN: &str = "/classes/join/{joinCode}";

/// The one operation of a path.
fn operation<'a>(document: &'a Value, path: &str) -> &'a Value {
    let item = document["paths"][path].as_object().unwrap();
    assert_eq!(item.len(), 1, "{path}");
    item.values().next().unwrap()
}

/// Asserts that a response of the operation at `path` has the documented headers of its status.
#[track_caller]
fn assert_documented(document: &Value, path: &str, answer: &Answer) {
    let context = format!("{path}: {} {:?}", answer.status, answer.headers);
    let response = &operation(document, path)["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{context}");
    let headers = response["headers"].as_object().into_iter().flatten();
    let documented: BTreeMap<String, Value> =
        headers.map(|(name, header)| (name.to_lowercase(), resolved(document, header))).collect();
    // The introduction documents these for every response.
    let is_in_introduction = |name: &str| {
        PROTECTION.iter().any(|(known, _)| *known == name)
            || name == "vary"
            || name.starts_with("access-control-")
    };
    let names = answer.headers.keys().filter(|name| {
        !["content-type", "content-length"].contains(&name.as_str()) && !is_in_introduction(name.as_str())
    });
    for name in names {
        assert!(documented.contains_key(name.as_str()), "{name} is not documented, {context}");
    }
    for (name, header) in &documented {
        let values: Vec<&str> =
            answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        let least = usize::from(header["required"] == true);
        assert!((least..=1).contains(&values.len()), "{name} is there {} times, {context}", values.len());
        assert!(values.iter().all(|value| admits(&header["schema"], value)), "{name}, {context}");
        assert!(admits(&header["schema"], header["schema"]["example"].as_str().unwrap()), "{name}");
    }
    // The document has this header as the key of the body, without parameters.
    let media_types = response["content"].as_object().into_iter().flatten();
    let media_types: Vec<&str> = media_types.map(|(media_type, _)| media_type.as_str()).collect();
    match answer.header("content-type").map(|media_type| media_type.split(';').next().unwrap()) {
        None => assert!(media_types.is_empty(), "{context}"),
        Some(media_type) => assert!(media_types.contains(&media_type), "{context}"),
    }
}

fn admits(schema: &Value, text: &str) -> bool {
    jsonschema::options().with_draft(Draft::Draft4).build(schema).unwrap().is_valid(&json!(text))
}

/// Causes every status of every operation, from a page of `origin` if given, and compares each response with the document.
async fn compare_every_status(kind: Kind, origin: Option<&str>) {
    let document = document();
    let school = School::start(kind).await;
    let teacher = school.token(TEACHER).await;
    let colleague = school.token(COLLEAGUE).await;
    let student = school.token(STUDENT).await;
    let mut unseen: BTreeSet<(String, String)> = operations(&document)
        .into_iter()
        .flat_map(|(path, _, operation)| {
            let statuses = operation["responses"].as_object().unwrap().keys();
            statuses.map(move |status| (path.clone(), status.clone())).collect::<Vec<_>>()
        })
        .collect();
    let mut check = async |path: &str, call: Call<'_>| {
        let call = if let Some(origin) = origin { call.header("Origin", origin) } else { call };
        let answer = call.send().await;
        assert_documented(&document, path, &answer);
        unseen.remove(&(path.to_owned(), answer.status.to_string()));
        answer
    };

    let sign_in = || school.post(CODES).json(&sign_in_body(TEACHER));
    let swap = |code: &str| school.post(TOKENS).json(&exchange_body(code));
    let generate = |class: &str| school.post(&format!("/classes/{class}/join-code"));
    let read = |class: &str| school.get(&format!("/classes/{class}"));
    let join = |code: &str| school.post(&format!("/classes/join/{code}"));
    let (own, others) = (OWN_CLASS.to_string(), OTHER_CLASS.to_string());

    check(CODES, sign_in()).await;
    check(CODES, school.post(CODES)).await;
    let code = school.code(TEACHER).await;
    check(TOKENS, swap(&code)).await;
    check(TOKENS, swap(&code)).await;
    check(GENERATE, generate(&own)).await;
    check(GENERATE, generate(&own).bearer("x")).await;
    check(GENERATE, generate(&others).bearer(&teacher)).await;
    check(GENERATE, generate("10A1").bearer(&teacher)).await;
    let generated = check(GENERATE, generate(&own).bearer(&teacher)).await.json();
    let join_code = generated["data"]["joinCode"].as_str().unwrap();
    check(JOIN, join(join_code)).await;
    check(JOIN, join("1").bearer(&colleague)).await;
    check(JOIN, join(join_code).bearer(&colleague)).await;
    check(JOIN, join(join_code).bearer(&colleague)).await;
    check(CLASS, read(&own)).await;
    check(CLASS, read(&own).bearer(&teacher)).await;
    check(CLASS, read(&others).bearer(&teacher)).await;
    check(CLASS, read("10A1").bearer(&teacher)).await;
    for _ in 0..6 {
        let body = changed(sign_in_body("nobody@example.com"), json!({ "password": "wrong" }));
        check(CODES, school.post(CODES).json(&body)).await;
    }
    for _ in 0..11 {
        check(JOIN, join("1").bearer(&student)).await;
    }
    for path in ["/.well-known/jwks.json", "/health/live", "/health/ready"] {
        check(path, school.get(path)).await;
    }
    for path in ["/", "/openapi.yaml", "/openapi.json", "/docs"] {
        for accept in ["*/*", "text/html"] {
            let get = || school.get(path).header("Accept", accept);
            let text = check(path, get()).await;
            check(path, get().header("If-None-Match", text.header("etag").unwrap())).await;
        }
    }

    let code = school.code(TEACHER).await;
    let everything = || {
        [
            (CODES, sign_in()),
            (TOKENS, swap(&code)),
            (GENERATE, generate(&own).bearer(&teacher)),
            (JOIN, join(join_code).bearer(&colleague)),
            (CLASS, read(&own).bearer(&teacher)),
            ("/health/ready", school.get("/health/ready")),
        ]
    };
    damage_database(&school).await;
    for (path, call) in everything() {
        check(path, call).await;
    }
    disconnect_database(&school).await;
    for (path, call) in everything() {
        check(path, call).await;
    }

    let limited = classroom::Settings { join_code_rate: 1, ..classroom::Settings::default() };
    let busy = School::start_with_classroom(kind, limited).await;
    let teacher = busy.token(TEACHER).await;
    for _ in 0..2 {
        check(GENERATE, busy.post(&format!("/classes/{own}/join-code")).bearer(&teacher)).await;
    }

    assert!(unseen.is_empty(), "nothing was answered with {unseen:?}");
}

both! {
    async fn documented_status_has_exactly_the_documented_headers(kind: Kind) {
        compare_every_status(kind, None).await;
        compare_every_status(kind, Some("https://app.example.com")).await;
    }
}

#[test]
fn header_of_every_response_is_documented_once() {
    let document = document();
    let introduction =
        document["info"]["description"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, value) in PROTECTION {
        let described = introduction.to_lowercase();
        assert!(described.contains(&format!("`{name}")), "{name}");
        // The introduction describes the value in words.
        assert!(
            name == "content-security-policy" || introduction.contains(&format!(": {value}`")),
            "{name}: {value}"
        );
    }
    for phrase in
        ["`Vary: Origin`", "`Access-Control-Allow-Origin`", "`Access-Control-Expose-Headers: Retry-After"]
    {
        assert!(introduction.contains(phrase), "{phrase}");
    }
}
