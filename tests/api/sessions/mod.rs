//! Sessions: refresh, sign-out, the list of sessions, and what ends a session.

mod refresh;
mod sign_out;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    entity::{
        app,
        audit_event::{self, Action, Outcome},
        refresh_token, session,
    },
    jobs::sweep::{KEEP_SESSIONS, delete_expired},
};
use sea_orm::{EntityTrait, PaginatorTrait, QueryOrder, sea_query::Expr};
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

    async fn end_of_user_ends_all_sessions_and_makes_codes_useless(kind: Kind) {
        let school = School::start(kind).await;
        let (lost, others) = (school.tokens(TEACHER).await, school.tokens(COLLEAGUE).await);
        let code = school.code(TEACHER).await;
        let user = school.account(TEACHER).await.id;
        assert_eq!(session::Entity::end_of_user(school.db.writer(), user).await.unwrap(), 1);
        school.server.identity.sessions.forget_user(user);
        assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        assert_not_refreshable(&school, &lost).await;
        assert_ended(&school, &lost).await;
        refreshed(&school, &others).await;
        assert_eq!(session::Entity::end_of_user(school.db.writer(), user).await.unwrap(), 0);
        assert_eq!(count_sessions(&school).await, 1);
    }

    async fn session_that_the_end_of_its_app_missed_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let tokens = school.tokens(TEACHER).await;
        assert_eq!(status(&school, &tokens).await, 200);
        // The app alone is changed, as if the session began while the app was disabled.
        let disable = app::Entity::update_many().col_expr(app::Column::Enabled, Expr::value(false));
        disable.exec(school.db.writer()).await.unwrap();
        school.clock.advance(TimeDelta::seconds(5));
        assert_eq!(count_sessions(&school).await, 1);
        assert_eq!(status(&school, &tokens).await, 401);
        let access = tokens["accessToken"].as_str().unwrap();
        assert_eq!(school.get("/api/v1/users/me").bearer(access).send().await.status, 403);
    }
}
