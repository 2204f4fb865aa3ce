//! Sessions: refresh, sign-out, the list of sessions, and what ends a session.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    entity::{
        audit_event::{self, Action, Outcome},
        authorization_code, refresh_token, session,
    },
    jobs::sweep::{KEEP_SESSIONS, delete_expired},
};
use sea_orm::{EntityTrait, PaginatorTrait, QueryOrder};
use serde_json::{Value, json};

use crate::support::{
    APP, Answer, COLLEAGUE, OWN_CLASS, REDIRECT_URI, School, TEACHER, both,
    signing_in::{
        NOT_REDEEMABLE, NOT_REFRESHABLE, OTHER_APP, changed, errors, faulty, redirect_uri, refused,
    },
};

const SESSIONS: &str = "/api/v1/users/me/sessions";

/// The unverified claims of a token.
fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The status of a request with an access token.
async fn status(school: &School, tokens: &Value) -> u16 {
    let token = tokens["accessToken"].as_str().unwrap();
    school.get(&format!("/classes/{OWN_CLASS}")).bearer(token).send().await.status
}

async fn revoke(school: &School, token: &Value, changes: Value) -> Answer {
    let body = json!({ "client_id": APP, "token": token });
    school.post("/api/v1/tokens/revoke").json(&changed(body, changes)).send().await
}

async fn list(school: &School, tokens: &Value) -> Vec<Value> {
    let token = tokens["accessToken"].as_str().unwrap();
    let answer = school.get(SESSIONS).bearer(token).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut body = answer.json();
    let Value::Array(items) = body["items"].take() else { panic!("{body}") };
    let count = items.len();
    assert_eq!(body, json!({ "kind": "sessions", "totalItems": count, "itemsLength": count, "items": null }));
    items
}

async fn end(school: &School, tokens: &Value, session: &str) -> Answer {
    let token = tokens["accessToken"].as_str().unwrap();
    school.call("DELETE", &format!("{SESSIONS}/{session}")).bearer(token).send().await
}

/// Refreshes, and returns the new tokens.
async fn refreshed(school: &School, tokens: &Value) -> Value {
    let answer = school.refresh(&tokens["refreshToken"], json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["items"][0].take()
}

async fn assert_not_refreshable(school: &School, tokens: &Value) {
    let answer = school.refresh(&tokens["refreshToken"], json!({})).await;
    assert_eq!(answer.whole(), refused(NOT_REFRESHABLE));
}

/// Asserts that neither token of an ended session is accepted, once five seconds have passed.
async fn assert_ended(school: &School, tokens: &Value) {
    school.clock.advance(TimeDelta::seconds(5));
    assert_eq!(status(school, tokens).await, 401);
    assert_not_refreshable(school, tokens).await;
}

async fn count_sessions(school: &School) -> u64 {
    session::Entity::find().count(school.db.read()).await.unwrap()
}

/// Action, outcome and reason of the events in the audit trail.
async fn events(school: &School) -> Vec<(Action, Outcome, Option<String>)> {
    // Ids of the same millisecond have no order.
    let events = audit_event::Entity::find()
        .order_by_asc(audit_event::Column::At)
        .order_by_asc(audit_event::Column::Action);
    let events = events.all(school.db.read()).await.unwrap().into_iter();
    let about_sessions =
        |action| matches!(action, Action::SessionBegin | Action::SessionEnd | Action::TokenReuse);
    let events = events.filter(|event| about_sessions(event.action));
    events.map(|event| (event.action, event.outcome, event.reason)).collect()
}

fn began() -> (Action, Outcome, Option<String>) {
    (Action::SessionBegin, Outcome::Success, None)
}

fn ended(reason: &str) -> (Action, Outcome, Option<String>) {
    (Action::SessionEnd, Outcome::Success, Some(reason.to_owned()))
}

fn reused(reason: &str) -> (Action, Outcome, Option<String>) {
    (Action::TokenReuse, Outcome::Failure, Some(reason.to_owned()))
}

both! {
    async fn refresh_returns_new_tokens_of_the_same_session(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let scope = json!({ "scope": "openid email profile", "nonce": "first" });
        let first = school.request_tokens(&code, scope).await.json()["items"][0].take();
        school.clock.advance(TimeDelta::minutes(59));
        let changes = json!({ "nonce": "second", "client_id": format!("app_{APP}") });
        let answer = school.refresh(&first["refreshToken"], changes).await;
        assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")), "{}", answer.text);
        let mut body = answer.json();
        let second = body["items"][0].take();
        assert_eq!(body, json!({ "kind": "tokens", "totalItems": 1, "itemsLength": 1, "items": [null] }));
        assert_ne!(first["refreshToken"], second["refreshToken"]);
        assert_eq!((&second["tokenType"], &second["redirectUri"]), (&json!("Bearer"), &json!(REDIRECT_URI)));

        let [old, new] = [&first, &second].map(|tokens| claims(&tokens["accessToken"]));
        for same in ["iss", "aud", "sub", "client_id", "sid", "auth_time", "scope"] {
            assert_eq!(old[same], new[same], "{same}");
        }
        let seconds = |claims: &Value, name: &str| claims[name].as_i64().unwrap();
        for name in ["iat", "exp"] {
            assert_eq!(seconds(&new, name) - seconds(&old, name), 59 * 60, "{name}");
        }
        assert_eq!(second["expiresIn"], new["exp"].to_string());
        let id = claims(&second["idToken"]);
        assert_eq!((&id["nonce"], &id["aud"]), (&json!("second"), &json!(format!("app_{APP}"))));
        assert_eq!((&id["email"], &id["auth_time"]), (&json!(TEACHER), &old["auth_time"]));
        assert_eq!(status(&school, &second).await, 200);
        // The access token from before stays valid until it expires.
        assert_eq!(status(&school, &first).await, 200);
        assert_eq!(events(&school).await, [began()]);
    }

    async fn refresh_as_the_browser_sdk_sends_it_is_accepted(kind: Kind) {
        let school = School::start(kind).await;
        let mut tokens = school.tokens(TEACHER).await;
        // The code is that of the page's URL. After a reload there is none.
        for code in ["an-old-code", ""] {
            let changes = json!({
                "grant_type": "authorization_code", "code": code, "state": "an-old-state", "prompt": "none",
                "redirect_uri": "https://elsewhere.example.com/", "nonce": "n", "auth_time": "1", "scope": "",
                "language": "en", "code_verifier": "A".repeat(43),
            });
            let answer = school.refresh(&tokens["refreshToken"], changes).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            tokens = answer.json()["items"][0].take();
            assert_eq!(tokens["redirectUri"], REDIRECT_URI);
        }
    }

    async fn empty_refresh_token_counts_as_absent(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let missing = school.refresh(&json!(""), json!({})).await;
        assert_eq!(missing.whole(), errors(400, "[E4000]", &["refresh_token is required"]));
        let code_missing = school.refresh(&json!(""), json!({ "grant_type": "authorization_code" })).await;
        assert_eq!(faulty(&code_missing), ["redirect_uri", "code", "state"]);
        let exchange = json!({ "refresh_token": "", "prompt": "none" });
        assert_eq!(school.request_tokens(&code, exchange).await.status, 201);
    }

    async fn refresh_scope_is_narrowed_and_never_widened(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let mut tokens =
            school.request_tokens(&code, json!({ "scope": "openid email" })).await.json()["items"][0].take();
        for (requested, granted) in [
            ("email profile", json!("email")),
            ("profile", Value::Null),
            ("", json!("openid email")),
            ("openid", json!("openid")),
        ] {
            let answer = school.refresh(&tokens["refreshToken"], json!({ "scope": requested })).await;
            tokens = answer.json()["items"][0].take();
            assert_eq!(claims(&tokens["accessToken"])["scope"], granted, "{requested}");
            assert_eq!(claims(&tokens["idToken"]).get("name"), None);
        }
    }

    async fn refresh_with_anything_wrong_gets_one_message_and_does_not_use_the_token(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        let tokens = school.tokens(TEACHER).await;
        let token = tokens["refreshToken"].as_str().unwrap();
        for (token, changes) in [
            (token, json!({ "client_id": OTHER_APP })),
            (token, json!({ "client_id": "44444444-4444-4444-4444-444444444444" })),
            (&token.to_lowercase(), json!({})),
            (&format!("{token}A"), json!({})),
            (&format!("{token} "), json!({})),
            (tokens["accessToken"].as_str().unwrap().get(..512).unwrap(), json!({})),
        ] {
            let answer = school.refresh(&json!(token), changes.clone()).await;
            assert_eq!(answer.whole(), refused(NOT_REFRESHABLE), "{token} {changes}");
        }
        school.change_account(TEACHER, |account| account.enabled = false).await;
        assert_not_refreshable(&school, &tokens).await;
        school.change_account(TEACHER, |account| account.enabled = true).await;
        refreshed(&school, &tokens).await;
    }

    async fn rotated_token_within_the_interval_is_refused_and_the_session_stays(kind: Kind) {
        let school = School::start(kind).await;
        let first = school.tokens(TEACHER).await;
        let second = refreshed(&school, &first).await;
        for _ in 0..2 {
            assert_not_refreshable(&school, &first).await;
            school.clock.advance(TimeDelta::seconds(5));
        }
        assert_eq!(status(&school, &second).await, 200);
        refreshed(&school, &second).await;
        assert_eq!(events(&school).await, [began()]);
    }

    async fn rotated_token_after_the_interval_ends_the_session(kind: Kind) {
        let school = School::start(kind).await;
        let others = school.tokens(TEACHER).await;
        let first = school.tokens(TEACHER).await;
        let second = refreshed(&school, &first).await;
        let third = refreshed(&school, &second).await;
        school.clock.advance(TimeDelta::milliseconds(10_001));
        assert_eq!(status(&school, &third).await, 200);
        assert_not_refreshable(&school, &first).await;
        // This node refuses the access token at once.
        assert_eq!(status(&school, &third).await, 401);
        for tokens in [&first, &second, &third] {
            assert_not_refreshable(&school, tokens).await;
        }
        assert_eq!(events(&school).await, [began(), began(), reused("refresh_token_reused")]);
        // The user's other session stays.
        refreshed(&school, &others).await;
        assert_eq!(refresh_token::Entity::find().count(school.db.read()).await.unwrap(), 2);
    }

    async fn reuse_interval_of_zero_ends_the_session_a_moment_later(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.identity.refresh_reuse_interval = TimeDelta::zero());
        let first = school.tokens(TEACHER).await;
        let second = refreshed(&school, &first).await;
        assert_not_refreshable(&school, &first).await;
        assert_eq!(status(&school, &second).await, 200);
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_not_refreshable(&school, &first).await;
        assert_ended(&school, &second).await;
    }

    async fn code_used_twice_ends_its_session(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let tokens = school.request_tokens(&code, json!({})).await.json()["items"][0].take();
        let newest = refreshed(&school, &tokens).await;
        // A mismatch changes nothing, even with a redeemed code.
        let mismatch = school.request_tokens(&code, json!({ "state": "another-state" })).await;
        assert_eq!(mismatch.whole(), refused(NOT_REDEEMABLE));
        assert_eq!(status(&school, &newest).await, 200);
        for _ in 0..2 {
            assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        }
        assert_eq!(status(&school, &newest).await, 401);
        assert_ended(&school, &newest).await;
        assert_eq!(events(&school).await, [began(), reused("code_reused")]);
    }

    async fn code_used_again_a_day_later_ends_its_session(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let tokens = school.request_tokens(&code, json!({})).await.json()["items"][0].take();
        school.clock.advance(TimeDelta::hours(23));
        let tokens = refreshed(&school, &tokens).await;
        delete_expired(&school.db, school.clock.now()).await.unwrap();
        assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        assert_ended(&school, &tokens).await;
    }

    async fn session_without_a_refresh_ends_after_the_idle_time_of_its_app(kind: Kind) {
        let school = School::start(kind).await;
        let (kept, idle) = (school.tokens(TEACHER).await, school.tokens(TEACHER).await);
        school.clock.advance(TimeDelta::minutes(1_440) - TimeDelta::milliseconds(1));
        let kept = refreshed(&school, &kept).await;
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_not_refreshable(&school, &idle).await;
        assert_eq!(list(&school, &kept).await.len(), 1);
        school.register(|registration| registration.app.session_idle_minutes = 120).await;
        let kept = refreshed(&school, &kept).await;
        school.clock.advance(TimeDelta::minutes(120));
        assert_not_refreshable(&school, &kept).await;
    }

    async fn session_ends_after_its_absolute_lifetime_and_no_token_outlives_it(kind: Kind) {
        let school = School::start(kind).await;
        school.register(|registration| registration.app.session_minutes = 2_000).await;
        let tokens = school.tokens(TEACHER).await;
        school.clock.advance(TimeDelta::minutes(1_400));
        let tokens = refreshed(&school, &tokens).await;
        school.clock.advance(TimeDelta::minutes(590));
        let tokens = refreshed(&school, &tokens).await;
        let issued = claims(&tokens["accessToken"]);
        assert_eq!(issued["exp"].as_i64().unwrap() - issued["iat"].as_i64().unwrap(), 10 * 60);
        assert_eq!(claims(&tokens["idToken"])["exp"], issued["exp"]);
        school.clock.advance(TimeDelta::minutes(10) - TimeDelta::seconds(1));
        assert_eq!(status(&school, &tokens).await, 200);
        school.clock.advance(TimeDelta::seconds(1));
        assert_not_refreshable(&school, &tokens).await;
        assert_eq!(status(&school, &tokens).await, 401);
    }

    async fn sweep_deletes_ended_sessions_with_their_refresh_tokens(kind: Kind) {
        let school = School::start(kind).await;
        school.tokens(TEACHER).await;
        let end = school.clock.now() + TimeDelta::minutes(1_440);
        delete_expired(&school.db, end + KEEP_SESSIONS - TimeDelta::milliseconds(1)).await.unwrap();
        assert_eq!(count_sessions(&school).await, 1);
        delete_expired(&school.db, end + KEEP_SESSIONS).await.unwrap();
        assert_eq!(count_sessions(&school).await, 0);
        assert_eq!(refresh_token::Entity::find().count(school.db.read()).await.unwrap(), 0);
    }

    async fn revoke_ends_the_session_of_any_of_its_tokens(kind: Kind) {
        let school = School::start(kind).await;
        for name in ["rotated", "refreshToken", "accessToken"] {
            let first = school.tokens(TEACHER).await;
            let tokens = refreshed(&school, &first).await;
            assert_eq!(status(&school, &tokens).await, 200);
            let token = if name == "rotated" { &first["refreshToken"] } else { &tokens[name] };
            for hint in [json!("refresh_token"), json!("unknown"), Value::Null] {
                let answer = revoke(&school, token, json!({ "token_type_hint": hint })).await;
                let empty = json!({ "kind": "tokens", "totalItems": 0, "itemsLength": 0, "items": [] });
                assert_eq!(answer.whole(), (200, empty), "{name}");
                assert_eq!(answer.header("cache-control"), Some("no-store"));
            }
            // This node refuses the access token at once.
            assert_eq!(status(&school, &tokens).await, 401, "{name}");
            assert_ended(&school, &tokens).await;
        }
        assert_eq!(count_sessions(&school).await, 0);
        let each = [began(), ended("signed_out")];
        assert_eq!(events(&school).await, [each.clone(), each.clone(), each].concat());
    }

    async fn revoke_unknown_token_succeeds_and_of_another_app_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        let tokens = school.tokens(TEACHER).await;
        for unknown in [json!("unknown"), json!("a.b.c"), tokens["idToken"].clone(), json!("x".repeat(12_288))] {
            assert_eq!(revoke(&school, &unknown, json!({})).await.status, 200);
        }
        for name in ["refreshToken", "accessToken"] {
            let answer = revoke(&school, &tokens[name], json!({ "client_id": OTHER_APP })).await;
            assert_eq!(answer.whole(), refused("token was not issued to the app of client_id"), "{name}");
        }
        assert_eq!(status(&school, &tokens).await, 200);
        for (name, value) in [
            ("client_id", json!("x")),
            ("token", Value::Null),
            ("token", json!("")),
            ("token", json!("a b")),
            ("token", json!("x".repeat(12_289))),
            ("token_type_hint", json!(7)),
            ("token_type_hint", json!("x".repeat(65))),
        ] {
            assert_eq!(faulty(&revoke(&school, &json!("t"), json!({ name: value })).await), [name], "{name}");
        }
    }

    async fn revoke_with_an_expired_access_token_leaves_the_session(kind: Kind) {
        let school = School::start(kind).await;
        let tokens = school.tokens(TEACHER).await;
        school.clock.advance(TimeDelta::hours(1));
        assert_eq!(revoke(&school, &tokens["accessToken"], json!({})).await.status, 200);
        refreshed(&school, &tokens).await;
    }

    async fn list_shows_the_sessions_of_the_user_newest_first(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        school.tokens(COLLEAGUE).await;
        let first = school.tokens(TEACHER).await;
        school.clock.advance(TimeDelta::minutes(30));
        let first = refreshed(&school, &first).await;
        let code = school.code(TEACHER).await;
        let exchange = crate::support::exchange_body(&code);
        let exchange = school.post("/api/v1/tokens").json(&exchange).header("User-Agent", "a\tbrowser ".repeat(40));
        let second = exchange.from("::ffff:198.51.100.9".parse().unwrap()).send().await.json()["items"][0].take();
        let sid = |tokens: &Value| claims(&tokens["accessToken"])["sid"].clone();
        let agent = "abrowser ".repeat(29);
        let (newest, oldest) = (
            json!({
                "uuid": sid(&second), "appUuid": APP, "appName": "Sample app", "isCurrent": false,
                "createdAt": "2026-05-04T10:12:00.250Z", "lastUsedAt": "2026-05-04T10:12:00.250Z",
                "expiresAt": "2026-05-05T10:12:00.250Z", "address": "198.51.100.9", "userAgent": agent[..256].trim(),
            }),
            json!({
                "uuid": sid(&first), "appUuid": APP, "appName": "Sample app", "isCurrent": true,
                "createdAt": "2026-05-04T09:42:00.250Z", "lastUsedAt": "2026-05-04T10:12:00.250Z",
                "expiresAt": "2026-05-05T10:12:00.250Z", "address": "192.0.2.7", "userAgent": null,
            }),
        );
        assert_eq!(list(&school, &first).await, [newest, oldest]);
    }

    async fn delete_session_ends_it_and_no_other(kind: Kind) {
        let school = School::start(kind).await;
        let (mine, lost, colleagues) =
            (school.tokens(TEACHER).await, school.tokens(TEACHER).await, school.tokens(COLLEAGUE).await);
        let sid = |tokens: &Value| claims(&tokens["accessToken"])["sid"].as_str().unwrap().to_owned();
        let missing = errors(404, "[E4040]", &["There is no such session"]);
        for unknown in [sid(&colleagues), "44444444-4444-4444-4444-444444444444".to_owned(), "1".to_owned()] {
            assert_eq!(end(&school, &mine, &unknown).await.whole(), missing, "{unknown}");
        }
        assert_eq!(status(&school, &lost).await, 200);
        let answer = end(&school, &mine, &sid(&lost)).await;
        assert_eq!((answer.status, &answer.json()["items"][0]["uuid"]), (200, &json!(sid(&lost))));
        assert_eq!(end(&school, &mine, &sid(&lost)).await.whole(), missing);
        assert_eq!(status(&school, &lost).await, 401);
        assert_ended(&school, &lost).await;
        for others in [&mine, &colleagues] {
            assert_eq!(list(&school, others).await.len(), 1);
        }
        // The current session can be ended too.
        assert_eq!(end(&school, &mine, &sid(&mine)).await.json()["items"][0]["isCurrent"], true);
        assert_eq!(status(&school, &mine).await, 401);
        assert_eq!(events(&school).await[3..], [ended("ended_by_user"), ended("ended_by_user")]);
    }

    async fn hundred_and_first_session_ends_the_oldest_of_its_user(kind: Kind) {
        let school = School::start(kind).await;
        let others = school.tokens(COLLEAGUE).await;
        let mut sessions = Vec::new();
        for _ in 0..101 {
            school.clock.advance(TimeDelta::milliseconds(1));
            sessions.push(school.tokens(TEACHER).await);
        }
        assert_not_refreshable(&school, &sessions[0]).await;
        for kept in [&sessions[1], &sessions[100], &others] {
            refreshed(&school, kept).await;
        }
        assert_eq!(list(&school, &sessions[1]).await.len(), 100);
        let events = events(&school).await;
        let ends: Vec<_> = events.iter().filter(|event| **event != began()).collect();
        assert_eq!(ends, [&ended("too_many_sessions")]);
    }

    async fn reuse_of_a_rotated_token_is_detected_for_the_newest_hundred(kind: Kind) {
        let school = School::start(kind).await;
        let mut issued = vec![school.tokens(TEACHER).await];
        for _ in 0..102 {
            school.clock.advance(TimeDelta::milliseconds(1));
            issued.push(refreshed(&school, issued.last().unwrap()).await);
        }
        assert_eq!(refresh_token::Entity::find().count(school.db.read()).await.unwrap(), 101);
        school.clock.advance(TimeDelta::seconds(11));
        for older in &issued[..2] {
            assert_not_refreshable(&school, older).await;
        }
        assert_eq!(status(&school, &issued[102]).await, 200);
        assert_not_refreshable(&school, &issued[2]).await;
        assert_ended(&school, &issued[102]).await;
        assert_eq!(events(&school).await, [began(), reused("refresh_token_reused")]);
    }

    async fn session_ended_by_another_node_is_refused_within_five_seconds(kind: Kind) {
        let mut school = School::start(kind).await;
        let tokens = school.tokens(TEACHER).await;
        assert_eq!(status(&school, &tokens).await, 200);
        // The other node has the same database and keys, and a cache of its own.
        let here = school.server.clone();
        school.restart(|_| {});
        assert_eq!(revoke(&school, &tokens["refreshToken"], json!({})).await.status, 200);
        let token = tokens["accessToken"].as_str().unwrap();
        let accepted = async |milliseconds: i64| {
            let now = school.clock.now() + TimeDelta::milliseconds(milliseconds);
            here.identity.tokens.bearer(token, now).await.is_ok()
        };
        assert!(accepted(4_999).await);
        assert!(!accepted(5_000).await);
    }

    async fn disabled_app_is_a_403_in_the_sign_in_family_and_a_401_elsewhere(kind: Kind) {
        let school = School::start(kind).await;
        let tokens = school.tokens(TEACHER).await;
        let token = tokens["accessToken"].as_str().unwrap();
        school.register(|registration| registration.app.enabled = false).await;
        let disabled = errors(403, "[E4030]", &["App Is Disabled"]);
        assert_eq!(school.get(SESSIONS).bearer(token).send().await.whole(), disabled);
        assert_eq!(end(&school, &tokens, "1").await.whole(), disabled);
        assert_eq!(status(&school, &tokens).await, 401);
        assert_not_refreshable(&school, &tokens).await;
        // The session stays ended when the app is enabled again.
        school.register(|registration| registration.app.enabled = true).await;
        school.clock.advance(TimeDelta::seconds(5));
        let invalid = school.get(SESSIONS).bearer(token).send().await;
        assert_eq!(invalid.whole(), errors(401, "[E4010]", &["Invalid or missing access token"]));
        let challenge = r#"Bearer realm="homeroom", error="invalid_token""#;
        assert_eq!(invalid.header("www-authenticate"), Some(challenge));
        let missing = school.get(SESSIONS).send().await;
        assert_eq!(missing.whole(), errors(401, "[E4010]", &["Invalid or missing access token"]));
        assert_eq!(missing.header("www-authenticate"), Some(r#"Bearer realm="homeroom""#));
    }

    async fn end_of_user_ends_all_sessions_but_one_and_makes_codes_useless(kind: Kind) {
        let school = School::start(kind).await;
        let kept_code = school.code(TEACHER).await;
        let kept = school.request_tokens(&kept_code, json!({})).await.json()["items"][0].take();
        let (lost, others) = (school.tokens(TEACHER).await, school.tokens(COLLEAGUE).await);
        let code = school.code(TEACHER).await;
        let user = school.account(TEACHER).await.id;
        let sid = claims(&kept["accessToken"])["sid"].as_str().unwrap().parse().unwrap();
        let count = session::Entity::end_of_user(school.db.writer(), user, Some(sid)).await.unwrap();
        assert_eq!(count, 1);
        school.server.identity.sessions.forget_user(user);
        assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        assert_not_refreshable(&school, &lost).await;
        refreshed(&school, &kept).await;
        refreshed(&school, &others).await;
        // The reuse of the code behind the kept session is still detected.
        assert_eq!(authorization_code::Entity::find().count(school.db.read()).await.unwrap(), 2);
        assert_eq!(school.request_tokens(&kept_code, json!({})).await.status, 400);
        assert_ended(&school, &kept).await;
        let count = session::Entity::end_of_user(school.db.writer(), user, None).await.unwrap();
        assert_eq!((count, count_sessions(&school).await), (0, 1));
    }

    async fn refresh_of_a_native_app_keeps_its_redirect_uri(kind: Kind) {
        let school = School::start(kind).await;
        school
            .register(|registration| registration.redirect_uris = vec![redirect_uri("http://127.0.0.1/cb")])
            .await;
        let requested = json!({ "redirectUri": "http://127.0.0.1:49152/cb" });
        let url = school.request_code(requested).await.json()["items"][0]["nextAction"]["url"].clone();
        let code = crate::support::code_in(&url.as_str().unwrap().parse().unwrap());
        let exchange = json!({ "redirect_uri": "http://127.0.0.1:49152/cb" });
        let tokens = school.request_tokens(&code, exchange).await.json()["items"][0].take();
        assert_eq!(refreshed(&school, &tokens).await["redirectUri"], "http://127.0.0.1:49152/cb");
    }
}
