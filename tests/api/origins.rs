//! The `Origin` of a sign-in request: it may name the app, and must belong to the app or to this server.

use serde_json::{Value, json};

use crate::support::{
    APP, Answer, Kind, PUBLIC_URL, School, TEACHER, both, sign_in_body,
    signing_in::{OTHER_APP, changed, login_domain, redirect_uri, refused},
};

const APP_REQUIRED: &str = "appUuid is required unless the Origin header names the app";
const OTHER_ORIGIN: &str = "Origin does not belong to the app";
const LOGIN_PAGE: &str = "https://login.example.com";

/// A school with two apps. One of them owns a login domain.
async fn with_login_domain(kind: Kind) -> School {
    let school = School::start(kind).await;
    school
        .register(|registration| registration.login_domains = vec![login_domain("login.example.com")])
        .await;
    school.add_other_app().await;
    school
}

/// Signs in from a page with the documented body and these changes.
async fn from(school: &School, origin: impl AsRef<[u8]>, changes: Value) -> Answer {
    let body = changed(sign_in_body(TEACHER), changes);
    school.post("/api/v1/codes").header("Origin", origin).json(&body).send().await
}

/// Signs in without `appUuid` from a page that names the app.
async fn named_by(school: &School, origin: &str, redirect_uri: &str) -> Answer {
    let mut body = changed(sign_in_body(TEACHER), json!({ "redirectUri": redirect_uri }));
    body.as_object_mut().unwrap().remove("appUuid");
    school.post("/api/v1/codes").header("Origin", origin).json(&body).send().await
}

fn assert_signed_in_to(app: homeroom::domain::id::AppId, answer: &Answer) {
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(answer.text.contains(&format!("&client_id=app_{app}&")), "{}", answer.text);
}

both! {
    async fn login_domain_names_its_app(kind: Kind) {
        let school = with_login_domain(kind).await;
        let own = named_by(&school, LOGIN_PAGE, "https://app.example.com/callback").await;
        assert_signed_in_to(APP, &own);
        let other =
            named_by(&school, "https://login.example.net", "https://other.example.net/callback").await;
        assert_signed_in_to(OTHER_APP, &other);
        // Redirect URIs of another app are not accepted.
        let mixed = named_by(&school, LOGIN_PAGE, "https://other.example.net/callback").await;
        assert_eq!(mixed.whole(), refused("redirectUri is not registered for the app"));
    }

    async fn origin_that_is_no_login_domain_names_no_app(kind: Kind) {
        let school = with_login_domain(kind).await;
        for origin in [
            "https://evil.example",
            "https://login.example.com:8443",
            // A page without TLS can be changed on its way.
            "http://login.example.com",
            // The origin of a redirect URI is not a login domain.
            "https://app.example.com",
            "null",
        ] {
            let answer = named_by(&school, origin, "https://app.example.com/callback").await;
            assert_eq!(answer.whole(), refused(APP_REQUIRED), "{origin}");
        }
        // The page of this server names no app.
        let ours = named_by(&school, PUBLIC_URL, "https://app.example.com/callback").await;
        assert_eq!(ours.whole(), refused(APP_REQUIRED));
        let mut body = sign_in_body(TEACHER);
        body.as_object_mut().unwrap().remove("appUuid");
        assert_eq!(school.post("/api/v1/codes").json(&body).send().await.whole(), refused(APP_REQUIRED));
    }

    async fn login_domain_of_a_disabled_app_names_no_app(kind: Kind) {
        let school = with_login_domain(kind).await;
        school.register(|registration| registration.app.enabled = false).await;
        let answer = named_by(&school, LOGIN_PAGE, "https://app.example.com/callback").await;
        assert_eq!(answer.whole(), refused(APP_REQUIRED));
    }

    async fn app_uuid_has_precedence_over_the_login_domain(kind: Kind) {
        let school = with_login_domain(kind).await;
        let other = json!({ "appUuid": OTHER_APP, "redirectUri": "https://other.example.net/callback" });
        assert_eq!(from(&school, LOGIN_PAGE, other.clone()).await.whole(), refused(OTHER_ORIGIN));
        // An origin of both apps: the login domain of one, and the redirect URI of the other.
        school
            .register(|registration| {
                registration.redirect_uris = vec![redirect_uri("https://login.example.net/callback")];
            })
            .await;
        let own = json!({ "redirectUri": "https://login.example.net/callback" });
        assert_signed_in_to(APP, &from(&school, "https://login.example.net", own).await);
        assert_signed_in_to(OTHER_APP, &from(&school, "https://login.example.net", other).await);
    }

    async fn origins_of_the_app_and_of_this_server_are_accepted(kind: Kind) {
        let school = with_login_domain(kind).await;
        for origin in [LOGIN_PAGE, "https://app.example.com", PUBLIC_URL] {
            assert_signed_in_to(APP, &from(&school, origin, json!({})).await);
        }
    }

    async fn unknown_origin_or_origin_of_another_app_is_refused(kind: Kind) {
        let school = with_login_domain(kind).await;
        for origin in [
            "https://evil.example",
            "https://login.example.net",
            "https://other.example.net",
            "https://app.example.com.evil.example",
            "https://app.example.com:8443",
            "http://app.example.com",
            "http://homeroom.example.com",
            "https://homeroom.example.com:8443",
            // Forms that no browser sends.
            "https://app.example.com/",
            "https://APP.example.com",
            "https://app.example.com:443",
            "https://app.example.com, https://evil.example",
            "app.example.com",
            "file://",
            "null",
        ] {
            assert_eq!(from(&school, origin, json!({})).await.whole(), refused(OTHER_ORIGIN), "{origin}");
        }
        // A value that is not text does not count as absent.
        assert_eq!(from(&school, b"https://app.example.com\xFF", json!({})).await.whole(), refused(OTHER_ORIGIN));
    }

    async fn empty_origin_counts_as_absent(kind: Kind) {
        let school = with_login_domain(kind).await;
        assert_signed_in_to(APP, &from(&school, "", json!({})).await);
        let unnamed = named_by(&school, "", "https://app.example.com/callback").await;
        assert_eq!(unnamed.whole(), refused(APP_REQUIRED));
        // Two headers are opaque, even if both are empty.
        let twice = school.post("/api/v1/codes").header("Origin", "").header("Origin", "");
        assert_eq!(twice.json(&sign_in_body(TEACHER)).send().await.whole(), refused(OTHER_ORIGIN));
    }

    async fn origin_with_the_host_and_port_of_the_request_is_the_same_origin(kind: Kind) {
        let school = School::start(kind).await;
        for (origin, host, ours) in [
            ("http://127.0.0.1:8", "127.0.0.1:8", true),
            ("http://127.0.0.1:9", "127.0.0.1:8", false),
            ("http://127.0.0.1", "127.0.0.1:8", false),
            ("http://localhost:8080", "localhost:8080", true),
            ("http://localhost:8080", "127.0.0.1:8080", false),
            ("http://[::1]:8080", "[::1]:8080", true),
            // The scheme decides the default port.
            ("https://homeroom.internal", "homeroom.internal", true),
            ("https://homeroom.internal", "homeroom.internal:443", true),
            ("https://homeroom.internal", "homeroom.internal:80", false),
            ("http://homeroom.internal", "homeroom.internal:80", true),
            ("https://evil.example", "homeroom.internal", false),
            ("null", "null", false),
        ] {
            let call = school.post("/api/v1/codes").header("Origin", origin).header("Host", host);
            let answer = call.json(&sign_in_body(TEACHER)).send().await;
            if ours {
                assert_signed_in_to(APP, &answer);
            } else {
                assert_eq!(answer.whole(), refused(OTHER_ORIGIN), "{origin} asks {host}");
            }
        }
    }

    async fn loopback_redirect_uri_allows_its_origin_on_every_port(kind: Kind) {
        let school = School::start(kind).await;
        school
            .register(|registration| {
                registration
                    .redirect_uris
                    .extend(["http://127.0.0.1/cb", "http://localhost:9/cb"].map(redirect_uri));
            })
            .await;
        assert_signed_in_to(APP, &from(&school, "http://127.0.0.1:49152", json!({})).await);
        assert_signed_in_to(APP, &from(&school, "http://localhost:9", json!({})).await);
        for origin in ["https://127.0.0.1:49152", "http://localhost:10", "http://[::1]:49152"] {
            assert_eq!(from(&school, origin, json!({})).await.whole(), refused(OTHER_ORIGIN), "{origin}");
        }
    }
}
