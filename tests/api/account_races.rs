//! Concurrent uses of the links in mails. The database decides which of them succeeds.

use std::{num::NonZeroUsize, sync::Arc};

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    domain::{email::Email, id::UserId, language::Language, secret_token::ConfirmHash},
    entity::{password_reset, registration, user},
    identity::password_hashing,
    random::OsRandom,
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;

use crate::{
    races::{AT_ONCE, at_once, count},
    support::{APP, School, TEACHER, accounts::NEW_PASSWORD, both},
};

/// Stores a registration as the service does, without the slow password hash. Returns the secret of its link.
async fn register(school: &School, email: &str) -> String {
    let (hash, now) = (ConfirmHash::generate(&OsRandom), school.clock.now());
    let registration = registration::Model {
        digest: hash.digest(),
        user_id: UserId::new(now, &OsRandom),
        app_id: APP,
        email: Email::parse(email).unwrap(),
        password_hash: school.account(TEACHER).await.password_hash,
        phone_number: None,
        language: Language::English,
        accepted_policy_version: None,
        address: "192.0.2.7".to_owned(),
        created_at: now,
        expires_at: now + TimeDelta::hours(24),
    };
    registration::Entity::store(school.db.writer(), registration).await.unwrap();
    hash.expose().to_owned()
}

/// Stores a password reset of the teacher. Returns the secret of its link.
async fn ask_for_reset(school: &School, user: UserId) -> String {
    let (hash, now) = (ConfirmHash::generate(&OsRandom), school.clock.now());
    let reset = password_reset::Model {
        digest: hash.digest(),
        user_id: user,
        app_id: Some(APP),
        created_at: now,
        expires_at: now + TimeDelta::minutes(30),
    };
    password_reset::Entity::store(school.db.writer(), reset).await.unwrap();
    hash.expose().to_owned()
}

/// The number of accounts with an address.
async fn accounts(school: &School, email: &str) -> u64 {
    let email = Email::parse(email).unwrap();
    user::Entity::find().filter(user::Column::Email.eq(email)).count(school.db.read()).await.unwrap()
}

both! {
    async fn confirm_64_times_at_once_one_succeeds_in_each_of_200_rounds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        for round in 0..200 {
            let email = format!("user{round}@example.com");
            let secret = register(&school, &email).await;
            let statuses = at_once(&school, AT_ONCE, |school, _| {
                let secret = secret.clone();
                async move { school.confirm_address(&secret).await.status }
            })
            .await;
            assert_eq!((count(&statuses, 200), count(&statuses, 400)), (1, AT_ONCE - 1), "{round}: {statuses:?}");
            assert_eq!(accounts(&school, &email).await, 1, "{round}");
        }
    }

    async fn confirm_64_links_of_one_address_at_once_creates_one_account_in_each_of_20_rounds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        for round in 0..20 {
            let email = format!("user{round}@example.com");
            let mut secrets = Vec::new();
            for _ in 0..AT_ONCE {
                secrets.push(register(&school, &email).await);
            }
            let statuses = at_once(&school, AT_ONCE, |school, index| {
                let secret = secrets[index].clone();
                async move { school.confirm_address(&secret).await.status }
            })
            .await;
            assert_eq!((count(&statuses, 200), count(&statuses, 400)), (1, AT_ONCE - 1), "{round}: {statuses:?}");
            assert_eq!(accounts(&school, &email).await, 1, "{round}");
        }
    }

    async fn reset_64_times_at_once_one_succeeds_in_each_of_200_rounds(kind: Kind) {
        // A short queue, so that most requests get 503 before the slow hash. Up to 16 of a round race for the link.
        let settings = password_hashing::Settings { queue: NonZeroUsize::new(4), ..Default::default() };
        let school = Arc::new(School::start_with_hashing(kind, settings).await);
        let teacher = school.account(TEACHER).await.id;
        for round in 0..200 {
            let secret = ask_for_reset(&school, teacher).await;
            let statuses = at_once(&school, AT_ONCE, |school, _| {
                let secret = secret.clone();
                async move { school.reset_password(&secret, json!({})).await.status }
            })
            .await;
            let others = count(&statuses, 400) + count(&statuses, 503);
            assert_eq!((count(&statuses, 200), others), (1, AT_ONCE - 1), "{round}: {statuses:?}");
        }
        let answer = school.request_code(json!({ "password": NEW_PASSWORD })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    async fn reset_64_times_at_once_with_a_long_queue_one_succeeds_in_each_of_3_rounds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let teacher = school.account(TEACHER).await.id;
        for round in 0..3 {
            let secret = ask_for_reset(&school, teacher).await;
            let statuses = at_once(&school, AT_ONCE, |school, _| {
                let secret = secret.clone();
                async move { school.reset_password(&secret, json!({})).await.status }
            })
            .await;
            assert_eq!((count(&statuses, 200), count(&statuses, 400)), (1, AT_ONCE - 1), "{round}: {statuses:?}");
        }
    }
}
