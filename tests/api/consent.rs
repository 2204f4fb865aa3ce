//! Consent: acceptances of the privacy policy, and apps that demand them.

use chrono::TimeDelta;
use homeroom::{
    domain::label::Label,
    entity::policy_acceptance::{self, Model as Acceptance},
};
use sea_orm::EntityTrait;
use serde_json::json;

use crate::support::{
    APP, Answer, Kind, School, TEACHER, both, sign_in_body,
    signing_in::{CREDENTIALS, refused},
};

const DEMANDED: &str = "acceptPrivacyPolicy must be true: the app demands its current privacy policy";

/// A school whose app has the first version of a policy.
async fn with_policy(kind: Kind, demanded: bool) -> School {
    let school = School::start(kind).await;
    publish(&school, "2026-01", demanded).await;
    school
}

async fn publish(school: &School, version: &str, demanded: bool) {
    school
        .register(|registration| {
            registration.app.policy_version = Label::parse(version).ok();
            registration.app.policy_demanded = demanded;
        })
        .await;
}

async fn sign_in(school: &School, accepts: bool) -> Answer {
    school.request_code(json!({ "acceptPrivacyPolicy": accepts })).await
}

async fn acceptances(school: &School) -> Vec<Acceptance> {
    policy_acceptance::Entity::find().all(school.db.read()).await.unwrap()
}

both! {
    async fn acceptance_is_recorded_once_with_version_time_and_address(kind: Kind) {
        let school = with_policy(kind, false).await;
        let recorded = [Acceptance {
            user_id: school.account(TEACHER).await.id,
            app_id: APP,
            policy_version: Label::parse("2026-01").unwrap(),
            accepted_at: homeroom::clock::Clock::now(&*school.clock),
            address: "192.0.2.7".to_owned(),
        }];
        assert_eq!(sign_in(&school, true).await.status, 201);
        assert_eq!(acceptances(&school).await, recorded);
        school.clock.advance(TimeDelta::days(1));
        assert_eq!(sign_in(&school, true).await.status, 201);
        assert_eq!(acceptances(&school).await, recorded);
    }

    async fn acceptance_behind_trusted_proxy_is_recorded_with_the_client_address(kind: Kind) {
        let mut school = with_policy(kind, false).await;
        school.restart(|parts| parts.trusted_proxies = vec!["192.0.2.0/24".parse().unwrap()]);
        let mut body = sign_in_body(TEACHER);
        body["acceptPrivacyPolicy"] = json!(true);
        let forwarded = "for=203.0.113.1, for=\"[2001:db8::1]:4711\", for=192.0.2.8";
        let call = school.post("/api/v1/codes").header("Forwarded", forwarded).json(&body);
        assert_eq!(call.send().await.status, 201);
        assert_eq!(acceptances(&school).await[0].address, "2001:db8::1");
    }

    async fn sign_in_without_acceptance_or_with_failure_records_nothing(kind: Kind) {
        let school = with_policy(kind, false).await;
        assert_eq!(sign_in(&school, false).await.status, 201);
        let wrong = school.request_code(json!({ "acceptPrivacyPolicy": true, "password": "wrong" })).await;
        assert_eq!(wrong.whole(), refused(CREDENTIALS));
        assert_eq!(acceptances(&school).await, []);
    }

    async fn sign_in_to_app_without_policy_records_nothing(kind: Kind) {
        let school = School::start(kind).await;
        assert_eq!(sign_in(&school, true).await.status, 201);
        assert_eq!(acceptances(&school).await, []);
    }

    async fn demanded_policy_is_reported_only_with_the_right_password(kind: Kind) {
        let school = with_policy(kind, true).await;
        assert_eq!(sign_in(&school, false).await.whole(), refused(DEMANDED));
        let wrong = school.request_code(json!({ "password": "wrong" })).await;
        assert_eq!(wrong.whole(), refused(CREDENTIALS));
        // Nor for an account that may not sign in, although the password is right.
        school.change_account(TEACHER, |account| account.enabled = false).await;
        assert_eq!(sign_in(&school, false).await, wrong);
        assert_eq!(acceptances(&school).await, []);
    }

    async fn demanded_policy_is_accepted_once_per_version(kind: Kind) {
        let school = with_policy(kind, true).await;
        assert_eq!(sign_in(&school, true).await.status, 201);
        assert_eq!(sign_in(&school, false).await.status, 201);
        publish(&school, "2026-02", true).await;
        assert_eq!(sign_in(&school, false).await.whole(), refused(DEMANDED));
        assert_eq!(sign_in(&school, true).await.status, 201);
        assert_eq!(sign_in(&school, false).await.status, 201);
        let mut versions: Vec<String> =
            acceptances(&school).await.into_iter().map(|acceptance| acceptance.policy_version.as_str().to_owned()).collect();
        versions.sort();
        assert_eq!(versions, ["2026-01", "2026-02"]);
    }
}
