//! The account of a signed-in user: read, changed and deleted by its owner.

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    entity::{
        audit_event::{Action, Actor, Outcome},
        class, enrollment, outgoing_mail, session, user,
    },
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};

use crate::support::{
    Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, PASSWORD, STUDENT, School, TEACHER,
    accounts::{LINK_REFUSED, NEW_PASSWORD, OTHER_PASSWORD},
    assert_failure, both,
    signing_in::{CREDENTIALS, changed, faulty, refused},
};

const ME: &str = "/api/v1/users/me";
const PROFILE: &str = "/user/me";
const CHANGE: &str = "/api/v1/users/me/password";

fn change_body() -> Value {
    json!({ "currentPassword": PASSWORD, "password": NEW_PASSWORD, "passwordConfirmation": NEW_PASSWORD })
}

/// Tries to change a password with these changes of the request.
async fn change_password(school: &School, token: &str, changes: Value) -> Answer {
    school.call("PUT", CHANGE).bearer(token).json(&changed(change_body(), changes)).send().await
}

async fn patch(school: &School, token: &str, body: Value) -> Answer {
    school.call("PATCH", PROFILE).bearer(token).json(&body).send().await
}

async fn sign_in(school: &School, password: &str) -> Answer {
    school.request_code(json!({ "password": password })).await
}

both! {
    async fn get_current_user_returns_the_account_of_the_token(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let teacher = school.account(TEACHER).await;
        let answer = school.get(ME).bearer(&token).send().await;
        let user = json!({
            "uuid": teacher.id.to_string(),
            "email": TEACHER,
            "emailVerified": true,
            "createdAt": "2026-05-04T09:42:00.250Z",
            "firstName": null,
            "lastName": null,
            "phoneNumber": null,
            "language": "en",
        });
        assert_eq!(answer.whole(), (200, json!({ "kind": "users", "totalItems": 1, "itemsLength": 1, "items": [user] })));
        for (method, path) in [("GET", ME), ("DELETE", ME), ("PUT", CHANGE), ("GET", PROFILE), ("PATCH", PROFILE)] {
            let answer = school.call(method, path).json(&change_body()).send().await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_failure(path, &answer);
        }
        // The classroom family answers below `/api` too.
        assert_eq!(school.get("/api/user/me").bearer(&token).send().await.status, 200);
    }

    async fn delete_current_user_removes_all_personal_data(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        let code = school.generate_join_code(&teacher).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        let account = school.account(TEACHER).await;
        // A second session, and a link.
        let other = school.token(TEACHER).await;
        let secret = school.reset_link(TEACHER).await;

        let deleted = school.call("DELETE", ME).bearer(&teacher).send().await;
        assert_eq!(deleted.status, 200, "{}", deleted.text);
        assert_eq!(deleted.json()["items"][0]["uuid"], account.id.to_string());
        school.take_mail(TEACHER, "account-deleted").await;
        let db = school.db.read();
        assert!(user::Entity::find_by_id(account.id).one(db).await.unwrap().is_none());
        let sessions = session::Entity::find().filter(session::Column::UserId.eq(account.id));
        assert_eq!(sessions.count(db).await.unwrap(), 0);
        assert!(class::Entity::find_by_id(OWN_CLASS).one(db).await.unwrap().is_none());
        assert!(class::Entity::find_by_id(OTHER_CLASS).one(db).await.unwrap().is_some());
        assert_eq!(enrollment::Entity::find().count(db).await.unwrap(), 0);
        for token in [&teacher, &other] {
            for path in [ME, PROFILE] {
                assert_eq!(school.get(path).bearer(token).send().await.status, 401, "{path}");
            }
        }
        assert_eq!(sign_in(&school, PASSWORD).await.whole(), refused(CREDENTIALS));
        assert_eq!(school.reset_password(&secret, json!({})).await.whole(), refused(LINK_REFUSED));
        let events = school.events().await;
        let of_user: Vec<_> = events.iter().filter(|event| event.user_id == Some(account.id)).collect();
        assert!(of_user.iter().any(|event| event.action == Action::AccountDelete));
        assert!(of_user.iter().all(|event| event.address.is_none()), "{of_user:?}");
    }

    async fn deleted_address_can_register_again(kind: Kind) {
        let school = School::start(kind).await;
        school.open_registration().await;
        let token = school.token(STUDENT).await;
        let old = school.account(STUDENT).await.id;
        assert_eq!(school.call("DELETE", ME).bearer(&token).send().await.status, 200);
        school.take_mails().await;
        let secret = school.registration_link(json!({ "email": STUDENT })).await;
        assert_eq!(school.confirm_address(&secret).await.status, 200);
        assert_ne!(school.account(STUDENT).await.id, old);
        assert_eq!(school.get(ME).bearer(&token).send().await.status, 401);
    }

    async fn change_password_ends_every_session(kind: Kind) {
        let school = School::start(kind).await;
        let (token, other) = (school.token(TEACHER).await, school.token(TEACHER).await);
        let (code, secret) = (school.code(TEACHER).await, school.reset_link(TEACHER).await);
        let answer = change_password(&school, &token, json!({})).await;
        assert_eq!(answer.whole(), (200, json!({ "kind": "users", "totalItems": 0, "itemsLength": 0, "items": [] })));
        school.take_mail(TEACHER, "password-changed").await;
        assert_eq!(school.get(ME).bearer(&token).send().await.status, 401);
        assert_eq!(school.get(ME).bearer(&other).send().await.status, 401);
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 400);
        assert_eq!(school.reset_password(&secret, json!({})).await.whole(), refused(LINK_REFUSED));
        assert_eq!(sign_in(&school, PASSWORD).await.whole(), refused(CREDENTIALS));
        assert_eq!(sign_in(&school, NEW_PASSWORD).await.status, 201);
        let events = school.events().await;
        let event = events.iter().find(|event| event.action == Action::PasswordChange).unwrap();
        assert_eq!((event.outcome, event.session_id.is_some()), (Outcome::Success, true));
    }

    async fn change_password_with_a_wrong_current_password_counts_as_a_failed_sign_in(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        for _ in 0..5 {
            let answer = change_password(&school, &token, json!({ "currentPassword": "wrong" })).await;
            assert_eq!(answer.whole(), refused("currentPassword is wrong"));
        }
        let refused = change_password(&school, &token, json!({})).await;
        assert_eq!((refused.status, assert_failure(CHANGE, &refused).as_str()), (429, "[E4290]"));
        assert_eq!(sign_in(&school, PASSWORD).await.status, 429);
        assert!(school.take_mails().await.is_empty());
        let events = school.events().await;
        let failed = events.iter().filter(|event| event.action == Action::PasswordChange);
        assert_eq!(failed.filter(|event| event.reason.as_deref() == Some("password_wrong")).count(), 5);
        school.clock.advance(TimeDelta::minutes(1));
        // The token of the teacher is valid for an hour.
        assert_eq!(change_password(&school, &token, json!({})).await.status, 200);
    }

    async fn change_password_with_invalid_properties_reports_each_of_them(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let answer = change_password(&school, &token, json!({ "currentPassword": "", "password": 1 })).await;
        assert_eq!(faulty(&answer), ["currentPassword", "password", "passwordConfirmation"]);
        let differ = change_password(&school, &token, json!({ "passwordConfirmation": OTHER_PASSWORD })).await;
        assert_eq!(differ.whole(), refused("passwordConfirmation must be equal to password"));
        let short = json!({ "password": "short", "passwordConfirmation": "short" });
        assert_eq!(faulty(&change_password(&school, &token, short).await), ["password"]);
        assert_eq!(sign_in(&school, PASSWORD).await.status, 201);
    }

    async fn patch_changes_the_given_properties_and_null_removes_them(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let id = school.account(TEACHER).await.id.to_string();
        let empty = json!({
            "id": id,
            "email": TEACHER,
            "avatarUrl": null,
            "createdAt": "2026-05-04T09:42:00Z",
            "updatedAt": "2026-05-04T09:42:00Z",
            "phoneNumber": null,
        });
        let read = async || {
            let answer = school.get(PROFILE).bearer(&token).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.json()["data"].clone()
        };
        assert_eq!(read().await, empty);
        school.clock.advance(TimeDelta::minutes(1));
        let all = json!({
            "firstName": "Linh",
            "lastName": "Nguyễn Thị",
            "dateOfBirth": "1990-02-28",
            "phoneNumber": "+84 24 1234567",
            "avatarUrl": "https://Example.com/a b.png",
        });
        let answer = patch(&school, &token, all).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut expected = json!({
            "id": id,
            "email": TEACHER,
            "firstName": "Linh",
            "lastName": "Nguyễn Thị",
            "dateOfBirth": "1990-02-28",
            "avatarUrl": "https://example.com/a%20b.png",
            "createdAt": "2026-05-04T09:42:00Z",
            "updatedAt": "2026-05-04T09:43:00Z",
            "phoneNumber": "+84 24 1234567",
        });
        assert_eq!((answer.json()["message"].as_str(), &answer.json()["data"]), (Some("Profile updated"), &expected));
        assert_eq!(read().await, expected);
        let user = school.get(ME).bearer(&token).send().await.json();
        assert_eq!(
            (&user["items"][0]["firstName"], &user["items"][0]["lastName"], &user["items"][0]["phoneNumber"]),
            (&json!("Linh"), &json!("Nguyễn Thị"), &json!("+84 24 1234567"))
        );

        assert_eq!(patch(&school, &token, json!({ "firstName": "Mai", "unknown": 1 })).await.status, 200);
        expected["firstName"] = json!("Mai");
        assert_eq!(read().await, expected);
        let nothing = json!({ "firstName": null, "lastName": null, "dateOfBirth": null, "phoneNumber": null, "avatarUrl": null });
        assert_eq!(patch(&school, &token, nothing).await.status, 200);
        let events = school.events().await;
        let events = events.iter().filter(|event| event.action == Action::AccountChange);
        let events: Vec<_> =
            events.map(|event| (event.reason.as_deref(), event.actor, event.session_id.is_some())).collect();
        assert_eq!(events.last(), Some(&(Some("profile"), Actor::User, true)), "{events:?}");
        let mut emptied = empty;
        emptied["updatedAt"] = json!("2026-05-04T09:43:00Z");
        assert_eq!(read().await, emptied);
        // Nobody else's profile changed.
        let other = school.token(COLLEAGUE).await;
        let other = school.get(PROFILE).bearer(&other).send().await.json();
        assert_eq!(other["data"]["updatedAt"], "2026-05-04T09:42:00Z");
    }

    async fn patch_without_a_change_keeps_the_time_of_the_last_change(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        school.clock.advance(TimeDelta::minutes(1));
        let answer = patch(&school, &token, json!({})).await;
        assert_eq!((answer.status, &answer.json()["data"]["updatedAt"]), (200, &json!("2026-05-04T09:42:00Z")));
    }

    async fn patch_with_invalid_values_reports_each_of_them_and_no_value(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let tomorrow = school.clock.now().date_naive() + TimeDelta::days(2);
        for (name, value) in [
            ("firstName", json!("")),
            ("firstName", json!("marked\n")),
            ("firstName", json!("\u{3000}\u{200B}")),
            ("firstName", json!("\u{85}marked")),
            ("lastName", json!("m".repeat(101))),
            ("lastName", json!(1)),
            ("dateOfBirth", json!("1899-12-31")),
            ("dateOfBirth", json!("2001-02-29")),
            ("dateOfBirth", json!("2001-2-9")),
            ("dateOfBirth", json!("+12001-02-09")),
            ("dateOfBirth", json!(tomorrow.to_string())),
            ("phoneNumber", json!("12")),
            ("phoneNumber", json!("marked 123")),
            ("phoneNumber", json!("1".repeat(33))),
            ("avatarUrl", json!("http://marked.example/")),
            ("avatarUrl", json!("javascript:alert(1)//https://marked")),
            ("avatarUrl", json!("https://marked:secret@a.example/")),
            ("avatarUrl", json!("https:///")),
        ] {
            let answer = patch(&school, &token, json!({ name: value })).await;
            let body = answer.json();
            assert_eq!((answer.status, body["errorCode"].as_str()), (400, Some("BAD_REQUEST")), "{name} {value}");
            let message = body["message"].as_str().unwrap();
            assert!(message.starts_with(name) && !message.contains("marked"), "{name} {value}: {message}");
        }
        let all = json!({
            "firstName": "", "lastName": "\n", "dateOfBirth": "x", "phoneNumber": "x", "avatarUrl": "x",
        });
        let message = patch(&school, &token, all).await.json()["message"].as_str().unwrap().to_owned();
        let names: Vec<&str> = message.split("; ").map(|violation| violation.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["firstName", "dateOfBirth", "phoneNumber", "avatarUrl", "lastName"]);
        assert_eq!(outgoing_mail::Entity::find().count(school.db.read()).await.unwrap(), 0);
    }
}
