//! Validation of request bodies: every violation is reported, and no message repeats a value.

use serde_json::{Value, json};

use crate::support::{
    Answer, School, TEACHER, both, sign_in_body,
    signing_in::{CREDENTIALS, changed, errors, faulty, redirect_uri, refused},
};

/// A value that no response may repeat.
const MARKER: &str = "hunter2-marker";

/// A URI of this many characters.
fn uri_of(length: usize) -> String {
    format!("{:a<length$}", "https://app.example.com/")
}

/// An address of this many characters, with the longest valid local part.
fn address_of(length: usize) -> String {
    let local = "a".repeat(64);
    let domain: String = "b23456789.".chars().cycle().take(length - 66).collect();
    format!("{local}@{domain}c")
}

async fn send(school: &School, media_type: Option<&str>, body: impl Into<Vec<u8>>) -> Answer {
    let call = school.post("/api/v1/codes").body(body);
    match media_type {
        Some(media_type) => call.header("Content-Type", media_type),
        None => call,
    }
    .send()
    .await
}

both! {
    async fn missing_properties_are_reported_in_documented_order(kind: Kind) {
        let school = School::start(kind).await;
        let answer = school.post("/api/v1/codes").json(&json!({})).send().await;
        let messages =
            ["email is required", "password is required", "state is required", "redirectUri is required"];
        assert_eq!(answer.whole(), errors(400, "[E4000]", &messages));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    async fn violation_is_reported_once_for_each_property_without_its_value(kind: Kind) {
        let school = School::start(kind).await;
        let answer = school
            .request_code(json!({
                "appUuid": MARKER,
                "email": MARKER,
                "password": MARKER.repeat(20),
                "state": format!("{MARKER}\n"),
                "redirectUri": MARKER,
                "acceptPrivacyPolicy": MARKER,
                "codeChallenge": MARKER,
                "codeChallengeMethod": MARKER,
            }))
            .await;
        let properties = sign_in_body(TEACHER).as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            faulty(&answer),
            [properties, vec!["codeChallenge".into(), "codeChallengeMethod".into()]].concat()
        );
        assert!(!answer.text.contains(MARKER), "{}", answer.text);
    }

    async fn response_never_repeats_a_password(kind: Kind) {
        let school = School::start(kind).await;
        let body = changed(sign_in_body(TEACHER), json!({ "password": MARKER }));
        let text = body.to_string();
        let cut = text.split_at(text.find(MARKER).unwrap() + MARKER.len()).0;
        for (media_type, sent) in [
            (Some("application/json"), text.as_str()),
            (Some("application/json"), cut),
            (Some("application/json"), &format!("{MARKER}{text}")),
            (Some("application/json"), &format!("[{text}]")),
            (Some("application/json"), &json!(MARKER).to_string()),
            (Some("application/json"), &json!({ MARKER: MARKER, "password": [MARKER] }).to_string()),
            (Some(MARKER), &text),
            (None, &text),
        ] {
            let answer = send(&school, media_type, sent).await;
            assert_eq!(answer.status, 400, "{sent}");
            assert!(!format!("{answer:?}").contains(MARKER), "{answer:?}");
        }
    }

    async fn unreadable_body_is_refused_with_its_reason(kind: Kind) {
        let school = School::start(kind).await;
        let body = sign_in_body(TEACHER).to_string();
        let json = Some("application/json");
        let large = format!("{body}{}", " ".repeat(24 * 1024));
        let media_type = "Content-Type must be application/json";
        for (announced, sent, message) in [
            (None, body.as_bytes(), media_type),
            (Some("text/plain"), body.as_bytes(), media_type),
            (Some("application/jsonp"), body.as_bytes(), media_type),
            (Some("application/x-www-form-urlencoded"), b"email=a@b".as_slice(), media_type),
            (json, b"", "the body is not valid JSON (line 1, column 0)"),
            (json, b"{\n  \"email\": }", "the body is not valid JSON (line 2, column 12)"),
            (json, b"{\"email\": \"\xFF\"}", "the body is not valid JSON (line 1, column 12)"),
            (json, b"[]", "the body must be a JSON object"),
            (json, b"null", "the body must be a JSON object"),
            (json, large.as_bytes(), "the body must have at most 24576 bytes"),
        ] {
            assert_eq!(send(&school, announced, sent).await.whole(), refused(message));
        }
        let charset = send(&school, Some("Application/JSON; charset=utf-8"), body).await;
        assert_eq!(charset.status, 201, "{}", charset.text);
    }

    async fn value_of_another_type_is_a_violation(kind: Kind) {
        let school = School::start(kind).await;
        let texts =
            ["appUuid", "email", "password", "state", "redirectUri", "codeChallenge", "codeChallengeMethod"];
        for name in texts {
            for value in [json!(1), json!(1.5), json!(true), json!([]), json!({})] {
                let mut changes = json!({ "codeChallenge": "A".repeat(43), "codeChallengeMethod": "S256" });
                changes[name] = value.clone();
                assert_eq!(faulty(&school.request_code(changes).await), [name], "{name} = {value}");
            }
        }
        for value in [json!(1), json!(0), json!("true"), json!("false"), json!([])] {
            let answer = school.request_code(json!({ "acceptPrivacyPolicy": value })).await;
            assert_eq!(faulty(&answer), ["acceptPrivacyPolicy"], "{value}");
        }
    }

    async fn text_at_its_maximum_length_is_accepted_and_beyond_it_refused(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let longest = uri_of(2048);
        school.register(|registration| registration.redirect_uris.push(redirect_uri(&longest))).await;
        // A valid body with wrong credentials is refused for its credentials.
        for (name, value) in [
            ("email", json!("a@b")),
            ("email", json!(address_of(254))),
            ("email", json!("user@münchen.example")),
            ("password", json!("a")),
            ("password", json!(" ")),
            ("password", json!("\0".repeat(256))),
            ("password", json!("\u{1F511}".repeat(256))),
            // Characters that normalization composes count as one.
            ("password", json!("e\u{301}".repeat(256))),
            ("password", json!("\u{3B1}\u{313}\u{300}\u{345}".repeat(256))),
        ] {
            let answer = school.request_code(json!({ name: value })).await;
            assert_eq!(answer.whole(), refused(CREDENTIALS), "{name} = {value}");
        }
        for (name, value) in [
            ("state", json!("a")),
            ("state", json!("\u{1F511}".repeat(1024))),
            ("redirectUri", json!(longest)),
        ] {
            let answer = school.request_code(json!({ name: value })).await;
            assert_eq!(answer.status, 201, "{name} = {value}: {}", answer.text);
        }
        let beyond: [(&str, Value); 23] = [
            ("email", json!("")),
            ("email", json!("@b")),
            ("email", json!("a@")),
            ("email", json!("user")),
            ("email", json!(address_of(255))),
            ("email", json!("user@[127.0.0.1]")),
            ("email", json!("user@a\0b[127.0.0.1]")),
            ("email", json!("user@example\u{200B}.com")),
            ("password", json!("")),
            ("password", json!("a".repeat(257))),
            ("password", json!("\u{1F511}".repeat(257))),
            // Characters that normalization decomposes count as many.
            ("password", json!("\u{FB03}".repeat(86))),
            ("password", json!("e\u{301}".repeat(257))),
            ("password", json!("e\u{301}".repeat(513))),
            ("state", json!("")),
            ("state", json!("a".repeat(1025))),
            ("state", json!("a\0")),
            ("state", json!("a\n")),
            ("state", json!("a\u{7F}")),
            ("state", json!("a\u{80}")),
            ("state", json!("a\u{9F}")),
            ("redirectUri", json!("")),
            ("redirectUri", json!(uri_of(2049))),
        ];
        for (name, value) in beyond {
            assert_eq!(faulty(&school.request_code(json!({ name: value })).await), [name], "{name} = {value}");
        }
    }

    async fn null_for_a_required_property_is_a_violation(kind: Kind) {
        let school = School::start(kind).await;
        for name in ["email", "password", "state", "redirectUri"] {
            assert_eq!(faulty(&school.request_code(json!({ name: null })).await), [name], "{name}");
        }
    }

    async fn null_optional_property_counts_as_absent(kind: Kind) {
        let school = School::start(kind).await;
        for name in ["acceptPrivacyPolicy", "codeChallenge", "codeChallengeMethod", "unknown"] {
            let answer = school.request_code(json!({ name: null })).await;
            assert_eq!(answer.status, 201, "{name}: {}", answer.text);
        }
        let all = json!({ "acceptPrivacyPolicy": null, "codeChallenge": null, "codeChallengeMethod": null });
        assert_eq!(school.request_code(all).await.status, 201);
        let unnamed = school.request_code(json!({ "appUuid": null })).await;
        assert_eq!(unnamed.whole(), refused("appUuid is required unless the Origin header names the app"));
        let halved = json!({ "codeChallenge": "A".repeat(43), "codeChallengeMethod": null });
        let halved = school.request_code(halved).await;
        assert_eq!(halved.whole(), refused("codeChallengeMethod is required with codeChallenge"));
    }

    async fn unknown_property_is_ignored(kind: Kind) {
        let school = School::start(kind).await;
        let answer = school.request_code(json!({ "remember": true, "Email": 7, "": null, "a/b~c": {} })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    async fn absent_accept_privacy_policy_means_false(kind: Kind) {
        let school = School::start(kind).await;
        let mut body = sign_in_body(TEACHER);
        body.as_object_mut().unwrap().remove("acceptPrivacyPolicy");
        let answer = school.post("/api/v1/codes").json(&body).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
}
