//! Hostile requests to every documented operation, found in the served document. A new operation is tested without a new line here.

use serde_json::{Value, json};

use super::material::{LARGEST_BODY, UNKNOWN_IDS, malformed, strange_values};
use crate::support::{Answer, Call, School, TEACHER, assert_failure, both};

/// A documented operation.
struct Operation {
    method: String,
    template: String,
    /// The documented request body. `None` if it reads none.
    example: Option<Value>,
    /// Whether it needs an access token.
    authenticated: bool,
    /// Whether it has a required query parameter.
    language: bool,
}

impl Operation {
    /// The path with `value` as every path parameter.
    fn path(&self, value: &str) -> String {
        let mut path = String::new();
        let mut rest = self.template.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            path.push_str(before);
            path.push_str(value);
            rest = after.split_once('}').unwrap().1;
        }
        path.push_str(rest);
        if self.language {
            path.push_str("?language=en");
        }
        path
    }

    /// A request with a token if the operation needs one.
    fn call<'a>(&self, school: &'a School, path: &str, token: &str) -> Call<'a> {
        let call = school.call(&self.method, path);
        if self.authenticated { call.bearer(token) } else { call }
    }
}

/// The operations of both families. Deleting the account comes last, so that the others still have a caller.
async fn operations(school: &School) -> Vec<Operation> {
    let document = school.get("/openapi.json").send().await.json();
    let mut found = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if !template.starts_with("/api/v1/")
                && !template.starts_with("/classes")
                && !template.starts_with("/students/")
                && !template.starts_with("/user/")
            {
                continue;
            }
            let content = &operation["requestBody"]["content"]["application/json"];
            let example = content
                .get("example")
                .or_else(|| content["examples"].as_object()?.values().next()?.get("value"));
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            found.push(Operation {
                method: method.to_uppercase(),
                template: template.clone(),
                // A form with a file has none.
                example: example.cloned(),
                authenticated: operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()),
                language: parameters.iter().any(|parameter| parameter["name"] == "language"),
            });
        }
    }
    assert!(found.len() >= 8, "{}", found.len());
    found.sort_by_key(|operation| operation.method == "DELETE" && operation.template == "/api/v1/users/me");
    found
}

/// Asserts a success, or a failure of the client in the envelope of the family.
fn assert_no_failure_of_the_server(path: &str, context: &str, answer: &Answer) {
    if answer.status >= 400 {
        assert_failure(path, answer);
    }
    assert!(answer.status < 500, "{context}: {answer:?}");
}

both! {
    async fn every_operation_with_security_refuses_a_missing_or_foreign_token(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let mut count = 0;
        for operation in operations(&school).await.iter().filter(|operation| operation.authenticated) {
            let path = operation.path("22222222-2222-2222-2222-222222222222");
            let body = operation.example.clone();
            let send = async |token: Option<&str>| {
                let call = school.call(&operation.method, &path);
                let call = match token {
                    Some(token) => call.bearer(token),
                    None => call,
                };
                match &body {
                    Some(body) => call.json(body).send().await,
                    None => call.send().await,
                }
            };
            let cut = &token[..token.len() - 4];
            for token in [None, Some("a.b.c"), Some(cut), Some("ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs")] {
                let answer = send(token).await;
                assert_eq!(answer.status, 401, "{} {path} {token:?}: {answer:?}", operation.method);
                assert_failure(&path, &answer);
            }
            count += 1;
        }
        assert!(count > 3, "{count}");
    }

    async fn body_of_every_operation_that_is_not_a_json_object_is_a_400(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let token = school.token(TEACHER).await;
        for operation in operations(&school).await {
            let Some(example) = &operation.example else { continue };
            let path = operation.path("a");
            let context = format!("{} {path}", operation.method);
            let call = || operation.call(&school, &path, &token);
            let json = || call().header("Content-Type", "application/json");
            let mut answers = Vec::new();
            for (body, _) in malformed() {
                answers.push(json().body(body).send().await);
            }
            for value in [json!(null), json!(true), json!(1e300), json!("a"), json!([]), json!([{}])] {
                answers.push(call().json(&value).send().await);
            }
            answers.push(call().body(example.to_string()).send().await);
            answers.push(call().header("Content-Type", "text/plain").body(example.to_string()).send().await);
            let mut padded = example.to_string().into_bytes();
            padded.resize(LARGEST_BODY + 1, b' ');
            answers.push(json().body(padded).send().await);
            for answer in answers {
                assert_eq!(answer.status, 400, "{context}: {answer:?}");
                assert_failure(&path, &answer);
            }
            let coded = call().json(example).header("Content-Encoding", "gzip").send().await;
            assert_eq!(coded.status, 415, "{context}: {coded:?}");
            assert_failure(&path, &coded);
        }
    }

    async fn strange_value_of_a_property_of_every_operation_is_never_a_5xx_nor_repeated(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let token = school.token(TEACHER).await;
        for operation in operations(&school).await {
            let Some(example) = &operation.example else { continue };
            let path = operation.path("a");
            for name in example.as_object().unwrap().keys() {
                for value in strange_values(&example[name]) {
                    let mut body = example.clone();
                    body[name] = value.clone();
                    let answer = operation.call(&school, &path, &token).json(&body).send().await;
                    let context = format!("{} {path} {name}: {value}", operation.method);
                    assert_no_failure_of_the_server(&path, &context, &answer);
                    let repeats = value.as_str().is_some_and(|text| text.len() > 30 && answer.text.contains(text));
                    assert!(answer.status < 400 || !repeats, "{context}: {answer:?}");
                }
            }
            let unknown = operation.call(&school, &path, &token).json(&json!({ "\0": [null, { "": 1e300 }] })).send().await;
            assert_no_failure_of_the_server(&path, "an unknown property", &unknown);
        }
    }

    async fn strange_parameter_of_every_operation_is_never_a_5xx(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let token = school.token(TEACHER).await;
        let long = ["a".repeat(30_000), "%FF".repeat(5_000)];
        for operation in operations(&school).await {
            for value in UNKNOWN_IDS.iter().copied().chain(long.iter().map(String::as_str)) {
                let mut paths = vec![format!("{}?{value}={value}", operation.path("a").split('?').next().unwrap())];
                if operation.template.contains('{') {
                    paths.push(operation.path(value));
                }
                if operation.language {
                    let path = operation.path("a").replace("language=en", "");
                    paths.extend([path.clone(), format!("{path}language={value}"), format!("{path}language=en&language={value}")]);
                }
                for path in paths {
                    // The account stays for the other requests.
                    if operation.method == "DELETE" && operation.template == "/api/v1/users/me" {
                        continue;
                    }
                    let call = operation.call(&school, &path, &token);
                    let answer = match &operation.example {
                        Some(body) => call.json(body).send().await,
                        None => call.send().await,
                    };
                    let shown: String = path.chars().take(80).collect();
                    assert_no_failure_of_the_server(&path, &format!("{} {shown}", operation.method), &answer);
                }
            }
        }
    }
}
