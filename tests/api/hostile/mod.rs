//! Hostile requests: each gets the right 4xx in the envelope of its family, and never a 5xx.

mod every_operation;
mod material;

use serde_json::json;

use self::material::{LARGEST_BODY, MISDIRECTED, UNKNOWN_IDS, malformed, strange_values};
use crate::support::{
    Answer, Call, OWN_CLASS, PASSWORD, School, TEACHER, assert_failure, both, exchange_body, sign_in_body,
};

both! {
    async fn unknown_path_or_method_is_refused_in_the_envelope_of_its_family(kind: Kind) {
        let school = School::start(kind).await;
        for &(method, path, status, code, allow) in MISDIRECTED {
            let answer = school.call(method, path).send().await;
            let found = (answer.status, assert_failure(path, &answer));
            assert_eq!(found, (status, code.to_owned()), "{method} {path}");
            assert_eq!(answer.header("allow"), allow, "{method} {path}");
        }
        let long = "a/".repeat(30_000);
        for (path, code) in [(format!("/{long}"), "NOT_FOUND"), (format!("/api/v1/{long}"), "[E4040]")] {
            let answer = school.post(&path).send().await;
            assert_eq!((answer.status, assert_failure(&path, &answer)), (404, code.to_owned()));
        }
    }

    async fn unknown_id_of_any_form_is_a_404_after_authentication(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let token = school.token(TEACHER).await;
        let long = ["a".repeat(60_000), "%FF".repeat(10_000), "%F0%9F%8E%93".repeat(4_000)];
        for id in UNKNOWN_IDS.iter().copied().chain(long.iter().map(String::as_str)) {
            let shown: String = id.chars().take(60).collect();
            for (method, path, status, code) in [
                ("POST", format!("/classes/{id}/join-code"), 404, "CLASS_NOT_FOUND"),
                ("POST", format!("/api/classes/{id}/join-code"), 404, "CLASS_NOT_FOUND"),
                ("POST", format!("/classes/join/{id}"), 400, "INVALID_JOIN_CODE"),
                ("GET", format!("/classes/{id}"), 404, "CLASS_NOT_FOUND"),
                ("POST", format!("/classes/{id}/students/1/reset-password"), 404, "CLASS_NOT_FOUND"),
                ("POST", format!("/classes/{OWN_CLASS}/students/{id}/reset-password"), 404, "STUDENT_NOT_FOUND"),
            ] {
                let answer = school.call(method, &path).bearer(&token).send().await;
                let found = (answer.status, assert_failure(&path, &answer));
                assert_eq!(found, (status, code.to_owned()), "{shown}");
                // A request without a token gets 401 first.
                let anonymous = school.call(method, &path).send().await;
                assert_eq!(assert_failure(&path, &anonymous), "UNAUTHORIZED", "{shown}");
            }
        }
        // `join` is never a class, and `join-code` may be typed as a code.
        let answer = school.post("/classes/join/join-code").bearer(&token).send().await;
        assert_eq!(assert_failure("/classes/join/join-code", &answer), "INVALID_JOIN_CODE");
    }

    async fn request_without_a_valid_bearer_token_is_a_401(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let path = format!("/classes/{OWN_CLASS}/join-code");
        let (head, claims) = token.split_once('.').unwrap();
        let payload = claims.split('.').next().unwrap();
        // `{"alg":"none"}`, `{"typ":"at+jwt","alg":"none"}` and `{"typ":"at+jwt","alg":"HS256"}`.
        let [none, typed_none, symmetric] = [
            "eyJhbGciOiJub25lIn0",
            "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0",
            "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9",
        ];
        let shown = [
            format!("Bearer {none}.{payload}."),
            format!("Bearer {typed_none}.{payload}."),
            format!("Bearer {symmetric}.{payload}.c2lnbmF0dXJl"),
            format!("Bearer {head}.{payload}."),
            format!("Bearer {head}.{payload}"),
            format!("Bearer {token}A"),
            format!("Bearer {token} {token}"),
            format!("Bearer {token}, Bearer {token}"),
            format!("Bearer {}", token.to_lowercase()),
            format!("Bearer {}", "a".repeat(10_000)),
            format!("Bearer {}", ".".repeat(10_000)),
            "Bearer a.b.c".to_owned(),
            "Bearer ..".to_owned(),
            "Bearer null".to_owned(),
            "Bearer {{7*7}}".to_owned(),
        ];
        for value in shown.iter().map(String::as_bytes).chain([&b"Bearer \xFF\xFE"[..]]) {
            let answer = school.post(&path).header("Authorization", value).send().await;
            let shown = String::from_utf8_lossy(value);
            assert_unauthorized(&path, &shown, &answer, r#", error="invalid_token""#);
        }
        let unshown: [&[u8]; 7] = [
            b"",
            b"Bearer",
            b"Basic dXNlckBleGFtcGxlLmNvbTpWZXJ5U3Ryb25nUGFzczEyMyE=",
            b"Digest username=\"a\"",
            b"Token abc",
            b"\xC3\xA9\xF0\x9F\x8E\x93",
            b"Bearer\t",
        ];
        for value in unshown {
            let answer = school.post(&path).header("Authorization", value).send().await;
            assert_unauthorized(&path, &String::from_utf8_lossy(value), &answer, "");
        }
        // A token outside the header does not count.
        for query in [format!("access_token={token}"), format!("Authorization=Bearer%20{token}")] {
            let path = format!("{path}?{query}");
            assert_unauthorized(&path, "in the query", &school.post(&path).send().await, "");
        }
        let in_a_cookie = school.post(&path).header("Cookie", format!("access_token={token}")).send().await;
        assert_unauthorized(&path, "in a cookie", &in_a_cookie, "");
        // Two `Authorization` headers count as none, in either order, even if one is valid.
        for other in ["Basic YTpi", "", "Bearer x", &format!("Bearer {token}")] {
            for answer in [
                school.post(&path).header("Authorization", other).bearer(&token).send().await,
                school.post(&path).bearer(&token).header("Authorization", other).send().await,
            ] {
                assert_unauthorized(&path, other, &answer, r#", error="invalid_token""#);
            }
        }
        let basic = || school.post(&path).header("Authorization", "Basic YTpi");
        assert_unauthorized(&path, "no token", &basic().header("Authorization", "").send().await, "");
        // The scheme is case-insensitive (RFC 9110 section 11.1).
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let answer = school.post(&path).header("Authorization", format!("{scheme} {token}")).send().await;
            assert_eq!(answer.status, 200, "{scheme}");
        }
    }

    async fn body_that_no_operation_reads_is_ignored(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let path = format!("/classes/{OWN_CLASS}/join-code");
        let generate = || school.post(&path).bearer(&token);
        for media_type in ["application/json", "text/plain", "multipart/form-data", "\u{FF}", "", "a; ;;="] {
            for body in [&b"{\"a\": 1}"[..], b"{broken", b"\xFF\xFE\x00", &vec![b'['; 1 << 20]] {
                let answer = generate().header("Content-Type", media_type).body(body).send().await;
                assert_eq!(answer.status, 200, "{media_type}: {}", answer.text);
            }
        }
        let megabyte = std::iter::repeat_n(vec![b'a'; 1 << 16], 16);
        assert_eq!(generate().chunks(megabyte).send().await.status, 200);
        for (name, value) in [("Content-Length", "1000000"), ("Content-Encoding", "gzip"), ("Expect", "x")] {
            assert_eq!(generate().header(name, value).send().await.status, 200, "{name}");
        }
    }

    async fn body_that_is_not_a_json_object_is_refused_with_its_reason(kind: Kind) {
        let school = School::start(kind).await;
        for path in ["/api/v1/codes", "/api/v1/tokens"] {
            for (body, message) in malformed() {
                let sent = school.post(path).header("Content-Type", "application/json").body(body.clone());
                let context = format!("{path} {}", String::from_utf8_lossy(&body[..body.len().min(60)]));
                assert_refused(path, &context, &sent.send().await, message);
            }
            for value in [json!(null), json!(true), json!(1e300), json!("a"), json!([]), json!([{}])] {
                let answer = school.post(path).json(&value).send().await;
                assert_refused(path, &value.to_string(), &answer, "the body must be a JSON object");
            }
        }
    }

    async fn body_without_exactly_one_json_content_type_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let body = sign_in_body(TEACHER).to_string();
        let send = |media_type: &'static str| {
            school.post("/api/v1/codes").header("Content-Type", media_type).body(body.clone()).send()
        };
        for wrong in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=a",
            "application/json5",
            "application/problem+json",
            "application",
            "application/ json",
            "text/json",
            "*/*",
            "; application/json",
            "application/json, text/plain",
            "application/jso\u{F1}",
        ] {
            let answer = send(wrong).await;
            assert_refused("/api/v1/codes", wrong, &answer, "Content-Type must be application/json");
        }
        let absent = school.post("/api/v1/codes").body(body.clone()).send().await;
        assert_refused("/api/v1/codes", "absent", &absent, "Content-Type must be application/json");
        let twice = school.post("/api/v1/codes").header("Content-Type", "application/json");
        let twice = twice.json(&sign_in_body(TEACHER)).send().await;
        assert_refused("/api/v1/codes", "twice", &twice, "Content-Type must be application/json");
        for right in [
            "application/json",
            "APPLICATION/JSON",
            "aPPlication/Json ; charset=UTF-8",
            "application/json;charset=utf-8",
            "application/json; charset=latin1; x=\"y\"",
        ] {
            assert_eq!(send(right).await.status, 201, "{right}");
        }
    }

    async fn body_with_a_content_coding_is_415_that_names_what_is_accepted(kind: Kind) {
        let school = School::start(kind).await;
        let codings: [&[&[u8]]; 9] = [
            &[b"gzip"], &[b"x-gzip"], &[b"br"], &[b"GZIP"], &[b"identity, gzip"], &[b"identity", b"deflate"],
            &[b"aes128gcm"], &[b"\xFF"], &[b"chunked"],
        ];
        for (path, body) in [("/api/v1/codes", sign_in_body(TEACHER)), ("/api/v1/tokens", exchange_body("a"))] {
            for lines in codings {
                let call = school.post(path).json(&body);
                let call = lines.iter().fold(call, |call, line| call.header("Content-Encoding", line));
                let answer = call.send().await;
                assert_eq!((answer.status, assert_failure(path, &answer).as_str()), (415, "[E4150]"));
                let message = answer.json()["errors"][0]["message"].clone();
                assert_eq!(message, "the body must not have a Content-Encoding");
            }
        }
        // These name no coding.
        for line in ["identity", "IDENTITY", "", ","] {
            let call = school.post("/api/v1/codes").json(&sign_in_body(TEACHER));
            assert_eq!(call.header("Content-Encoding", line).send().await.status, 201, "{line}");
        }
    }

    async fn transfer_coding_other_than_chunked_is_501_in_the_envelope_of_its_path(kind: Kind) {
        let school = School::start(kind).await;
        let class = format!("/classes/{OWN_CLASS}");
        for (path, code) in [
            ("/api/v1/codes", "[E5010]"),
            ("/api/v1/nothing", "[E5010]"),
            (class.as_str(), "NOT_IMPLEMENTED"),
            ("/health/live", "NOT_IMPLEMENTED"),
            ("/nothing", "NOT_IMPLEMENTED"),
        ] {
            let codings: [&[&[u8]]; 7] = [
                &[b"gzip, chunked"], &[b"gzip", b"chunked"], &[b"chunked", b"chunked"], &[b"chunked, chunked"],
                &[b"identity, chunked"], &[b"xchunked"], &[b"\xFF"],
            ];
            for lines in codings {
                let call = school.post(path).json(&sign_in_body(TEACHER));
                let call = lines.iter().fold(call, |call, line| call.header("Transfer-Encoding", line));
                let answer = call.send().await;
                assert_eq!((answer.status, assert_failure(path, &answer).as_str()), (501, code), "{path}");
            }
        }
        for plain in ["chunked", "Chunked", " chunked"] {
            let call = school.post("/api/v1/codes").json(&sign_in_body(TEACHER));
            assert_eq!(call.header("Transfer-Encoding", plain).send().await.status, 201, "{plain}");
        }
    }

    async fn body_beyond_24_kibibytes_is_refused_in_every_transfer(kind: Kind) {
        let school = School::start(kind).await;
        let padded = |length: usize| {
            let mut body = sign_in_body(TEACHER).to_string().into_bytes();
            body.resize(length, b' ');
            body
        };
        let post = || school.post("/api/v1/codes").header("Content-Type", "application/json");
        let chunked = |body: Vec<u8>| {
            let chunks: Vec<_> = body.chunks(1000).map(<[u8]>::to_vec).collect();
            post().chunks(chunks)
        };
        let announced = |body: Vec<u8>| post().header("Content-Length", body.len().to_string()).body(body);
        for (call, what) in [
            (post().body(padded(LARGEST_BODY)), "whole"),
            (announced(padded(LARGEST_BODY)), "announced"),
            (chunked(padded(LARGEST_BODY)), "chunked"),
        ] {
            assert_eq!(call.send().await.status, 201, "{what}");
        }
        for (call, what) in [
            (post().body(padded(LARGEST_BODY + 1)), "whole"),
            (announced(padded(LARGEST_BODY + 1)), "announced"),
            (chunked(padded(LARGEST_BODY + 1)), "chunked"),
            (chunked(padded(1 << 20)), "a megabyte, chunked"),
        ] {
            let message = "the body must have at most 24576 bytes";
            assert_refused("/api/v1/codes", what, &call.send().await, message);
        }
    }

    async fn strange_value_of_a_property_is_never_a_5xx(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let code = school.code(TEACHER).await;
        let bodies: [(_, _, &[&str]); 2] = [
            ("/api/v1/codes", sign_in_body(TEACHER), &["codeChallenge", "appUuid", "acceptPrivacyPolicy"]),
            ("/api/v1/tokens", exchange_body(&code), &["nonce", "scope", "code_verifier"]),
        ];
        for (path, good, optional) in bodies {
            let names: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
            for name in names.iter().map(String::as_str).chain(optional.iter().copied()) {
                for value in strange_values(&good[name]) {
                    let mut body = good.clone();
                    body[name] = value.clone();
                    let answer = school.post(path).json(&body).send().await;
                    let context = format!("{path} {name}: {value}");
                    let is_boolean = name == "acceptPrivacyPolicy";
                    if value.is_null() && optional.contains(&name) {
                        // `null` counts as absent.
                        if answer.status != 201 {
                            assert_refused(path, &context, &answer, "");
                        }
                    } else if is_boolean != value.is_boolean() || !(is_boolean || value.is_string()) {
                        assert_refused(path, &context, &answer, name);
                    } else if answer.status != 201 {
                        // Some unusual texts are valid.
                        assert_refused(path, &context, &answer, "");
                    }
                }
            }
        }
    }

    async fn unusual_valid_request_is_accepted(kind: Kind) {
        let school = School::start(kind).await;
        let post = || school.post("/api/v1/codes").header("Content-Type", "application/json");
        // The last of two members with one name counts, as in browsers.
        let twice = sign_in_body(TEACHER).to_string().replacen('{', r#"{"email":"nobody@example.com","#, 1);
        assert_eq!(post().body(twice).send().await.status, 201);
        for (name, value) in [
            ("unknown", json!({ "a": [null, "\0", 1e300] })),
            ("", json!("nameless")),
            ("__proto__", json!({ "admin": true })),
            ("\u{1F393}", json!("\u{1F393}")),
            ("email", json!("USER@EXAMPLE.COM")),
            ("state", json!("\u{1F393}".repeat(1024))),
            ("acceptPrivacyPolicy", json!(true)),
            // NFKC maps fullwidth letters to ASCII.
            ("password", json!(PASSWORD.replace('V', "\u{FF36}"))),
        ] {
            let mut body = sign_in_body(TEACHER);
            body[name] = value;
            let answer = post().body(body.to_string()).send().await;
            assert_eq!(answer.status, 201, "{name}: {}", answer.text);
        }
    }

    async fn unreadable_origin_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let long = format!("https://{}.example.com", "a".repeat(10_000));
        let origins: [&[u8]; 8] = [
            b"null",
            b"\xFF",
            b"https://evil.example.com",
            b"https://app.example.com/",
            b"file://",
            b"javascript:alert(1)",
            b"https://'; DROP TABLE apps; --",
            long.as_bytes(),
        ];
        for origin in origins {
            let call: Call<'_> = school.post("/api/v1/codes").json(&sign_in_body(TEACHER));
            let answer = call.header("Origin", origin).send().await;
            let context = String::from_utf8_lossy(origin);
            assert_refused("/api/v1/codes", &context, &answer, "Origin does not belong to the app");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{context}");
        }
    }
}

/// Asserts a 401. `error` is present only if a token was sent (RFC 6750 section 3.1).
fn assert_unauthorized(path: &str, shown: &str, answer: &Answer, error: &str) {
    assert_eq!(answer.status, 401, "{shown}: {answer:?}");
    assert_eq!(assert_failure(path, answer), "UNAUTHORIZED", "{shown}");
    let challenge = format!(r#"Bearer realm="homeroom"{error}"#);
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{shown}");
}

fn assert_refused(path: &str, context: &str, answer: &Answer, message: &str) {
    assert_eq!(answer.status, 400, "{context}: {answer:?}");
    assert_eq!(assert_failure(path, answer), "[E4000]", "{context}");
    let found = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(found.starts_with(message), "{context}: {found}");
}
