//! What an operator does with accounts, sessions and apps, and what it means for a running server.

mod accounts;
mod apps;
mod classes;
mod removal;
mod sessions;

use homeroom::{
    clock::{Clock, SystemClock},
    db::Db,
    domain::{
        email::Email,
        id::{MailId, SessionId, UserId},
        label::Label,
        language::Language,
        network::Network,
        person::PhoneNumber,
        rate_limit_key::RateLimitKey,
        scope::Scope,
        secret_token::{AuthorizationCode, ConfirmHash, RefreshToken},
        state::State,
        user_agent::UserAgent,
    },
    entity::{
        audit_event, authorization_code, class, enrollment, outgoing_mail, password_reset, policy_acceptance,
        rate_limit, refresh_token, registration, session, user,
    },
    identity::{
        accounts::{Accounts, Change, Removal},
        apps::{Apps, RegisterError},
        session_administration,
    },
    random::OsRandom,
    rate_limit::{
        limiter::{Action, Limiter},
        lockouts::{LockedAddresses, Lockouts},
        policies::PasswordLimits,
    },
};
use sea_orm::{ActiveEnum, EntityTrait, IntoActiveModel, PaginatorTrait};
use serde_json::{Value, json};

use crate::support::{
    APP, COLLEAGUE, OWN_CLASS, PASSWORD, STUDENT, School, TEACHER, both,
    process::Site,
    signing_in::{OTHER_APP, redirect_uri},
};

/// The database of a site, read by a connection of its own.
async fn database(site: &Site) -> Db {
    Db::connect_with(&site.location, 1).await.unwrap()
}

/// The actions and reasons of the events about a user, without those of sign-ins and sessions that begin.
async fn events(db: &Db, user: UserId) -> Vec<(String, Option<String>)> {
    let events = audit_event::Entity::of_user(db.read(), user).await.unwrap();
    let shown = events.into_iter().filter(|event| event.actor == audit_event::Actor::Operator);
    shown.map(|event| (event.action.to_value(), event.reason)).collect()
}

/// The events, as they are written in a test.
fn expected(events: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    events.iter().map(|(action, reason)| ((*action).to_owned(), reason.map(str::to_owned))).collect()
}

async fn user_id(db: &Db, email: &str) -> UserId {
    Accounts::new(db.clone()).find(Email::parse(email).unwrap()).await.unwrap().unwrap().id
}

/// A session that begins now and lasts for an hour.
fn new_session(user: UserId, now: chrono::DateTime<chrono::Utc>) -> session::Model {
    session::Model {
        id: SessionId::new(now, &OsRandom),
        user_id: user,
        app_id: APP,
        redirect_uri: redirect_uri("https://app.example.com/callback"),
        scope: Scope::grant("openid"),
        address: Some("192.0.2.99".to_owned()),
        user_agent: UserAgent::from_header(b"Browser 1.0"),
        authenticated_at: now,
        created_at: now,
        last_used_at: now,
        idle_expires_at: now + chrono::TimeDelta::hours(1),
        expires_at: now + chrono::TimeDelta::hours(1),
    }
}

/// A code that is valid for a minute.
fn new_code(user: UserId) -> authorization_code::Model {
    let now = SystemClock.now();
    authorization_code::Model {
        digest: AuthorizationCode::generate(&OsRandom).digest(),
        app_id: APP,
        user_id: user,
        redirect_uri: redirect_uri("https://app.example.com/callback"),
        state: State::parse("state").unwrap(),
        code_challenge: None,
        issued_at: now,
        expires_at: now + chrono::TimeDelta::minutes(1),
        redeemed_at: None,
        session_id: None,
    }
}

/// Begins a session without a sign-in.
async fn begin(db: &Db, user: UserId) -> SessionId {
    let session = new_session(user, SystemClock.now());
    let id = session.id;
    session::Entity::begin(db.writer(), session).await.unwrap();
    id
}

async fn sessions(db: &Db) -> u64 {
    session::Entity::find().count(db.read()).await.unwrap()
}

/// The JSON objects of an output, one per line.
fn rows(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Stores one row of each kind about a user, with secrets that contain `marked`.
async fn store_everything(db: &Db, user: &user::Model, now: chrono::DateTime<chrono::Utc>) {
    let session = new_session(user.id, now);
    let token = refresh_token::Model {
        digest: RefreshToken::presented("marked").digest(),
        session_id: session.id,
        issued_at: now,
        rotated_at: None,
    };
    session::Entity::begin(db.writer(), session).await.unwrap();
    refresh_token::Entity::insert(token.into_active_model())
        .exec_without_returning(db.writer())
        .await
        .unwrap();
    let acceptance = policy_acceptance::Model {
        user_id: user.id,
        app_id: APP,
        policy_version: Label::parse("2026-05").unwrap(),
        accepted_at: now,
        address: "192.0.2.99".to_owned(),
    };
    policy_acceptance::Entity::record(db.writer(), acceptance).await.unwrap();
    let mail = outgoing_mail::Model {
        id: MailId::new(now, &OsRandom),
        recipient: user.email.clone(),
        kind: "reset".to_owned(),
        subject: "A new password".to_owned(),
        text_body: "marked".to_owned(),
        html_body: "marked".to_owned(),
        created_at: now,
        expires_at: now,
        next_attempt_at: now,
        attempts: 0,
        dead_at: None,
        last_error: None,
    };
    outgoing_mail::Entity::enqueue(db.writer(), mail).await.unwrap();
    let registration = registration::Model {
        digest: ConfirmHash::presented("marked").digest(),
        user_id: UserId::new(now, &OsRandom),
        app_id: APP,
        email: user.email.clone(),
        password_hash: "marked".to_owned().into(),
        phone_number: Some(PhoneNumber::parse("110").unwrap()),
        language: Language::German,
        accepted_policy_version: None,
        address: "192.0.2.99".to_owned(),
        created_at: now,
        expires_at: now,
    };
    registration::Entity::insert(registration.into_active_model())
        .exec_without_returning(db.writer())
        .await
        .unwrap();
    let reset = password_reset::Model {
        digest: ConfirmHash::presented("marked too").digest(),
        user_id: user.id,
        app_id: Some(APP),
        created_at: now,
        expires_at: now,
    };
    password_reset::Entity::insert(reset.into_active_model())
        .exec_without_returning(db.writer())
        .await
        .unwrap();
}

both! {
    async fn every_list_as_json_has_one_object_per_line(kind: Kind) {
        let site = Site::new(kind).await;
        let server = site.listen("demo").await;
        let db = database(&site).await;
        begin(&db, user_id(&db, STUDENT).await).await;
        for (command, count) in [("user", 3), ("app", 1), ("class", 2), ("session", 1), ("keys", 1)] {
            let listed = rows(&site.run(&[command, "list", "--json"]).await.success());
            assert_eq!(listed.len(), count, "{command}: {listed:?}");
            assert!(listed.iter().all(|row| row["id"].is_string()), "{command}: {listed:?}");
        }
        drop(server);
        db.close().await.unwrap();
    }
}
