//! Telemetry for operators: request ids and metrics; and the security headers of every response.

use homeroom::api::openapi::Document;
use poem::{Endpoint, endpoint::make_sync};
use uuid::Uuid;

use crate::{
    middleware::{damage_database, disconnect_database},
    support::{
        Answer, Call, Kind, OWN_CLASS, School, TEACHER, both, exchange_body,
        process::{Server, Site, send},
        sign_in_body,
    },
};

const PAGE: &str = "https://app.example.com";
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// Requests for every kind of response.
fn requests<'a>(school: &'a School, token: &str) -> Vec<Call<'a>> {
    let class = format!("/classes/{OWN_CLASS}");
    vec![
        school.post("/api/v1/codes").json(&sign_in_body(TEACHER)),
        school.post("/api/v1/codes"),
        school.get("/api/v1/codes"),
        school.get("/api/v1/nothing"),
        school.post("/api/v1/tokens").json(&exchange_body("x")),
        school
            .call("OPTIONS", "/api/v1/tokens")
            .header("Origin", PAGE)
            .header("Access-Control-Request-Method", "POST"),
        school.get(&class),
        school.get(&class).bearer(token),
        school.call("HEAD", &class).bearer(token),
        school.get(&format!("/api{class}")).bearer(token).header("Origin", PAGE),
        school.post(&format!("{class}/join-code")).bearer(token),
        school.post("/classes/join/x").bearer(token),
        school.get("/nothing/at/all"),
        school.call("BREW", "/"),
        school.get("/health/live"),
        school.get("/health/ready"),
        school.get("/.well-known/jwks.json"),
        school.get("/openapi.yaml"),
        school.get("/docs"),
        school.get("/docs").header("If-None-Match", "*"),
        school.get("/"),
        school.get("/").header("Accept", "text/html"),
        school.post("/docs"),
    ]
}

fn generated_id(answer: &Answer) -> Uuid {
    answer.header("x-request-id").unwrap().parse().unwrap()
}

both! {
    async fn response_repeats_the_request_id(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        for round in ["as it is", "sabotaged", "without a database"] {
            match round {
                "sabotaged" => damage_database(&school).await,
                "without a database" => disconnect_database(&school).await,
                _ => {}
            }
            for (number, call) in requests(&school, &token).into_iter().enumerate() {
                let answer = call.header("X-Request-Id", "A.b_c-9").send().await;
                assert_eq!(answer.header("x-request-id"), Some("A.b_c-9"), "{round}, {number}: {answer:?}");
            }
        }
    }

    async fn request_without_a_valid_id_gets_a_new_one(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let mut ids = std::collections::BTreeSet::new();
        let ways: [fn(Call<'_>) -> Call<'_>; 4] = [
            |call| call,
            |call| call.header("X-Request-Id", "a b"),
            |call| call.header("X-Request-Id", "a".repeat(65)),
            |call| call.header("X-Request-Id", "a").header("X-Request-Id", "b"),
        ];
        for way in ways {
            for call in requests(&school, &token) {
                assert!(ids.insert(generated_id(&way(call).send().await)), "an id came twice");
            }
        }
    }

    async fn page_has_its_own_content_security_policy_and_other_responses_the_strict_one(kind: Kind) {
        let school = School::start(kind).await;
        let policy = |answer: &Answer| answer.header("content-security-policy").unwrap().to_owned();
        let page = school.get("/docs").send().await;
        let of_page = policy(&page);
        assert!(of_page.starts_with("default-src 'none'; script-src 'sha256-"), "{of_page}");
        assert!(of_page.contains("; style-src 'sha256-") && !of_page.contains("unsafe"), "{of_page}");
        assert!(of_page.ends_with("; frame-ancestors 'none'"), "{of_page}");
        // A browser replaces stored headers by those of a 304.
        let held = school.get("/docs").header("If-None-Match", page.header("etag").unwrap()).send().await;
        assert_eq!((held.status, policy(&held)), (304, of_page.clone()));
        assert_eq!(policy(&school.call("HEAD", "/docs").send().await), of_page);
        let held = school.get("/openapi.yaml").header("If-None-Match", "*").send().await;
        assert_eq!((held.status, policy(&held)), (304, NO_PAGE.to_owned()));
        assert_eq!(policy(&school.post("/docs").send().await), NO_PAGE);
        for path in ["/openapi.yaml", "/openapi.json", "/health/live", "/nothing", "/classes/1", "/api/v1/codes"] {
            assert_eq!(policy(&school.get(path).send().await), NO_PAGE, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hsts_flag_adds_strict_transport_security() {
    let school = School::start(Kind::Sqlite).await;
    let inner = || make_sync(|_| -> poem::Response { "".into() });
    for (hsts, header) in
        [(None, None), (Some(63_072_000), Some("max-age=63072000")), (Some(0), Some("max-age=0"))]
    {
        let endpoint = homeroom::api::middleware(
            inner(),
            &Document::new("/").unwrap(),
            school.server.identity.clone(),
            school.clock.clone(),
            school.random.clone(),
            hsts,
        );
        for path in ["/health/live", "/nothing", "/classes/1"] {
            let answer = Answer::of(endpoint.get_response(school.get(path).request()).await).await;
            assert_eq!(answer.header("strict-transport-security"), header, "{path}");
        }
    }
}

/// The metrics: the value of each name with its labels.
async fn measured(server: &Server, url: &str) -> std::collections::HashMap<String, f64> {
    let text = server.client.get(url).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

both! {
    async fn requests_and_events_are_counted(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_METRICS_LISTEN", "127.0.0.1:0");
        let server = site.listen("demo").await;
        let out = server.program.out();
        let url = out.lines().nth(1).unwrap().strip_prefix("metrics on ").unwrap().to_owned();
        let before = measured(&server, &url).await;
        assert!(before["homeroom_codes_issued_total"].abs() < f64::EPSILON);

        let teacher = server.token(&server.code(TEACHER, crate::support::PASSWORD, true).await).await;
        let student = server.token(&server.code(crate::support::STUDENT, crate::support::PASSWORD, true).await).await;
        assert_eq!(server.try_sign_in(TEACHER, "wrong", true).await.0, 400);
        let code = server.generate_join_code(&teacher).await;
        assert_eq!(server.join(&student, &code).await, 201);
        assert_eq!(server.join(&student, &code).await, 409);
        for path in ["/a/secret/path", "/classes/secret", "/metrics"] {
            let status = send(server.get(path)).await.0;
            assert!(matches!(status, 401 | 404), "{path}: {status}");
        }
        assert_eq!(send(server.get("/api/v1/codes?secret=1")).await.0, 405);
        let breaking = reqwest::Method::from_bytes(b"SECRET").unwrap();
        assert_eq!(send(server.client.request(breaking, format!("{}/nothing", server.url))).await.0, 404);

        let after = measured(&server, &url).await;
        let requests = |operation: &str, status: &str| {
            format!("homeroom_http_requests_total{{operation=\"{operation}\",status=\"{status}\"}}")
        };
        for (name, value) in [
            (requests("createCode", "201"), 2.0),
            (requests("createCode", "400"), 1.0),
            (requests("createToken", "201"), 2.0),
            (requests("generateJoinCode", "200"), 1.0),
            (requests("joinClassByCode", "201"), 1.0),
            (requests("joinClassByCode", "409"), 1.0),
            (requests("getClassById", "401"), 1.0),
            (requests("none", "404"), 3.0),
            (requests("none", "405"), 1.0),
            ("homeroom_http_request_duration_seconds_count{operation=\"createCode\"}".to_owned(), 3.0),
            ("homeroom_http_request_duration_seconds_bucket{operation=\"createCode\",le=\"+Inf\"}".to_owned(), 3.0),
            ("homeroom_hash_duration_seconds_count".to_owned(), 3.0),
            ("homeroom_hash_wait_seconds_count".to_owned(), 3.0),
            ("homeroom_hash_queue_depth".to_owned(), 0.0),
            ("homeroom_http_requests_in_flight".to_owned(), 0.0),
            ("homeroom_codes_issued_total".to_owned(), 2.0),
            ("homeroom_codes_redeemed_total".to_owned(), 2.0),
            ("homeroom_join_codes_generated_total".to_owned(), 1.0),
            ("homeroom_enrollments_total".to_owned(), 1.0),
            (format!("homeroom_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
        ] {
            let counted = after.get(&name).unwrap_or_else(|| panic!("{name} is not there: {after:#?}"));
            assert!((counted - value).abs() < f64::EPSILON, "{name}: {counted}");
        }
        let pools: f64 = ["busy", "idle"]
            .map(|state| after[&format!("homeroom_database_connections{{pool=\"writer\",state=\"{state}\"}}")])
            .iter()
            .sum();
        assert!(pools >= 1.0);
        assert!(after["process_resident_memory_bytes"] > 1_000_000.0);
        assert!(after.keys().all(|name| !name.to_lowercase().contains("secret")), "{after:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_endpoint_answers_nothing_else() {
    let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_METRICS_LISTEN", "127.0.0.1:0");
    let server = site.listen("serve").await;
    let out = server.program.out();
    let url = out.lines().nth(1).unwrap().strip_prefix("metrics on ").unwrap().to_owned();
    let answer = server.client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    // Every metric has a help text and a type.
    let (mut named, mut helped) = (Vec::new(), Vec::new());
    for line in text.lines() {
        named.extend(line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()));
        helped.extend(line.strip_prefix("# HELP ").and_then(|rest| rest.split(' ').next()));
    }
    assert!(named.len() > 10);
    assert_eq!(named, helped);
    for path in ["", "health/live", "metrics/", "api/v1/codes"] {
        let other = url.replace("metrics", path);
        assert_eq!(server.client.get(&other).send().await.unwrap().status(), 404, "{other}");
    }
    let post = server.client.post(&url).send().await.unwrap();
    assert_eq!((post.status().as_u16(), &post.headers()["allow"]), (405, &"GET, HEAD".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_without_the_flag_has_no_metrics_endpoint() {
    let site = Site::new(Kind::Sqlite).await;
    let server = site.listen("serve").await;
    assert_eq!(server.program.out().lines().count(), 1);
    assert_eq!(send(server.get("/metrics")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_with_a_certificate_has_an_https_url() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let site = Site::new(Kind::Sqlite).await;
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| site.data().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let site = site
        .with("HOMEROOM_TLS_CERT", certificate.to_str().unwrap())
        .with("HOMEROOM_TLS_KEY", key.to_str().unwrap());
    let server = site.listen("serve").await;
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    drop(server);

    // A certificate that cannot be used stops the start.
    std::fs::write(&key, "").unwrap();
    let ended = site.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!((ended.status.code(), ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("opening the certificate") && ended.err.contains("key.pem"), "{}", ended.err);
}
