//! Registration: an address becomes an account once its link is used.

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    domain::{
        account_page::AccountPage, label::Label, language::Language, mail_domain::MailDomain,
        person::PhoneNumber,
    },
    entity::{
        audit_event::{Action, Outcome},
        policy_acceptance, registration,
    },
    identity::apps::Apps,
    jobs::sweep,
    rate_limit::policies::AccountLimits,
};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use crate::support::{
    APP, Answer, Kind, PASSWORD, School, TEACHER,
    accounts::{LINK_REFUSED, NEW_PASSWORD, NEW_USER, OTHER_PASSWORD, registration_body, secret_in},
    both,
    signing_in::{CREDENTIALS, OTHER_APP, errors, faulty, refused},
};

async fn open(kind: Kind) -> School {
    let school = School::start(kind).await;
    school.open_registration().await;
    school
}

/// The user of a response.
fn user(answer: &Answer) -> Value {
    let body = answer.json();
    assert_eq!(
        (&body["kind"], &body["totalItems"], &body["itemsLength"]),
        (&json!("users"), &json!(1), &json!(1))
    );
    body["items"][0].clone()
}

/// Tries to sign in to the new account.
async fn sign_in(school: &School, password: &str) -> Answer {
    school.request_code(json!({ "email": NEW_USER, "password": password })).await
}

async fn registrations(school: &School) -> u64 {
    registration::Entity::find().count(school.db.read()).await.unwrap()
}

both! {
    async fn registered_address_becomes_an_account_once_its_link_is_used(kind: Kind) {
        let school = open(kind).await;
        let registered = school.request_user(json!({})).await;
        assert_eq!(registered.status, 201, "{}", registered.text);
        let mut expected = user(&registered);
        assert_eq!(
            expected,
            json!({
                "uuid": expected["uuid"],
                "email": NEW_USER,
                "emailVerified": false,
                "createdAt": "2026-05-04T09:42:00.250Z",
                "firstName": null,
                "lastName": null,
                "phoneNumber": null,
                "language": "en",
            })
        );
        assert_eq!(sign_in(&school, NEW_PASSWORD).await.whole(), refused(CREDENTIALS));
        let mail = school.take_mail(NEW_USER, "confirm").await;
        let confirmed = school.confirm_address(&secret_in(&mail)).await;
        assert_eq!(confirmed.status, 200, "{}", confirmed.text);
        expected["emailVerified"] = json!(true);
        assert_eq!(user(&confirmed), expected);
        assert_eq!(sign_in(&school, NEW_PASSWORD).await.status, 201);
        assert_eq!(sign_in(&school, PASSWORD).await.whole(), refused(CREDENTIALS));

        let account = school.account(NEW_USER).await;
        assert_eq!(json!(account.id.to_string()), expected["uuid"]);
        assert_eq!(registrations(&school).await, 0);
        let events = school.events().await;
        for action in [Action::Register, Action::Confirm] {
            let event = events.iter().find(|event| event.action == action).unwrap();
            assert_eq!((event.outcome, event.user_id, event.app_id), (Outcome::Success, Some(account.id), Some(APP)));
            assert_eq!(event.address.as_deref(), Some("192.0.2.7"));
        }
    }

    async fn register_known_address_gets_the_same_answer_and_the_mail_tells_its_owner(kind: Kind) {
        let school = open(kind).await;
        let unknown = school.request_user(json!({})).await;
        school.take_mails().await;
        let known = school.request_user(json!({ "email": TEACHER })).await;
        assert_eq!((unknown.status, known.status), (201, 201));
        assert_eq!(unknown.headers, known.headers);
        let (unknown, known) = (user(&unknown), user(&known));
        let [mut blurred, mut other] = [unknown.clone(), known.clone()];
        for user in [&mut blurred, &mut other] {
            user["uuid"] = json!("volatile");
            user["email"] = json!("volatile");
        }
        assert_eq!(blurred, other);
        let teacher = school.account(TEACHER).await;
        assert_ne!(known["uuid"], json!(teacher.id.to_string()));
        let mail = school.take_mail(TEACHER, "already-registered").await;
        assert!(!mail.text_body.contains("confirmHash"), "{}", mail.text_body);
        // There is no second registration, and the password stays.
        assert_eq!(registrations(&school).await, 1);
        assert_eq!(school.request_code(json!({})).await.status, 201);
        let events = school.events().await;
        let event = events.iter().find(|event| event.user_id == Some(teacher.id) && event.action == Action::Register);
        let event = event.unwrap();
        assert_eq!((event.outcome, event.reason.as_deref()), (Outcome::Failure, Some("address_taken")));
    }

    async fn link_has_the_account_page_of_its_app(kind: Kind) {
        let school = open(kind).await;
        let page = "https://app.example.com/account?tab=1";
        school.register(|registration| registration.app.account_page = AccountPage::parse(page).ok()).await;
        assert_eq!(school.request_user(json!({})).await.status, 201);
        let mail = school.take_mail(NEW_USER, "confirm").await;
        let link = format!("{page}&action=confirm&confirmHash={}", secret_in(&mail));
        assert!(mail.text_body.contains(&link), "{}", mail.text_body);
    }

    async fn register_in_an_app_that_is_closed_or_unknown_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let closed = refused("The app is not open for registration");
        assert_eq!(school.request_user(json!({})).await.whole(), closed);
        // The answer is the same for an address with an account.
        assert_eq!(school.request_user(json!({ "email": TEACHER })).await.whole(), closed);
        let unknown = school.request_user(json!({ "appUuid": OTHER_APP })).await;
        assert_eq!(unknown.whole(), refused("appUuid is not the id of an enabled app"));
        let unnamed = school.request_user(json!({ "appUuid": null })).await;
        assert_eq!(unnamed.whole(), refused("appUuid is required unless the Origin header names the app"));
        school.open_registration().await;
        let foreign = school.post("/api/v1/users?language=en").header("Origin", "https://evil.example");
        let foreign = foreign.json(&registration_body(NEW_USER)).send().await;
        assert_eq!(foreign.whole(), refused("Origin does not belong to the app"));
        assert!(school.take_mails().await.is_empty());
    }

    async fn register_from_a_login_domain_needs_no_app_uuid(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        let apps = Apps::new(school.db.clone());
        let mut registration = apps.find(OTHER_APP).await.unwrap().unwrap();
        registration.app.registration_open = true;
        apps.register(&registration).await.unwrap();
        let mut body = registration_body(NEW_USER);
        body.as_object_mut().unwrap().remove("appUuid");
        let call = school.post("/api/v1/users?language=en").header("Origin", "https://login.example.net");
        assert_eq!(call.json(&body).send().await.status, 201);
        let secret = secret_in(&school.take_mail(NEW_USER, "confirm").await);
        let path = format!("/api/v1/user-confirm-hashes/{secret}");
        let call = school.call("PUT", &path).header("Origin", "https://login.example.net");
        assert_eq!(call.json(&json!({})).send().await.status, 200);
    }

    async fn register_with_a_mail_domain_that_is_not_allowed_is_refused(kind: Kind) {
        let school = open(kind).await;
        school
            .register(|registration| {
                registration.mail_domains = ["school.example", "münchen.example"]
                    .map(|domain| MailDomain::parse(domain).unwrap())
                    .to_vec();
            })
            .await;
        for email in ["a@school.example", "a@MÜNCHEN.example"] {
            assert_eq!(school.request_user(json!({ "email": email })).await.status, 201, "{email}");
        }
        for email in [NEW_USER, TEACHER, "a@other.school.example", "a@school.example.com"] {
            let answer = school.request_user(json!({ "email": email })).await;
            assert_eq!(answer.whole(), refused("email has a mail domain that may not register in the app"), "{email}");
        }
    }

    async fn register_with_invalid_properties_reports_each_of_them(kind: Kind) {
        let school = open(kind).await;
        let answer = school
            .request_user(json!({
                "appUuid": "1",
                "email": "new.user",
                "password": "",
                "passwordConfirmation": null,
                "acceptedTermsAndConditions": false,
                "acceptedDataPrivacy": "yes",
                "acceptPrivacyPolicy": 1,
                "phoneNumber": "1x",
            }))
            .await;
        assert_eq!(
            faulty(&answer),
            [
                "appUuid", "email", "password", "passwordConfirmation", "acceptedDataPrivacy", "acceptPrivacyPolicy",
                "phoneNumber", "acceptedTermsAndConditions",
            ]
        );
        let answer = school.request_user(json!({ "passwordConfirmation": OTHER_PASSWORD })).await;
        assert_eq!(answer.whole(), refused("passwordConfirmation must be equal to password"));
        let terms = school.request_user(json!({ "acceptedTermsAndConditions": false, "acceptedDataPrivacy": false })).await;
        let messages = ["acceptedTermsAndConditions must be true", "acceptedDataPrivacy must be true"];
        assert_eq!(terms.whole(), errors(400, "[E4000]", &messages));
        let short = school.request_user(json!({ "password": "short", "passwordConfirmation": "short" })).await;
        assert_eq!(faulty(&short), ["password"]);
        assert!(school.take_mails().await.is_empty());
    }

    async fn register_without_a_valid_language_is_refused(kind: Kind) {
        let school = open(kind).await;
        for query in ["", "?language=", "?language=a%20b", "?lang=en", "?language=en&type=reset"] {
            let call = school.post(&format!("/api/v1/users{query}"));
            let answer = call.json(&registration_body(NEW_USER)).send().await;
            let name = if query.contains("type") { "type" } else { "language" };
            assert_eq!(answer.whole(), refused(&format!("{name} is missing or is not valid")), "{query}");
        }
        for (query, language) in [
            ("?language=de-AT", Language::German),
            ("?language=vi&type=confirmation", Language::Vietnamese),
            ("?language=fr", Language::English),
        ] {
            let call = school.post(&format!("/api/v1/users{query}"));
            let answer = call.json(&registration_body(NEW_USER)).send().await;
            assert_eq!(answer.status, 201, "{query}: {}", answer.text);
            assert_eq!(user(&answer)["language"], language.tag(), "{query}");
        }
        let secret = secret_in(school.take_mails().await.iter().find(|mail| mail.kind == "confirm").unwrap());
        assert_eq!(school.confirm_address(&secret).await.status, 200);
    }

    async fn link_that_is_used_expired_unknown_or_of_another_app_is_refused(kind: Kind) {
        let school = open(kind).await;
        school.add_other_app().await;
        let secret = school.registration_link(json!({})).await;
        let path = format!("/api/v1/user-confirm-hashes/{secret}");
        let other = school.call("PUT", &path).json(&json!({ "appUuid": OTHER_APP })).send().await;
        assert_eq!(other.whole(), refused(LINK_REFUSED));
        for unknown in ["a", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "%00", "%FF", &"a".repeat(10_000)] {
            assert_eq!(school.confirm_address(unknown).await.whole(), refused(LINK_REFUSED), "{unknown}");
        }
        school.clock.advance(TimeDelta::hours(24) - TimeDelta::milliseconds(1));
        assert_eq!(school.confirm_address(&secret).await.status, 200);
        assert_eq!(school.confirm_address(&secret).await.whole(), refused(LINK_REFUSED));

        let late = school.registration_link(json!({ "email": "late@example.com" })).await;
        school.clock.advance(TimeDelta::hours(24));
        assert_eq!(school.confirm_address(&late).await.whole(), refused(LINK_REFUSED));
        assert_eq!(registrations(&school).await, 1);
        sweep::delete_expired(&school.db, school.clock.now() + TimeDelta::hours(1)).await.unwrap();
        assert_eq!(registrations(&school).await, 0);
    }

    async fn registration_of_a_stranger_never_sets_the_password_of_the_owner(kind: Kind) {
        let school = open(kind).await;
        let strangers = school
            .registration_link(json!({ "password": OTHER_PASSWORD, "passwordConfirmation": OTHER_PASSWORD }))
            .await;
        let own = school.registration_link(json!({})).await;
        assert_eq!(school.confirm_address(&own).await.status, 200);
        assert_eq!(school.confirm_address(&strangers).await.whole(), refused(LINK_REFUSED));
        assert_eq!(sign_in(&school, NEW_PASSWORD).await.status, 201);
        assert_eq!(sign_in(&school, OTHER_PASSWORD).await.whole(), refused(CREDENTIALS));
    }

    async fn confirm_after_another_way_to_the_account_is_refused(kind: Kind) {
        let school = open(kind).await;
        let secret = school.registration_link(json!({})).await;
        let id = school.add_account(NEW_USER).await;
        assert_eq!(school.confirm_address(&secret).await.whole(), refused(LINK_REFUSED));
        assert_eq!(school.account(NEW_USER).await.id, id);
        assert_eq!(sign_in(&school, PASSWORD).await.status, 201);
    }

    async fn confirmed_account_has_the_phone_number_language_and_acceptance_of_its_registration(kind: Kind) {
        let school = open(kind).await;
        school.register(|registration| registration.app.policy_version = Label::parse("2026-01").ok()).await;
        let call = school.post("/api/v1/users?language=de");
        let mut body = registration_body("New.User@EXAMPLE.com");
        body["phoneNumber"] = json!("+84 24 1234567");
        body["acceptPrivacyPolicy"] = json!(true);
        let answer = call.json(&body).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(user(&answer)["phoneNumber"], "+84 24 1234567");
        let registered_at = school.clock.now();
        school.clock.advance(TimeDelta::hours(1));
        let secret = secret_in(&school.take_mail(NEW_USER, "confirm").await);
        assert_eq!(school.confirm_address(&secret).await.status, 200);
        let account = school.account(NEW_USER).await;
        assert_eq!(account.phone_number.as_ref().map(PhoneNumber::as_str), Some("+84 24 1234567"));
        assert_eq!(account.language, Language::German);
        let acceptances = policy_acceptance::Entity::find().all(school.db.read()).await.unwrap();
        assert_eq!(acceptances.len(), 1);
        assert_eq!((acceptances[0].user_id, acceptances[0].accepted_at), (account.id, registered_at));
        assert_eq!(acceptances[0].address, "192.0.2.7");
    }

    async fn address_gets_at_most_five_mails_in_an_hour(kind: Kind) {
        let school = open(kind).await;
        for email in [NEW_USER, TEACHER] {
            for number in 0..7 {
                let answer = school.request_user(json!({ "email": email })).await;
                assert_eq!(answer.status, 201, "{email} {number}");
            }
            assert_eq!(school.take_mails().await.len(), 5, "{email}");
        }
        school.clock.advance(TimeDelta::minutes(59));
        assert_eq!(school.request_user(json!({})).await.status, 201);
        assert!(school.take_mails().await.is_empty());
        school.clock.advance(TimeDelta::minutes(1));
        school.registration_link(json!({})).await;
    }

    async fn registrations_of_a_network_beyond_the_limit_get_429(kind: Kind) {
        let mut school = open(kind).await;
        school.restart(|parts| parts.identity.account_limits = AccountLimits { registrations: 2, resets: 0 });
        for status in [201, 201, 429] {
            assert_eq!(school.request_user(json!({})).await.status, status);
        }
        let answer = school.request_user(json!({})).await;
        assert_eq!(answer.header("retry-after"), Some("1800"));
        let other = school.post("/api/v1/users?language=en").from("198.51.100.7".parse().unwrap());
        assert_eq!(other.json(&registration_body(NEW_USER)).send().await.status, 201);
        school.clock.advance(TimeDelta::minutes(30));
        assert_eq!(school.request_user(json!({})).await.status, 201);
    }
}
