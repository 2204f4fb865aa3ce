//! `createCode`: sign-in with e-mail and password.

use std::num::NonZeroUsize;

use homeroom::{domain::label::Label, identity::password_hashing};
use serde_json::json;

use crate::support::{
    COLLEAGUE, PASSWORD, REDIRECT_URI, STATE, STUDENT, School, TEACHER, both, code_in, sign_in_body,
    signing_in::{CREDENTIALS, errors, redirect_uri, refused},
};

/// Not registered for any app.
const ELSEWHERE: &str = "https://app.example.com/elsewhere";

both! {
    async fn sign_in_documented_request_returns_the_documented_url(kind: Kind) {
        let school = School::start(kind).await;
        school.random.set_next(&[0xFB; 32]);
        let answer = school.post("/api/v1/codes").json(&sign_in_body(TEACHER)).send().await;
        let body = json!({
            "kind": "codes",
            "totalItems": 1,
            "itemsLength": 1,
            "items": [{
                "nextAction": {
                    "action": "httpRequest",
                    "url": "https://app.example.com/callback?code=-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s\
                            &state=state-from-client&client_id=app_11111111-1111-1111-1111-111111111111\
                            &redirect_uri=https://app.example.com/callback&service=email\
                            &grant_type=authorization_code",
                    "method": "GET",
                },
            }],
        });
        assert_eq!(answer.whole(), (201, body));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    async fn redirect_url_keeps_query_and_state(kind: Kind) {
        let school = School::start(kind).await;
        let uri = "https://app.example.com/callback?tenant=a%20b";
        school.register(|registration| registration.redirect_uris.push(redirect_uri(uri))).await;
        school.random.set_next(&[0; 32]);
        let answer = school.request_code(json!({ "redirectUri": uri, "state": "a b&c=d/é:~" })).await;
        assert_eq!(
            answer.json()["items"][0]["nextAction"]["url"],
            "https://app.example.com/callback?tenant=a%20b&code=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
             &state=a%20b%26c%3Dd/%C3%A9:~&client_id=app_11111111-1111-1111-1111-111111111111\
             &redirect_uri=https://app.example.com/callback%3Ftenant%3Da%2520b&service=email\
             &grant_type=authorization_code"
        );
    }

    async fn sign_in_twice_codes_differ(kind: Kind) {
        let school = School::start(kind).await;
        let (first, second) = (school.sign_in(TEACHER).await, school.sign_in(TEACHER).await);
        assert_ne!(code_in(&first), code_in(&second));
    }

    async fn sign_in_with_equivalent_spellings_succeeds(kind: Kind) {
        let school = School::start(kind).await;
        // NFKC maps the full-width letters of some keyboards to ASCII.
        let wide: String = PASSWORD.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect();
        let answer = school.request_code(json!({ "email": "UseR@Example.COM", "password": wide })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let lower = school.request_code(json!({ "password": PASSWORD.to_lowercase() })).await;
        assert_eq!(lower.whole(), refused(CREDENTIALS));
        school.add_account("New.Teacher@Example.COM").await;
        school.sign_in("new.teacher@example.com").await;
    }

    async fn sign_in_refused_credentials_responses_are_identical(kind: Kind) {
        let school = School::start(kind).await;
        school.change_account(STUDENT, |account| account.enabled = false).await;
        school.change_account(COLLEAGUE, |account| account.email_verified_at = None).await;
        let wrong = school.request_code(json!({ "password": "VeryStrongPass123?" })).await;
        assert_eq!(wrong.whole(), refused(CREDENTIALS));
        // Status, headers and body are equal.
        for email in ["nobody@example.com", STUDENT, COLLEAGUE] {
            assert_eq!(school.request_code(json!({ "email": email })).await, wrong, "{email}");
        }
    }

    async fn sign_in_to_reenabled_account_succeeds(kind: Kind) {
        let school = School::start(kind).await;
        let before = school.account(STUDENT).await;
        school.change_account(STUDENT, |account| account.enabled = false).await;
        school.change_account(STUDENT, |account| account.email_verified_at = None).await;
        assert_eq!(school.request_code(json!({ "email": STUDENT })).await.status, 400);
        school.change_account(STUDENT, |account| *account = before).await;
        assert_eq!(school.request_code(json!({ "email": STUDENT })).await.status, 201);
    }

    async fn sign_in_with_several_faults_reports_the_first_in_contract_order(kind: Kind) {
        let school = School::start(kind).await;
        school
            .register(|registration| {
                registration.app.policy_version = Label::parse("1").ok();
                registration.app.policy_demanded = true;
            })
            .await;
        // Each request also has the faults of all later requests.
        let mut body = sign_in_body(TEACHER);
        body["state"] = json!("");
        body["appUuid"] = json!("44444444-4444-4444-4444-444444444444");
        body["redirectUri"] = json!(ELSEWHERE);
        body["password"] = json!("wrong");
        let mut origin = "https://evil.example";
        for (message, mended, value) in [
            ("state must have at least 1 characters", "state", json!(STATE)),
            ("appUuid is not the id of an enabled app", "appUuid", sign_in_body(TEACHER)["appUuid"].clone()),
            ("Origin does not belong to the app", "Origin", json!(null)),
            ("redirectUri is not registered for the app", "redirectUri", json!(REDIRECT_URI)),
            (CREDENTIALS, "password", json!(PASSWORD)),
            (
                "acceptPrivacyPolicy must be true: the app demands its current privacy policy",
                "acceptPrivacyPolicy",
                json!(true),
            ),
        ] {
            let answer = school.post("/api/v1/codes").header("Origin", origin).json(&body).send().await;
            assert_eq!(answer.whole(), refused(message));
            if mended == "Origin" {
                origin = "https://app.example.com";
            } else {
                body[mended] = value;
            }
        }
        let answer = school.post("/api/v1/codes").header("Origin", origin).json(&body).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    async fn sign_in_with_redirect_uri_not_exactly_registered_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        for uri in [
            "https://app.example.com/callback/",
            "https://app.example.com/Callback",
            "https://APP.example.com/callback",
            "https://app.example.com:443/callback",
            "https://app.example.com/callback?",
            "https://app.example.com/callback#",
            "https://app.example.com/%63allback",
            "http://app.example.com/callback",
            "https://other.example.net/callback",
        ] {
            let answer = school.request_code(json!({ "redirectUri": uri })).await;
            assert_eq!(answer.whole(), refused("redirectUri is not registered for the app"), "{uri}");
        }
    }

    async fn sign_in_with_loopback_redirect_uri_accepts_any_port(kind: Kind) {
        let school = School::start(kind).await;
        school
            .register(|registration| {
                registration.redirect_uris =
                    ["http://127.0.0.1/cb", "http://[::1]:9/cb", "http://localhost:9/cb"]
                        .map(redirect_uri)
                        .to_vec();
            })
            .await;
        for (uri, status) in [
            ("http://127.0.0.1:49152/cb", 201),
            ("http://[::1]/cb", 201),
            // A name is not a loopback address: it may resolve to another host.
            ("http://localhost:10/cb", 400),
            ("http://127.0.0.1:49152/other", 400),
            ("https://127.0.0.1:49152/cb", 400),
        ] {
            let answer = school.request_code(json!({ "redirectUri": uri })).await;
            assert_eq!(answer.status, status, "{uri}: {}", answer.text);
            if status == 201 {
                // The redirect URL has the requested port.
                let url = answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap().to_owned();
                assert!(url.starts_with(&format!("{uri}?code=")), "{url}");
            }
        }
    }

    async fn sign_in_to_disabled_app_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        school.register(|registration| registration.app.enabled = false).await;
        let answer = school.request_code(json!({})).await;
        assert_eq!(answer.whole(), refused("appUuid is not the id of an enabled app"));
    }

    async fn sign_in_with_full_hash_queue_is_503_without_side_effects(kind: Kind) {
        let hashing =
            password_hashing::Settings { workers: NonZeroUsize::MIN, queue: NonZeroUsize::new(1), ..Default::default() };
        let school = School::start_with_hashing(kind, hashing).await;
        let accounts: Vec<_> = (0..32).map(|number| format!("{number}@school.example")).collect();
        for account in &accounts {
            school.enrol(account).await;
        }
        let burst = accounts.iter().map(|account| school.request_code(json!({ "email": account })));
        let answers = futures_util::future::join_all(burst).await;
        let (signed_in, turned_away): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 201);
        assert!(!signed_in.is_empty() && !turned_away.is_empty());
        for answer in turned_away {
            let busy = errors(503, "[E5030]", &["The service is busy; try again later"]);
            assert_eq!(answer.whole(), busy);
            assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
}
