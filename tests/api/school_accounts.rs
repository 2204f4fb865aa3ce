//! School accounts: an address without a mailbox, and an account that its user cannot remove.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use homeroom::{
    clock::Clock,
    domain::{email::Email, rate_limit_key::RateLimitKey},
    entity::{
        audit_event::{Action, Outcome},
        rate_limit, session,
        user::{self, PasswordState},
    },
    identity::accounts::{Accounts, Change},
    random::OsRandom,
};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use crate::support::{
    COLLEAGUE, PASSWORD, STUDENT, STUDENT_DOMAIN, School, TEACHER, both,
    process::Site,
    signing_in::{errors, refused},
};

const ME: &str = "/api/v1/users/me";

/// Makes the student's account one of the school, and returns its user name.
async fn with_school_account(school: &School) -> String {
    let user_name = format!("linh.nguyen@{STUDENT_DOMAIN}");
    let address = Email::parse(&user_name).unwrap();
    school
        .change_account(STUDENT, |account| {
            account.email = address;
            account.school_account = true;
        })
        .await;
    user_name
}

/// The events about a user in the audit trail, oldest first.
async fn events_of(school: &School, user: &user::Model) -> Vec<(Action, Outcome, Option<String>)> {
    let events = school.events().await.into_iter().filter(|event| event.user_id == Some(user.id));
    events.map(|event| (event.action, event.outcome, event.reason)).collect()
}

both! {
    async fn reset_request_for_a_school_account_sends_no_mail_and_gets_the_same_answer(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let user_name = with_school_account(&school).await;
        let ordinary = school.request_reset(TEACHER).await;
        assert_eq!((ordinary.status, school.take_mails().await.len()), (200, 1));
        for _ in 0..7 {
            assert_eq!(school.request_reset(&user_name).await, ordinary);
        }
        assert!(school.take_mails().await.is_empty());
        let account = school.account(&user_name).await;
        let recorded = events_of(&school, &account).await;
        let failed = (Action::ResetRequest, Outcome::Failure, Some("school_account".to_owned()));
        assert_eq!(recorded.iter().filter(|event| **event == failed).count(), 7, "{recorded:?}");
        // The same writes as for other addresses: the mails are counted, and no more than five.
        let key = RateLimitKey::pretended_mails_to(&account.email);
        assert_eq!(rate_limit::Entity::find_by_keys(school.db.read(), [key]).await.unwrap().len(), 1);
        let resets = homeroom::entity::password_reset::Entity::of_user(school.db.read(), account.id).await;
        assert!(resets.unwrap().is_empty());
    }

    async fn registration_of_a_user_name_is_refused(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        school.open_registration().await;
        let user_name = with_school_account(&school).await;
        let message = "email has a mail domain that may not register in the app";
        // With and without an account: a fact about the server.
        for email in [user_name.as_str(), "nobody@students.example", "nobody@STUDENTS.example"] {
            assert_eq!(school.request_user(json!({ "email": email })).await.whole(), refused(message), "{email}");
        }
        assert_eq!(school.request_user(json!({ "email": "nobody@sub.students.example" })).await.status, 201);
        assert_eq!(school.take_mails().await.len(), 1);
    }

    async fn registration_of_a_school_account_outside_the_student_domain_sends_no_mail(kind: Kind) {
        let mut school = School::start_without_limits(kind).await;
        school.open_registration().await;
        let user_name = with_school_account(&school).await;
        // The operator has changed the domain since.
        school.restart(|parts| parts.identity.student_domain = None);
        let known = school.request_user(json!({ "email": user_name })).await;
        assert_eq!((known.status, school.take_mails().await.len()), (201, 0));
        assert_eq!(school.request_user(json!({ "email": TEACHER })).await.status, 201);
        assert_eq!(school.take_mails().await.len(), 1);
    }

    async fn address_of_a_school_account_is_never_confirmed(kind: Kind) {
        let school = School::start(kind).await;
        let user_name = with_school_account(&school).await;
        let code = school.code(&user_name).await;
        let answer = school.request_tokens(&code, json!({ "scope": "openid email" })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let tokens = answer.json()["items"][0].take();
        let claims = tokens["idToken"].as_str().unwrap().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!((&claims["email"], &claims["email_verified"]), (&json!(user_name), &json!(false)));
        let me = school.get(ME).bearer(tokens["accessToken"].as_str().unwrap()).send().await.json();
        assert_eq!((&me["items"][0]["email"], &me["items"][0]["emailVerified"]), (&json!(user_name), &json!(false)));
    }

    async fn delete_current_user_of_a_school_account_is_403(kind: Kind) {
        let school = School::start(kind).await;
        let user_name = with_school_account(&school).await;
        let token = school.token(&user_name).await;
        let account = school.account(&user_name).await;
        let answer = school.call("DELETE", ME).bearer(&token).send().await;
        assert_eq!(answer.whole(), errors(403, "[E4030]", &["Account Belongs To The School"]));
        assert_eq!(school.account(&user_name).await, account);
        assert_eq!(school.get(ME).bearer(&token).send().await.status, 200);
        assert!(school.take_mails().await.is_empty());
        assert!(events_of(&school, &account).await.iter().all(|(action, ..)| *action != Action::AccountDelete));
    }

    async fn school_account_with_a_new_address_is_an_ordinary_one(kind: Kind) {
        let school = School::start(kind).await;
        let user_name = with_school_account(&school).await;
        let accounts = Accounts::new(school.db.clone());
        let (now, account) = (school.clock.now(), school.account(&user_name).await);
        school.token(&user_name).await;
        let name = Change::FirstName(None);
        accounts.change(&account, vec![name], now, &OsRandom).await.unwrap();
        assert!(school.account(&user_name).await.school_account);
        let address = Change::Email(Email::parse("linh@example.com").unwrap());
        accounts.change(&account, vec![address], now, &OsRandom).await.unwrap();
        assert_eq!(session::Entity::find().count(school.db.read()).await.unwrap(), 0);

        let token = school.token("linh@example.com").await;
        let me = school.get(ME).bearer(&token).send().await.json();
        assert_eq!(me["items"][0]["emailVerified"], true);
        assert_eq!(school.request_reset("linh@example.com").await.status, 200);
        school.take_mail("linh@example.com", "reset").await;
        assert_eq!(school.call("DELETE", ME).bearer(&token).send().await.status, 200);
    }

    async fn commands_print_school_accounts_and_the_state_of_their_passwords(kind: Kind) {
        let site = Site::new(kind).await;
        for email in [TEACHER, COLLEAGUE, STUDENT] {
            site.add_user(email, PASSWORD).await.success();
        }
        site.run(&["class", "add", "--owner", TEACHER, "--name", "A"]).await.success();
        let db = homeroom::db::Db::connect_with(&site.location, 1).await.unwrap();
        for (email, state) in [(STUDENT, PasswordState::Initial), (COLLEAGUE, PasswordState::None)] {
            let id = user::Entity::find_by_address(db.read(), Email::parse(email).unwrap()).await.unwrap().unwrap().id;
            let row = user::ActiveModel {
                school_account: sea_orm::ActiveValue::Set(true),
                password_state: sea_orm::ActiveValue::Set(state),
                ..Default::default()
            };
            assert!(user::Entity::change(db.writer(), id, row).await.unwrap());
        }
        db.close().await.unwrap();

        let all = site.run(&["user", "list"]).await.success();
        assert_eq!((all.lines().count(), all.matches("school account").count()), (3, 2), "{all}");
        let listed = site.run(&["user", "list", "--school"]).await.success();
        assert_eq!(listed.lines().count(), 2, "{listed}");
        for end in [
            format!("\t{COLLEAGUE}\tactive\tschool account, no password\n"),
            format!("\t{STUDENT}\tactive\tschool account, initial password\n"),
        ] {
            assert!(listed.contains(&end), "{end:?}: {listed}");
        }
        let json = site.run(&["user", "list", "--school", "--json"]).await.success();
        let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let states: Vec<_> = rows.iter().map(|row| (&row["schoolAccount"], &row["passwordState"], &row["emailVerifiedAt"])).collect();
        assert_eq!(states, [(&json!(true), &json!("none"), &Value::Null), (&json!(true), &json!("initial"), &Value::Null)]);

        let shown = site.run(&["user", "show", "--email", STUDENT]).await.success();
        assert!(shown.contains("\tpassword\tinitial password\n") && !shown.contains("address confirmed"), "{shown}");
        let shown = site.run(&["user", "show", "--email", TEACHER]).await.success();
        assert!(shown.contains("\tpassword\town password\n") && shown.contains("\taddress confirmed\t"), "{shown}");
        assert!(!shown.contains("school account"), "{shown}");

        // A student cannot own classes.
        let remove = ["user", "remove", "--email", TEACHER, "--hand-over-to", STUDENT];
        let refusal = site.run(&remove).await.refusal();
        assert!(refusal.contains("--hand-over-to is the account of a student"), "{refusal}");
        site.run(&["user", "set", "--email", STUDENT, "--new-email", "linh@example.com"]).await.success();
        assert_eq!(site.run(&["user", "list", "--school"]).await.success().lines().count(), 1);
    }
}
