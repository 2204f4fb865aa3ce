//! Concurrent uses of the links in mails. The database decides which of them succeeds.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    domain::{email::Email, id::UserId, language::Language, password::Password, secret_token::ConfirmHash},
    entity::{password_reset, registration, user},
    identity::{
        accounts::{Accounts, Change},
        password_hashing::{self, PasswordHashing},
    },
    random::OsRandom,
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;
use url::Url;

use crate::{
    races::{AT_ONCE, at_once, count},
    support::{
        APP, PASSWORD, School, TEACHER,
        accounts::NEW_PASSWORD,
        both, code_in,
        signing_in::{self, CREDENTIALS, NOT_REDEEMABLE},
    },
};

/// Stores a registration without the slow password hash. Returns the secret of its link. As in the service, a conflict with another
/// transaction repeats the statement.
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
    let stored = school.db.write(registration, |db, registration| {
        Box::pin(registration::Entity::store(db, registration.clone()))
    });
    stored.await.unwrap();
    hash.expose().to_owned()
}

/// Stores a password reset of the teacher. Returns the secret of its link. As in the service, a conflict with another transaction
/// repeats the statement.
async fn ask_for_reset(school: &School, user: UserId) -> String {
    let (hash, now) = (ConfirmHash::generate(&OsRandom), school.clock.now());
    let reset = password_reset::Model {
        digest: hash.digest(),
        user_id: user,
        app_id: Some(APP),
        created_at: now,
        expires_at: now + TimeDelta::minutes(30),
    };
    let stored =
        school.db.write(reset, |db, reset| Box::pin(password_reset::Entity::store(db, reset.clone())));
    stored.await.unwrap();
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

    async fn reset_beside_new_links_uses_a_link_once_in_each_of_50_rounds(kind: Kind) {
        let settings = password_hashing::Settings { queue: NonZeroUsize::new(4), ..Default::default() };
        let school = Arc::new(School::start_with_hashing(kind, settings).await);
        let teacher = school.account(TEACHER).await.id;
        for round in 0..50 {
            let secret = ask_for_reset(&school, teacher).await;
            let statuses = at_once(&school, 32, |school, index| {
                let secret = secret.clone();
                async move {
                    if index % 2 == 0 {
                        return school.reset_password(&secret, json!({})).await.status;
                    }
                    // Another link every few milliseconds, while the passwords are hashed and stored.
                    for _ in 0..10 {
                        ask_for_reset(&school, teacher).await;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    0
                }
            })
            .await;
            assert_eq!(count(&statuses, 200), 1, "{round}: {statuses:?}");
            assert_eq!(count(&statuses, 500), 0, "{round}: {statuses:?}");
        }
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

    async fn sign_in_beside_a_change_of_the_password_gives_no_valid_code_in_200_rounds(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let accounts = Accounts::new(school.db.clone());
        let hashing = PasswordHashing::start(password_hashing::Settings::default(), &OsRandom).unwrap();
        let mut passwords = Vec::new();
        for password in [PASSWORD, NEW_PASSWORD] {
            let hash = hashing.hash(Password::parse(password).unwrap(), [7; 16]).await.unwrap();
            passwords.push((password, hash));
        }
        let (mut issued, mut refused) = (0, 0);
        for round in 0..200_u64 {
            let (current, next) = (passwords[0].0, passwords[1].1.clone());
            let sign_in = tokio::spawn({
                let school = school.clone();
                async move { school.request_code(json!({ "password": current })).await }
            });
            // The change falls before, during and after the hash.
            tokio::time::sleep(Duration::from_millis(round % 80)).await;
            let teacher = school.account(TEACHER).await;
            accounts.change(&teacher, vec![Change::Password(next)], school.clock.now(), &OsRandom).await.unwrap();
            let answer = sign_in.await.unwrap();
            if answer.status == 201 {
                let url = Url::parse(answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap()).unwrap();
                let exchange = school.request_tokens(&code_in(&url), json!({})).await;
                assert_eq!(exchange.whole(), signing_in::refused(NOT_REDEEMABLE), "{round}");
                issued += 1;
            } else {
                assert_eq!(answer.whole(), signing_in::refused(CREDENTIALS), "{round}");
                refused += 1;
            }
            passwords.swap(0, 1);
        }
        assert!(issued > 0 && refused > 0, "{issued}, {refused}");
    }
}
