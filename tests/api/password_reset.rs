//! Password resets: the link in a mail sets a new password.

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    domain::secret_token::ConfirmHash,
    entity::{
        audit_event::{Action, Outcome},
        password_reset, session,
    },
    jobs::sweep,
    random::OsRandom,
    rate_limit::policies::AccountLimits,
};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use crate::support::{
    APP, Answer, PASSWORD, School, TEACHER,
    accounts::{LINK_REFUSED, NEW_PASSWORD, OTHER_PASSWORD, reset_body, secret_in},
    both,
    signing_in::{CREDENTIALS, OTHER_APP, errors, faulty, refused},
};

const UNKNOWN: &str = "nobody@example.com";

/// Tries to sign in to the teacher's account.
async fn sign_in(school: &School, password: &str) -> Answer {
    school.request_code(json!({ "password": password })).await
}

/// Asserts the response that every successful request gets.
#[track_caller]
fn assert_done(answer: &Answer) {
    let expected = json!({ "kind": "users", "totalItems": 0, "itemsLength": 0, "items": [] });
    assert_eq!(answer.whole(), (200, expected));
}

async fn resets(school: &School) -> u64 {
    password_reset::Entity::find().count(school.db.read()).await.unwrap()
}

both! {
    async fn link_sets_a_new_password_once_and_ends_every_session(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let code = school.code(TEACHER).await;
        let secret = school.reset_link(TEACHER).await;
        assert_done(&school.reset_password(&secret, json!({})).await);
        assert_eq!(sign_in(&school, PASSWORD).await.whole(), refused(CREDENTIALS));
        assert_eq!(sign_in(&school, NEW_PASSWORD).await.status, 201);
        school.take_mail(TEACHER, "password-changed").await;

        // What the old password began has ended.
        let teacher = school.account(TEACHER).await;
        assert_eq!(session::Entity::find().count(school.db.read()).await.unwrap(), 0);
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 400);
        assert_eq!(school.get("/api/v1/users/me").bearer(&token).send().await.status, 401);

        let again = json!({ "password": OTHER_PASSWORD, "passwordConfirmation": OTHER_PASSWORD });
        assert_eq!(school.reset_password(&secret, again).await.whole(), refused(LINK_REFUSED));
        assert_eq!(sign_in(&school, NEW_PASSWORD).await.status, 201);
        let events = school.events().await;
        for action in [Action::ResetRequest, Action::PasswordReset] {
            let event = events.iter().find(|event| event.action == action).unwrap();
            assert_eq!((event.outcome, event.user_id, event.app_id), (Outcome::Success, Some(teacher.id), Some(APP)));
        }
    }

    async fn request_for_any_address_gets_the_same_answer_and_an_enabled_account_gets_a_mail(kind: Kind) {
        let school = School::start(kind).await;
        school.add_account("disabled@example.com").await;
        school.change_account("disabled@example.com", |account| account.enabled = false).await;
        let known = school.request_reset(TEACHER).await;
        assert_done(&known);
        school.take_mail(TEACHER, "reset").await;
        for address in [UNKNOWN, "disabled@example.com"] {
            assert_eq!(school.request_reset(address).await, known, "{address}");
        }
        assert!(school.take_mails().await.is_empty());
        let events = school.events().await;
        let reasons: Vec<_> =
            events.iter().filter(|event| event.action == Action::ResetRequest).map(|event| event.reason.as_deref()).collect();
        assert_eq!(reasons.len(), 3);
        for reason in [None, Some("account_unknown"), Some("account_disabled")] {
            assert!(reasons.contains(&reason), "{reasons:?}");
        }
    }

    async fn link_that_is_unknown_expired_or_of_another_app_address_or_disabled_account_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        let secret = school.reset_link(TEACHER).await;
        for (changes, what) in [
            (json!({ "confirmHash": "a" }), "unknown"),
            (json!({ "appUuid": OTHER_APP }), "of another app"),
            (json!({ "email": UNKNOWN }), "of another address"),
        ] {
            assert_eq!(school.reset_password(&secret, changes).await.whole(), refused(LINK_REFUSED), "{what}");
        }
        school.change_account(TEACHER, |account| account.enabled = false).await;
        assert_eq!(school.reset_password(&secret, json!({})).await.whole(), refused(LINK_REFUSED));
        school.change_account(TEACHER, |account| account.enabled = true).await;
        school.clock.advance(TimeDelta::minutes(30) - TimeDelta::milliseconds(1));
        assert_done(&school.reset_password(&secret, json!({ "email": "USER@example.com" })).await);
        school.take_mail(TEACHER, "password-changed").await;

        let late = school.reset_link(TEACHER).await;
        school.clock.advance(TimeDelta::minutes(30));
        assert_eq!(school.reset_password(&late, json!({})).await.whole(), refused(LINK_REFUSED));
        assert_eq!(resets(&school).await, 1);
        sweep::delete_expired(&school.db, school.clock.now() + TimeDelta::hours(1)).await.unwrap();
        assert_eq!(resets(&school).await, 0);
    }

    async fn reset_invalidates_all_other_links_of_the_account(kind: Kind) {
        let school = School::start(kind).await;
        let [first, second] = [school.reset_link(TEACHER).await, school.reset_link(TEACHER).await];
        assert_done(&school.reset_password(&second, json!({})).await);
        assert_eq!(school.reset_password(&first, json!({})).await.whole(), refused(LINK_REFUSED));
    }

    async fn reset_confirms_the_address_and_forgets_failed_sign_ins(kind: Kind) {
        let school = School::start(kind).await;
        school.change_account(TEACHER, |account| account.email_verified_at = None).await;
        for _ in 0..5 {
            assert_eq!(sign_in(&school, "wrong").await.status, 400);
        }
        assert_eq!(sign_in(&school, PASSWORD).await.status, 429);
        let secret = school.reset_link(TEACHER).await;
        assert_done(&school.reset_password(&secret, json!({})).await);
        assert_eq!(sign_in(&school, NEW_PASSWORD).await.status, 201);
        assert_eq!(school.account(TEACHER).await.email_verified_at, Some(school.clock.now()));
    }

    async fn link_of_an_operator_is_used_in_every_app(kind: Kind) {
        let school = School::start(kind).await;
        let (hash, now) = (ConfirmHash::generate(&OsRandom), school.clock.now());
        let reset = password_reset::Model {
            digest: hash.digest(),
            user_id: school.account(TEACHER).await.id,
            app_id: None,
            created_at: now,
            expires_at: now + TimeDelta::minutes(30),
        };
        password_reset::Entity::store(school.db.writer(), reset).await.unwrap();
        assert_done(&school.reset_password(hash.expose(), json!({})).await);
    }

    async fn request_with_missing_or_invalid_properties_reports_each_of_them(kind: Kind) {
        let school = School::start(kind).await;
        let send = async |query: &str, body: Value| {
            school.call("PUT", &format!("/api/v1/users{query}")).json(&body).send().await
        };
        let answer = send("?language=en", json!({})).await;
        assert_eq!(answer.whole(), refused("email is required to ask for a link"));
        let rule = "is required to set a new password";
        for (body, missing) in [
            (json!({ "password": NEW_PASSWORD }), vec!["confirmHash", "passwordConfirmation"]),
            (json!({ "confirmHash": "a", "email": TEACHER }), vec!["password", "passwordConfirmation"]),
            (json!({ "passwordConfirmation": "a", "password": null }), vec!["confirmHash", "password"]),
        ] {
            let messages: Vec<String> = missing.iter().map(|name| format!("{name} {rule}")).collect();
            let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
            assert_eq!(send("?language=en", body).await.whole(), errors(400, "[E4000]", &messages));
        }
        let wrong = json!({ "appUuid": 1, "email": "a", "confirmHash": "\n", "password": 1, "passwordConfirmation": "" });
        let answer = send("?language=en", wrong).await;
        assert_eq!(faulty(&answer), ["appUuid", "email", "confirmHash", "password", "passwordConfirmation"]);
        let answer = send("", json!({ "appUuid": APP, "email": TEACHER })).await;
        assert_eq!(answer.whole(), refused("language is missing or is not valid"));

        let secret = school.reset_link(TEACHER).await;
        let short = json!({ "password": "short", "passwordConfirmation": "short" });
        assert_eq!(faulty(&school.reset_password(&secret, short).await), ["password"]);
        let differ = school.reset_password(&secret, json!({ "passwordConfirmation": OTHER_PASSWORD })).await;
        assert_eq!(differ.whole(), refused("passwordConfirmation must be equal to password"));
        // Neither used the link.
        assert_done(&school.reset_password(&secret, json!({})).await);
    }

    async fn requests_of_a_network_beyond_the_limit_get_429(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.identity.account_limits = AccountLimits { registrations: 0, resets: 2 });
        // Addresses without an account count too.
        for (email, status) in [(UNKNOWN, 200), (TEACHER, 200), (TEACHER, 429), (UNKNOWN, 429)] {
            assert_eq!(school.request_reset(email).await.status, status, "{email}");
        }
        assert_eq!(school.request_reset(TEACHER).await.header("retry-after"), Some("1800"));
        // The link that was sent is valid.
        let secret = secret_in(&school.take_mail(TEACHER, "reset").await);
        let reset = school.call("PUT", "/api/v1/users?language=en").json(&reset_body(&secret));
        assert_done(&reset.send().await);
    }

    async fn address_gets_at_most_five_links_in_an_hour(kind: Kind) {
        let school = School::start(kind).await;
        for email in [UNKNOWN, TEACHER] {
            for _ in 0..7 {
                assert_eq!(school.request_reset(email).await.status, 200, "{email}");
            }
        }
        assert_eq!((school.take_mails().await.len(), resets(&school).await), (5, 5));
        school.clock.advance(TimeDelta::hours(1));
        school.reset_link(TEACHER).await;
    }
}
