//! Initial passwords: the sign-in itself replaces them.

use homeroom::{
    domain::label::Label,
    entity::{
        audit_event::{Action, Outcome},
        rate_limit,
        user::PasswordState,
    },
};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use crate::support::{
    Answer, COLLEAGUE, Kind, PASSWORD, STUDENT, School, TEACHER,
    accounts::{NEW_PASSWORD, OTHER_PASSWORD},
    both,
    signing_in::{CREDENTIALS, changed, refused},
};

const ME: &str = "/api/v1/users/me";
const REQUIRED: &str = "newPassword is required: this password must be changed at the first sign-in";
const UNEXPECTED: &str = "newPassword is only for passwords that must be changed";

/// A school whose student has a generated password.
async fn with_student(kind: Kind) -> School {
    let school = School::start(kind).await;
    make_initial(&school).await;
    school
}

/// The same, and students may keep their passwords.
async fn with_student_who_may_keep(kind: Kind) -> School {
    let mut school = School::start(kind).await;
    school.restart(|parts| parts.identity.keep_initial_passwords = true);
    make_initial(&school).await;
    school
}

async fn make_initial(school: &School) {
    school
        .change_account(STUDENT, |account| {
            account.school_account = true;
            account.password_state = PasswordState::Initial;
        })
        .await;
}

/// Signs in as the student with these changes of the request.
async fn sign_in(school: &School, changes: Value) -> Answer {
    school.request_code(changed(json!({ "email": STUDENT }), changes)).await
}

async fn state(school: &School) -> PasswordState {
    school.account(STUDENT).await.password_state
}

/// The actions and outcomes about the student in the audit trail, oldest first.
async fn events(school: &School) -> Vec<(Action, Outcome)> {
    let id = school.account(STUDENT).await.id;
    let events = school.events().await.into_iter().filter(|event| event.user_id == Some(id));
    events.map(|event| (event.action, event.outcome)).collect()
}

both! {
    async fn sign_in_with_initial_password_requires_a_new_one(kind: Kind) {
        let school = with_student(kind).await;
        let before = events(&school).await;
        // More often than a password may be wrong: the refusal is no failed sign-in.
        for _ in 0..12 {
            assert_eq!(sign_in(&school, json!({})).await.whole(), refused(REQUIRED));
        }
        assert_eq!(sign_in(&school, json!({ "newPassword": null })).await.whole(), refused(REQUIRED));
        assert_eq!(events(&school).await, before);
        let counted = rate_limit::Entity::find().all(school.db.read()).await.unwrap();
        assert!(counted.iter().all(|row| row.failed_at == 0), "{counted:?}");
        assert_eq!(state(&school).await, PasswordState::Initial);
        assert_eq!(school.account(STUDENT).await.password_version, 0);
    }

    async fn weak_or_repeated_new_password_is_refused(kind: Kind) {
        let school = with_student(kind).await;
        for (new, message) in [
            (PASSWORD, "newPassword must differ from password"),
            // NFKC maps the full-width letter to ASCII.
            ("ＶeryStrongPass123!", "newPassword must differ from password"),
            ("short", "newPassword must have at least 15 characters"),
            ("passwordpassword", "newPassword is one of the most common passwords, which attackers try first"),
            ("", "newPassword must have at least 1 characters"),
        ] {
            let answer = sign_in(&school, json!({ "newPassword": new })).await;
            assert_eq!(answer.whole(), refused(message), "{new}");
        }
        for new in ["student@example.com", "aaaaaaaaaaaaaaaaaaaa"] {
            let answer = sign_in(&school, json!({ "newPassword": new })).await;
            let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with("newPassword is easy to guess because "), "{new}: {message}");
        }
        assert_eq!(state(&school).await, PasswordState::Initial);
        assert_eq!(sign_in(&school, json!({})).await.whole(), refused(REQUIRED));
    }

    async fn first_sign_in_with_new_password_replaces_it_and_issues_a_code(kind: Kind) {
        let school = with_student(kind).await;
        let before = events(&school).await.len();
        let answer = sign_in(&school, json!({ "newPassword": NEW_PASSWORD })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert!(!answer.text.contains(NEW_PASSWORD), "{}", answer.text);
        let account = school.account(STUDENT).await;
        assert_eq!((account.password_state, account.password_version), (PasswordState::Own, 1));
        let done = [(Action::PasswordChange, Outcome::Success), (Action::SignIn, Outcome::Success)];
        let recorded = events(&school).await;
        assert!(recorded[before..].len() == 2 && done.iter().all(|event| recorded[before..].contains(event)), "{recorded:?}");
        assert!(school.take_mails().await.is_empty());

        // The code of the same response becomes a session.
        let url = answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap().to_owned();
        let code = crate::support::code_in(&url.parse().unwrap());
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 201);
        assert_eq!(sign_in(&school, json!({})).await.whole(), refused(CREDENTIALS));
        assert_eq!(sign_in(&school, json!({ "password": NEW_PASSWORD })).await.status, 201);
    }

    async fn initial_password_that_may_be_kept_signs_in(kind: Kind) {
        let school = with_student_who_may_keep(kind).await;
        let session = school.token(STUDENT).await;
        assert_eq!(state(&school).await, PasswordState::Initial);
        let code = school.code(STUDENT).await;

        // A voluntary change is checked in the same way, and ends what the old password began.
        let weak = sign_in(&school, json!({ "newPassword": "short" })).await;
        assert_eq!(weak.whole(), refused("newPassword must have at least 15 characters"));
        assert_eq!(school.get(ME).bearer(&session).send().await.status, 200);
        assert_eq!(sign_in(&school, json!({ "newPassword": NEW_PASSWORD })).await.status, 201);
        assert_eq!(state(&school).await, PasswordState::Own);
        assert_eq!(school.get(ME).bearer(&session).send().await.status, 401);
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 400);
        assert_eq!(sign_in(&school, json!({})).await.whole(), refused(CREDENTIALS));
        assert_eq!(sign_in(&school, json!({ "password": NEW_PASSWORD })).await.status, 201);
    }

    async fn new_password_for_an_own_password_is_refused(kind: Kind) {
        for keep in [false, true] {
            let mut school = School::start(kind).await;
            school.restart(|parts| parts.identity.keep_initial_passwords = keep);
            for new in [NEW_PASSWORD, PASSWORD, "short"] {
                let answer = sign_in(&school, json!({ "newPassword": new })).await;
                assert_eq!(answer.whole(), refused(UNEXPECTED), "{keep} {new}");
            }
            assert_eq!(school.account(STUDENT).await.password_version, 0);
            assert_eq!(sign_in(&school, json!({})).await.status, 201);
        }
    }

    async fn new_password_with_refused_credentials_changes_neither_response_nor_account(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        make_initial(&school).await;
        school.change_account(COLLEAGUE, |account| {
            account.password_state = PasswordState::Initial;
            account.enabled = false;
        }).await;
        school.change_account(TEACHER, |account| {
            account.password_state = PasswordState::Initial;
            account.email_verified_at = None;
        }).await;
        let wrong = sign_in(&school, json!({ "password": "VeryStrongPass123?" })).await;
        assert_eq!(wrong.whole(), refused(CREDENTIALS));
        for (email, password) in [
            (STUDENT, "VeryStrongPass123?"), ("nobody@example.com", PASSWORD), (COLLEAGUE, PASSWORD), (TEACHER, PASSWORD),
        ] {
            for new in [json!(null), json!(NEW_PASSWORD), json!("short"), json!(password)] {
                let changes = json!({ "email": email, "password": password, "newPassword": new });
                // Status, headers and body are equal.
                assert_eq!(school.request_code(changes).await, wrong, "{email} {new}");
            }
        }
        for email in [STUDENT, COLLEAGUE, TEACHER] {
            let account = school.account(email).await;
            assert_eq!((account.password_state, account.password_version), (PasswordState::Initial, 0), "{email}");
        }
    }

    async fn concurrent_first_sign_ins_of_one_account_one_succeeds(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        make_initial(&school).await;
        let passwords: Vec<_> = (0..8).map(|number| format!("{number} {NEW_PASSWORD}")).collect();
        let all = passwords.iter().map(|new| sign_in(&school, json!({ "newPassword": new })));
        let answers = futures_util::future::join_all(all).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().zip(&passwords).partition(|(answer, _)| answer.status == 201);
        assert_eq!(won.len(), 1, "{answers:?}");
        for (answer, password) in lost {
            assert_eq!(answer.whole(), refused(CREDENTIALS));
            assert_eq!(sign_in(&school, json!({ "password": password })).await.whole(), refused(CREDENTIALS));
        }
        assert_eq!(sign_in(&school, json!({ "password": won[0].1 })).await.status, 201);
        let account = school.account(STUDENT).await;
        assert_eq!((account.password_state, account.password_version), (PasswordState::Own, 1));
        let changes = events(&school).await.into_iter().filter(|(action, _)| *action == Action::PasswordChange);
        assert_eq!(changes.count(), 1);
    }

    async fn first_sign_in_without_demanded_consent_keeps_the_password(kind: Kind) {
        let school = with_student(kind).await;
        school
            .register(|registration| {
                registration.app.policy_version = Label::parse("1").ok();
                registration.app.policy_demanded = true;
            })
            .await;
        let new = json!({ "newPassword": NEW_PASSWORD });
        let demanded = "acceptPrivacyPolicy must be true: the app demands its current privacy policy";
        assert_eq!(sign_in(&school, new.clone()).await.whole(), refused(demanded));
        assert_eq!(state(&school).await, PasswordState::Initial);
        let accepted = json!({ "acceptPrivacyPolicy": true });
        assert_eq!(sign_in(&school, accepted.clone()).await.whole(), refused(REQUIRED));
        assert_eq!(sign_in(&school, changed(accepted, new)).await.status, 201);
        // The acceptance was stored with the code, so that the next sign-in needs none.
        assert_eq!(sign_in(&school, json!({ "password": NEW_PASSWORD })).await.status, 201);
    }

    async fn changed_password_is_the_users_own(kind: Kind) {
        let mut school = with_student_who_may_keep(kind).await;
        let token = school.token(STUDENT).await;
        let body = json!({
            "currentPassword": PASSWORD, "password": NEW_PASSWORD, "passwordConfirmation": NEW_PASSWORD,
        });
        let answer = school.call("PUT", "/api/v1/users/me/password").bearer(&token).json(&body).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(state(&school).await, PasswordState::Own);
        assert!(school.take_mails().await.is_empty(), "a school account has no mailbox");

        // A link of the operator does the same.
        school.change_account(STUDENT, |account| account.password_state = PasswordState::Initial).await;
        school.restart(|parts| parts.identity.keep_initial_passwords = false);
        let account = school.account(STUDENT).await;
        let accounts = homeroom::identity::accounts::Accounts::new(school.db.clone());
        let now = homeroom::clock::Clock::now(&*school.clock);
        let link = accounts.reset_link(&account, now, &homeroom::random::OsRandom).await.unwrap();
        let reset = json!({ "password": OTHER_PASSWORD, "passwordConfirmation": OTHER_PASSWORD });
        assert_eq!(school.reset_password(link.expose(), reset).await.status, 200);
        assert_eq!(state(&school).await, PasswordState::Own);
        assert!(school.take_mails().await.is_empty());
        assert_eq!(sign_in(&school, json!({ "password": OTHER_PASSWORD })).await.status, 201);
    }

    async fn initial_password_of_an_account_with_mailbox_is_replaced_with_a_notice(kind: Kind) {
        let school = with_student(kind).await;
        school.change_account(STUDENT, |account| account.school_account = false).await;
        assert_eq!(sign_in(&school, json!({})).await.whole(), refused(REQUIRED));
        assert_eq!(sign_in(&school, json!({ "newPassword": NEW_PASSWORD })).await.status, 201);
        school.take_mail(STUDENT, "password-changed").await;
    }

    async fn account_without_password_signs_nobody_in(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let cost = homeroom::identity::password_hashing::Cost::DEFAULT;
        let unusable =
            homeroom::identity::password_hashing::unusable(cost, &homeroom::random::OsRandom).unwrap();
        school.change_account(STUDENT, |account| {
            account.school_account = true;
            account.password_state = PasswordState::None;
            account.password_hash = unusable;
        }).await;
        for new in [json!(null), json!(NEW_PASSWORD)] {
            let answer = sign_in(&school, json!({ "newPassword": new })).await;
            assert_eq!(answer.whole(), refused(CREDENTIALS));
        }
        assert_eq!(school.account(STUDENT).await.password_version, 0);
        assert_eq!(rate_limit::Entity::find().count(school.db.read()).await.unwrap(), 0);
    }
}
