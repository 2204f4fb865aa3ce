//! CORS (the Fetch standard): which pages may send requests and read the responses.

use crate::support::{
    Answer, OWN_CLASS, School, TEACHER, both, exchange_body, sign_in_body, signing_in::login_domain,
};

const PAGE: &str = "https://app.example.com";
const OTHER_SITE: &str = "https://evil.example";
const EXPOSED: &str = "Retry-After, WWW-Authenticate, X-Request-Id, ETag";
const ALLOWED: &str = "Content-Type, Authorization, traceparent, tracestate, X-Request-Id, If-Match";

/// All response headers of CORS.
const CORS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// Sends the preflight of a POST with two headers that need one.
async fn preflight(school: &School, path: &str, origin: &str) -> Answer {
    school
        .call("OPTIONS", path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type,traceparent,tracestate,x-request-id",
        )
        .send()
        .await
}

fn assert_readable(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer:?}");
    assert_eq!(answer.header("access-control-expose-headers"), Some(EXPOSED));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_varies(answer);
}

fn assert_unreadable(answer: &Answer) {
    for name in CORS {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

/// A cache must store the response for the request's origin alone.
fn assert_varies(answer: &Answer) {
    assert_eq!(answer.header("vary"), Some("Origin"), "{answer:?}");
}

both! {
    async fn preflight_from_a_page_of_an_app_lists_methods_and_headers(kind: Kind) {
        let school = School::start(kind).await;
        let class = format!("/classes/{OWN_CLASS}");
        for (path, methods) in [
            ("/api/v1/codes", "POST"),
            ("/api/v1/tokens", "POST"),
            ("/api/v1/tokens/revoke", "POST"),
            ("/api/v1/users/me/sessions", "GET, HEAD"),
            ("/api/v1/users/me/sessions/1", "DELETE"),
            ("/api/v1/users", "POST, PUT"),
            ("/api/v1/users/me", "GET, DELETE, HEAD"),
            ("/api/v1/user-confirm-hashes/a", "PUT"),
            ("/user/me", "GET, PATCH, HEAD"),
            ("/api/user/me", "GET, PATCH, HEAD"),
            ("/classes", "GET, POST, HEAD"),
            (&format!("{class}/join-code"), "POST, GET, DELETE, HEAD"),
            (&format!("/api{class}/join-code"), "POST, GET, DELETE, HEAD"),
            ("/classes/join/7KQ2M9XD", "POST"),
            (&class, "GET, PUT, DELETE, HEAD"),
        ] {
            let answer = preflight(&school, path, PAGE).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
            assert_eq!(answer.header("access-control-allow-methods"), Some(methods), "{path}");
            assert_eq!(answer.header("access-control-allow-headers"), Some(ALLOWED), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
            assert_varies(&answer);
        }
    }

    async fn login_page_and_loopback_page_are_allowed_origins(kind: Kind) {
        let school = School::start(kind).await;
        school
            .register(|registration| {
                registration.login_domains =
                    vec![login_domain("login.example.com"), login_domain("127.0.0.1:49152")];
            })
            .await;
        // The header repeats the exact origin with its port, as browsers require.
        for origin in ["https://login.example.com", "http://127.0.0.1:49152"] {
            assert_eq!(preflight(&school, "/api/v1/codes", origin).await.status, 204, "{origin}");
            let answer = school.post("/api/v1/codes").header("Origin", origin).json(&sign_in_body(TEACHER));
            let answer = answer.send().await;
            assert_eq!(answer.status, 201);
            assert_readable(&answer, origin);
        }
    }

    async fn page_of_an_unknown_origin_gets_no_cors_headers(kind: Kind) {
        let school = School::start(kind).await;
        let class = format!("/classes/{OWN_CLASS}/join-code");
        for origin in [OTHER_SITE, "null", "https://app.example.com:8443", "http://app.example.com", "", "*"] {
            for path in ["/api/v1/codes", "/api/v1/tokens", "/classes/join/7KQ2M9XD"] {
                let answer = preflight(&school, path, origin).await;
                assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{origin}");
                assert_unreadable(&answer);
                assert_varies(&answer);
            }
        }
        let token = school.token(TEACHER).await;
        let answer = school.post(&class).bearer(&token).header("Origin", OTHER_SITE).send().await;
        assert_eq!(answer.status, 200);
        assert_unreadable(&answer);
        assert_varies(&answer);
    }

    async fn page_of_a_disabled_app_gets_no_cors_headers(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        school.register(|registration| registration.app.enabled = false).await;
        let answer = preflight(&school, "/api/v1/codes", PAGE).await;
        assert_eq!(answer.status, 405);
        assert_unreadable(&answer);
        assert_unreadable(&school.post("/api/v1/codes").header("Origin", PAGE).send().await);
        // Pages of the other app are still allowed, for requests about any app.
        assert_eq!(preflight(&school, "/api/v1/codes", "https://other.example.net").await.status, 204);
        assert_eq!(preflight(&school, "/api/v1/codes", "https://login.example.net").await.status, 204);
    }

    async fn page_of_an_app_may_read_successes_and_errors(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let code = school.code(TEACHER).await;
        let generate = |class: &str| school.post(&format!("/classes/{class}/join-code"));
        let own = OWN_CLASS.to_string();
        for (call, status) in [
            (school.post("/api/v1/codes").json(&sign_in_body(TEACHER)), 201),
            (school.post("/api/v1/codes"), 400),
            (school.post("/api/v1/codes").json(&sign_in_body("nobody@example.com")), 400),
            (school.get("/api/v1/codes"), 405),
            (school.post("/api/v1/tokens").json(&exchange_body(&code)), 201),
            (school.post("/api/v1/tokens").json(&exchange_body(&code)), 400),
            (generate(&own).bearer(&token), 200),
            (generate(&own), 401),
            (generate(&own).bearer("x"), 401),
            (generate("10A1").bearer(&token), 404),
            (school.get("/classes/join/7KQ2M9XD"), 405),
            // Without the header of a preflight, OPTIONS is an ordinary method.
            (school.call("OPTIONS", "/api/v1/codes"), 405),
        ] {
            let answer = call.header("Origin", PAGE).send().await;
            assert_eq!(answer.status, status, "{}", answer.text);
            assert_readable(&answer, PAGE);
        }
    }

    async fn request_without_origin_gets_no_cors_headers(kind: Kind) {
        let school = School::start(kind).await;
        let answer = school.post("/api/v1/codes").json(&sign_in_body(TEACHER)).send().await;
        assert_eq!(answer.status, 201);
        assert_unreadable(&answer);
        // `Vary` is present all the same: a page would get another response.
        assert_varies(&answer);
    }

    async fn key_set_and_document_are_readable_by_every_origin(kind: Kind) {
        let school = School::start(kind).await;
        for path in ["/.well-known/jwks.json", "/openapi.json", "/openapi.yaml"] {
            for origin in [Some(PAGE), Some(OTHER_SITE), Some("null"), Some(""), None] {
                let from = |method| {
                    let call = school.call(method, path);
                    if let Some(origin) = origin { call.header("Origin", origin) } else { call }
                };
                let answer = from("GET").send().await;
                assert_eq!(answer.status, 200, "{path}");
                assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
                assert_eq!(answer.header("access-control-expose-headers"), Some(EXPOSED), "{path}");
                assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
                // The response is the same for all origins, so `Vary` does not name `Origin`.
                assert!(!answer.header("vary").unwrap_or_default().contains("Origin"), "{path}");
                let call = from("OPTIONS").header("Access-Control-Request-Method", "GET");
                let answer = call.header("Access-Control-Request-Headers", "traceparent").send().await;
                assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
                assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
                assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"), "{path}");
                assert_eq!(answer.header("access-control-allow-headers"), Some(ALLOWED), "{path}");
            }
        }
    }

    async fn health_and_docs_page_have_no_cors_headers(kind: Kind) {
        let school = School::start(kind).await;
        for path in ["/health/live", "/health/ready", "/docs"] {
            let answer = school.get(path).header("Origin", PAGE).send().await;
            assert_eq!(answer.status, 200, "{path}");
            assert_unreadable(&answer);
            let answer = preflight(&school, path, PAGE).await;
            assert_eq!(answer.status, 405, "{path}");
            assert_unreadable(&answer);
        }
    }
}
