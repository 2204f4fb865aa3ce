//! Every request and every response: generated requests, errors of the server, and the service operations.

use homeroom::api::openapi::Document;
use poem::{Endpoint, endpoint::make_sync};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Answer, Kind, OWN_CLASS, School, TEACHER,
    accounts::{registration_body, reset_body},
    assert_envelope, assert_failure, both, exchange_body,
    process::{Server, Site},
    sign_in_body,
};

/// The paths that belong to no family.
const SERVICE: [&str; 7] = [
    "/",
    "/health/live",
    "/health/ready",
    "/.well-known/jwks.json",
    "/openapi.yaml",
    "/openapi.json",
    "/docs",
];

/// A generated request. Most of them are almost valid.
#[derive(Debug, Clone)]
struct Generated {
    method: &'static str,
    path: String,
    /// Whether it has the teacher's token.
    bearer: bool,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "classes", "join", "join-code", "api", "v1", "codes", "tokens", "revoke", "users", "me", "sessions", "user", "password", "user-confirm-hashes", "health", "live", "docs", "..",
            "",
            "22222222-2222-2222-2222-222222222222", "%FF", "%00", "%2F", "%", "JOINC0DF",
        ])
        .prop_map(str::to_owned),
        2 => "[a-zA-Z0-9._~%:;@!$&'()*+,=|-]{0,12}",
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| {
            bytes.iter().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
        }),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let template = select(vec![
        "/classes/{}/join-code",
        "/api/classes/{}/join-code",
        "/classes/join/{}",
        "/classes/{}",
        "/api/v1/codes",
        "/api/v1/tokens",
        "/api/v1/tokens/{}",
        "/api/v1/users/me/{}",
        "/api/v1/users/me/sessions/{}",
        "/api/v1/users?language={}",
        "/api/v1/user-confirm-hashes/{}",
        "/user/{}",
        "/user/me",
        "/api/v1/{}",
        "/{}/v1/codes",
        "/{}",
    ]);
    let known = (template, segment()).prop_map(|(template, segment)| template.replace("{}", &segment));
    let random =
        prop::collection::vec(segment(), 0..6).prop_map(|segments| format!("/{}", segments.join("/")));
    let query = prop_oneof![3 => Just(String::new()), 1 => "\\?[a-z=&%]{0,10}"];
    let path = prop_oneof![3 => known, 1 => random];
    let written = (path, query).prop_map(|(path, query)| format!("{path}{query}"));
    // hyper refuses a request whose target is not a URI.
    written.prop_filter("no URI", |path| path.parse::<poem::http::Uri>().is_ok())
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = select(vec![
        "Authorization",
        "Content-Type",
        "Origin",
        "Host",
        "Accept",
        "Content-Length",
        "Transfer-Encoding",
        "Access-Control-Request-Method",
        "X-Forwarded-For",
    ]);
    let value = prop_oneof![
        2 => select(vec![
            "application/json", "text/plain", "Bearer a.b.c", "Basic YTpi", "Bearer", "null", "POST",
            "https://app.example.com", "https://homeroom.example.com", "99999999999999999999",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(select((0x20..=0x7E).chain(0x80..=0xFF).collect::<Vec<u8>>()), 0..40),
    ];
    (name, value)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

/// A documented body with some members changed, or any bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let documented = select(vec![
        sign_in_body(TEACHER),
        exchange_body("code"),
        registration_body(TEACHER),
        reset_body("code"),
    ]);
    let names = select(vec![
        "appUuid",
        "email",
        "password",
        "state",
        "redirectUri",
        "codeChallenge",
        "passwordConfirmation",
        "confirmHash",
        "acceptedDataPrivacy",
        "phoneNumber",
        "firstName",
        "dateOfBirth",
        "avatarUrl",
        "refresh_token",
        "client_id",
        "token",
        "code",
        "scope",
    ]);
    let changes = prop::collection::vec((names, scalar()), 0..3);
    let near = (documented, changes).prop_map(|(mut body, changes)| {
        for (name, value) in changes {
            body[name] = value;
        }
        body.to_string().into_bytes()
    });
    prop_oneof![3 => near, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn request() -> impl Strategy<Value = Generated> {
    let methods =
        select(vec!["GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"]);
    let headers = prop::collection::vec(header(), 0..4);
    let json = any::<bool>().prop_map(|json| json.then(|| ("Content-Type", b"application/json".to_vec())));
    (methods, path(), any::<bool>(), json, headers, body()).prop_map(
        |(method, path, bearer, json, headers, body)| {
            let headers = json.into_iter().chain(headers).collect();
            Generated { method, path, bearer, headers, body }
        },
    )
}

/// Drops the tables that both families need.
pub async fn damage_database(school: &School) {
    for table in ["users", "classes", "sessions"] {
        let rename = format!("ALTER TABLE {table} RENAME TO gone_{table}");
        school.db.writer().execute_unprepared(&rename).await.unwrap();
    }
}

/// Closes the connections to the database.
pub async fn disconnect_database(school: &School) {
    school.db.close().await.unwrap();
}

fn internal_server_error(family: &str) -> Value {
    match family {
        "sign-in" => json!({
            "errors": [{ "validation": "error", "code": "[E0000]", "message": "Internal Server Error" }],
        }),
        _ => json!({
            "success": false,
            "code": 500,
            "errorCode": "INTERNAL_SERVER_ERROR",
            "message": "Internal Server Error",
            "timestamp": "2026-05-04T09:42:00Z",
        }),
    }
}

both! {
    async fn generated_request_gets_an_envelope_and_never_a_5xx(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let runtime = tokio::runtime::Handle::current();
        let config = Config { cases: 512, failure_persistence: None, ..Config::default() };
        let run = || TestRunner::new(config).run(&request(), |generated| {
            let Generated { method, path, bearer, headers, body } = generated;
            let call = school.call(method, &path);
            let call = if bearer { call.bearer(&token) } else { call };
            let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
            let answer = runtime.block_on(call.body(body).send());
            let transfer_coding = headers.iter().any(|(name, _)| *name == "Transfer-Encoding");
            prop_assert!(answer.status < 500 || (answer.status == 501 && transfer_coding), "{answer:?}");
            let failed = answer.status >= 400;
            if failed && SERVICE.contains(&path.split('?').next().unwrap_or_default()) {
                assert_envelope(&path, &answer);
            } else if failed {
                assert_failure(&path, &answer);
            }
            Ok(())
        });
        tokio::task::block_in_place(run).unwrap();
    }

    async fn damaged_database_is_a_500_without_its_cause(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        damage_database(&school).await;
        let sign_in = school.post("/api/v1/codes").json(&sign_in_body(TEACHER)).send().await;
        assert_eq!(sign_in.whole(), (500, internal_server_error("sign-in")));
        assert_failure("/api/v1/codes", &sign_in);
        let path = format!("/classes/{OWN_CLASS}/join-code");
        for path in [format!("/api{path}"), path, "/classes/join/BCDF1234".to_owned()] {
            let answer = school.post(&path).bearer(&token).send().await;
            assert_eq!(answer.whole(), (500, internal_server_error("classroom")), "{path}");
            assert_failure(&path, &answer);
        }
    }

    async fn draining_server_is_not_ready_and_answers(kind: Kind) {
        let school = School::start(kind).await;
        school.server.drain();
        assert_eq!(school.get("/health/ready").send().await.whole(), (503, json!({ "status": "down" })));
        assert_eq!(school.get("/health/live").send().await.whole(), (200, json!({ "status": "up" })));
        school.token(TEACHER).await;
    }

    async fn unavailable_database_is_a_503_with_retry_after(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        disconnect_database(&school).await;
        let message = "The service is busy; try again later";
        // The same for a request with an `Origin`, which is looked up in the database.
        let sign_in = school.post("/api/v1/codes").json(&sign_in_body(TEACHER));
        let sign_in = sign_in.header("Origin", "https://app.example.com").send().await;
        let errors = json!({ "errors": [{ "validation": "error", "code": "[E5030]", "message": message }] });
        assert_eq!(sign_in.whole(), (503, errors));
        let path = format!("/classes/{OWN_CLASS}/join-code");
        let generate = school.post(&path).bearer(&token).send().await;
        let body = json!({
            "success": false,
            "code": 503,
            "errorCode": "SERVICE_UNAVAILABLE",
            "message": message,
            "timestamp": "2026-05-04T09:42:00Z",
        });
        assert_eq!(generate.whole(), (503, body));
        for (path, answer) in [("/api/v1/codes", &sign_in), (path.as_str(), &generate)] {
            assert_failure(path, answer);
            assert_eq!(answer.header("retry-after"), Some("2"));
        }
        // Responses that need no database stay the same.
        assert_eq!(school.post(&path).send().await.status, 401);
        assert_eq!(school.get("/health/live").send().await.whole(), (200, json!({ "status": "up" })));
        assert_eq!(school.get("/health/ready").send().await.whole(), (503, json!({ "status": "down" })));
        assert_eq!(school.get("/.well-known/jwks.json").send().await.status, 200);
    }

    async fn panic_is_a_500_without_its_message(kind: Kind) {
        let school = School::start(kind).await;
        let panicking = make_sync(|_| -> poem::Response { panic!("the password is VeryStrongPass123!") });
        let endpoint = homeroom::api::middleware(
            panicking,
            &Document::new("/").unwrap(),
            school.server.identity.clone(),
            school.clock.clone(),
            school.random.clone(),
            None,
        );
        for (path, family) in [("/api/v1/codes", "sign-in"), ("/classes/1/join-code", "classroom")] {
            let answer = Answer::of(endpoint.get_response(school.post(path).request()).await).await;
            assert_eq!(answer.whole(), (500, internal_server_error(family)));
            assert_failure(path, &answer);
        }
        // The server still answers.
        assert_eq!(school.post("/api/v1/codes").json(&sign_in_body(TEACHER)).send().await.status, 201);
    }

    async fn path_of_the_classroom_family_below_api_is_an_alias(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let class = format!("/classes/{OWN_CLASS}");
        let generated = school.post(&format!("/api{class}/join-code")).bearer(&token).send().await;
        assert_eq!(generated.status, 200, "{generated:?}");
        let [here, there] = [class.clone(), format!("/api{class}")];
        let read = |path: &str| school.get(path).bearer(&token).header("X-Request-Id", "a");
        let here = read(&here).send().await;
        assert_eq!(read(&there).send().await, here);
        assert_eq!(here.json()["data"]["joinCode"], generated.json()["data"]["joinCode"]);
        for (method, path) in [
            ("POST", "/classes/1/join-code"),
            ("POST", "/classes/join/1"),
            ("PUT", "/classes/1"),
            ("GET", "/classes"),
        ] {
            let call = |path: &str| school.call(method, path).header("X-Request-Id", "a");
            let alias = call(&format!("/api{path}")).send().await;
            assert_eq!(alias, call(path).send().await, "{method} {path}");
            assert_failure(path, &alias);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_key_set_are_answered() {
    let school = School::start(crate::support::Kind::Sqlite).await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(school.get(path).send().await.whole(), (200, json!({ "status": "up" })), "{path}");
    }
    let set = school.get("/.well-known/jwks.json").send().await;
    assert_eq!(set.status, 200);
    assert_eq!(set.header("cache-control"), Some("public, max-age=300"));
    let keys = set.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 1);
    let names: Vec<&String> = keys[0].as_object().unwrap().keys().collect();
    // A public key without private members.
    assert_eq!(names, ["kty", "use", "alg", "kid", "n", "e"]);
    assert_eq!((&keys[0]["kty"], &keys[0]["alg"]), (&json!("RSA"), &json!("RS256")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_loads_nothing_from_other_servers() {
    let school = School::start(crate::support::Kind::Sqlite).await;
    let page = school.get("/docs").send().await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("<html") && page.text.contains("generateJoinCode"));
    let lower = page.text.to_lowercase();
    for attribute in ["src", "href"] {
        for quote in ["\"", "'", ""] {
            for scheme in ["http:", "https:", "//"] {
                let outside = format!(" {attribute}={quote}{scheme}");
                assert!(!lower.contains(&outside), "{outside}");
            }
        }
    }
    assert!(!lower.contains("@import") && !lower.contains("url(http"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_has_the_headers_of_get_and_no_body() {
    let school = School::start(crate::support::Kind::Sqlite).await;
    for path in SERVICE {
        let (get, head) = (school.get(path).send().await, school.call("HEAD", path).send().await);
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    let token = school.token(TEACHER).await;
    let class = format!("/classes/{OWN_CLASS}");
    let head = school.call("HEAD", &class).bearer(&token).send().await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(school.call("HEAD", &class).send().await.status, 401);
    // Other methods and paths get an error envelope.
    for path in SERVICE {
        let refused = school.post(path).send().await;
        assert_envelope(path, &refused);
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
}

/// The response of a server to these bytes, until the connection ends.
async fn raw_response(server: &Server, sent: &str) -> String {
    let address = server.url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut received = String::new();
    stream.read_to_string(&mut received).await.unwrap();
    received
}

#[tokio::test]
async fn request_without_exactly_one_valid_host_is_a_400() {
    let server = Site::new(Kind::Sqlite).await.listen("demo").await;
    for (version, hosts, status) in [
        ("1.1", "Host: a\r\n", "200 OK"),
        ("1.1", "Host:\r\n", "200 OK"),
        ("1.1", "Host: [2001:db8::1]:8080\r\n", "200 OK"),
        ("1.1", "Host: a b,c\r\n", "400 Bad Request"),
        ("1.1", "Host: a@b\r\n", "400 Bad Request"),
        ("1.1", "", "400 Bad Request"),
        ("1.1", "Host: a\r\nHost: a\r\n", "400 Bad Request"),
        ("1.0", "", "200 OK"),
        ("1.0", "Host: a\r\nHost: b\r\n", "400 Bad Request"),
    ] {
        let request = format!("GET /health/live HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        let answer = raw_response(&server, &request).await;
        assert!(answer.starts_with(&format!("HTTP/{version} {status}\r\n")), "{request}{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
    }
}

#[tokio::test]
async fn message_of_ambiguous_length_is_refused_and_its_connection_closed() {
    let server = Site::new(Kind::Sqlite).await.listen("demo").await;
    let envelope = r#"{"errors":[{"validation":"error","code":"[E5010]","#;
    // A coding that ends with `chunked` has a known end (RFC 9112 section 6.3), so the request gets a response.
    for (codings, status, body) in [
        ("Transfer-Encoding: gzip, chunked\r\n", "501 Not Implemented", envelope),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "501 Not Implemented", envelope),
        ("Transfer-Encoding: chunked, chunked\r\n", "501 Not Implemented", envelope),
        ("Transfer-Encoding: xchunked\r\n", "400 Bad Request", ""),
        ("Transfer-Encoding: identity\r\n", "400 Bad Request", ""),
        ("Transfer-Encoding: chunked, gzip\r\n", "400 Bad Request", ""),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "400 Bad Request", ""),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "400 Bad Request", ""),
        ("Content-Length: 5, 5\r\n", "400 Bad Request", ""),
        ("Content-Length: +5\r\n", "400 Bad Request", ""),
        ("Content-Length: \r\n", "400 Bad Request", ""),
    ] {
        let request = format!(
            "POST /api/v1/codes HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n\
             {codings}\r\n5\r\n{{\"a\":\r\n2\r\n1}}\r\n0\r\n\r\n"
        );
        let answer = raw_response(&server, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{codings}{answer}");
        let (head, found) = answer.split_once("\r\n\r\n").unwrap();
        assert!(found.starts_with(body) && found.is_empty() == body.is_empty(), "{codings}{answer}");
        assert!(head.to_lowercase().contains("connection: close"), "{codings}{answer}");
    }
}

#[tokio::test]
async fn expect_100_continue_with_an_unwanted_body_gets_the_final_response() {
    let server = Site::new(Kind::Sqlite).await.listen("demo").await;
    let expecting =
        "Host: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\n";
    for (path, length, status) in [
        ("/api/v1/codes", 24 * 1024 + 1, "400 Bad Request"),
        ("/classes/22222222-2222-2222-2222-222222222222/join-code", 10, "401 Unauthorized"),
        ("/nowhere", 10, "404 Not Found"),
    ] {
        let request = format!("POST {path} HTTP/1.1\r\n{expecting}Content-Length: {length}\r\n\r\n");
        let answer = raw_response(&server, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}{answer}");
    }
    let body = r#"{"email": 1}"#;
    let request =
        format!("POST /api/v1/codes HTTP/1.1\r\n{expecting}Content-Length: {}\r\n\r\n{body}", body.len());
    let answer = raw_response(&server, &request).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\n"), "{answer}");
}
