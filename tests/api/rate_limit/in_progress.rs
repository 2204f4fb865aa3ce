//! Attempts in progress, and attempts that are abandoned.

use std::{num::NonZeroUsize, sync::Arc};

use chrono::TimeDelta;
use futures_util::future::join_all;
use homeroom::{
    domain::{id::AppId, label::Label},
    identity::password_hashing,
    rate_limit::policies::PasswordLimits,
};
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use serde_json::json;

use super::{ELSEWHERE, ip, nth, seconds};
use crate::{
    middleware::damage_database,
    support::{
        ADDRESS, COLLEAGUE, Kind, PASSWORD, STUDENT, School, TEACHER, both,
        signing_in::{CREDENTIALS, refused},
    },
};

fn small_queue() -> password_hashing::Settings {
    password_hashing::Settings {
        workers: NonZeroUsize::MIN,
        queue: NonZeroUsize::new(1),
        ..Default::default()
    }
}

both! {
    async fn disconnect_before_the_hash_counts_no_failure(kind: Kind) {
        let school = School::start(kind).await;
        let mut disconnected = 0;
        for _ in 0..10 {
            let reserved = async {
                while school.attempts_in_progress().await == 0 {}
            };
            tokio::select! {
                answer = school.request_code(json!({})) => assert_eq!(answer.status, 201),
                () = reserved => disconnected += 1,
            }
            school.wait_until_no_attempt_is_in_progress().await;
        }
        assert!(disconnected > 0, "all passwords were verified before");
        // A disconnect during the reservation counts no failure either.
        let school = Arc::new(school);
        for number in 0..20 {
            let attempt = tokio::spawn({
                let school = school.clone();
                async move { school.attempt(PasswordLimits::DEFAULT, STUDENT, nth(number)).await.map(drop) }
            });
            tokio::task::yield_now().await;
            attempt.abort();
            _ = attempt.await;
        }
        school.wait_until_no_attempt_is_in_progress().await;
        assert_eq!(school.counts_with_failures().await, 0);
    }

    async fn disconnects_of_other_clients_do_not_refuse_a_first_sign_in(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits { address: 3, address_spray: 5, server_spray: 16, ..PasswordLimits::DEFAULT };
        for number in 0..200 {
            drop(school.attempt(limits, &format!("{number}@spray.example"), ADDRESS).await.unwrap());
        }
        school.succeed(limits, TEACHER, ADDRESS).await;
        school.wait_until_no_attempt_is_in_progress().await;
        assert_eq!(school.counts_with_failures().await, 0);
    }

    async fn attempts_in_progress_refuse_further_ones_of_the_account_for_a_second(kind: Kind) {
        let school = School::start(kind).await;
        let attempt = || school.attempt(PasswordLimits::DEFAULT, TEACHER, ADDRESS);
        let mut reservations = Vec::new();
        for _ in 0..5 {
            reservations.push(attempt().await.unwrap());
        }
        assert_eq!(attempt().await.unwrap_err(), 1);
        reservations.pop().unwrap().release().await;
        reservations.push(attempt().await.unwrap());
        for reservation in reservations {
            reservation.commit().await.unwrap();
        }
        assert_eq!(attempt().await.unwrap_err(), 1);
        school.clock.advance(TimeDelta::seconds(1));
        // From here on one attempt at a time.
        let one = attempt().await.unwrap();
        assert_eq!(attempt().await.unwrap_err(), 1);
        one.commit().await.unwrap();
        assert_eq!(attempt().await.unwrap_err(), 2);
    }

    async fn reservations_of_a_killed_node_expire_after_30_seconds(kind: Kind) {
        let school = School::start(kind).await;
        let attempt = || school.attempt(PasswordLimits::DEFAULT, TEACHER, ADDRESS);
        for _ in 0..5 {
            std::mem::forget(attempt().await.unwrap());
        }
        assert_eq!(attempt().await.unwrap_err(), 1);
        school.clock.advance(TimeDelta::seconds(30));
        attempt().await.unwrap().commit().await.unwrap();
    }

    async fn failure_ends_one_reservation_and_leaves_the_others(kind: Kind) {
        let school = School::start(kind).await;
        let attempt = || school.attempt(PasswordLimits::DEFAULT, TEACHER, ADDRESS);
        let (first, second) = (attempt().await.unwrap(), attempt().await.unwrap());
        assert_eq!(school.attempts_in_progress().await, 4, "in the counts of the account here and everywhere");
        first.commit().await.unwrap();
        assert_eq!(school.attempts_in_progress().await, 2);
        drop(second);
        school.wait_until_no_attempt_is_in_progress().await;
    }

    async fn request_without_guess_counts_no_failure(kind: Kind) {
        let school = School::start_with_hashing(kind, small_queue()).await;
        for change in [
            json!({ "state": "" }),
            json!({ "appUuid": AppId::from_u128(0) }),
            json!({ "redirectUri": "https://elsewhere.example" }),
        ] {
            assert_eq!(school.request_code(change).await.status, 400);
        }
        assert_eq!(school.counts().await, []);
        // Passwords that the full queue refuses.
        let accounts: Vec<_> = (0..32).map(|number| format!("{number}@spray.example")).collect();
        let answers = join_all(accounts.iter().map(|account| school.guess(account, "wrong", ADDRESS))).await;
        let verified = answers.iter().filter(|answer| answer.status == 400).count();
        assert!(verified < 32 && answers.iter().any(|answer| answer.status == 503));
        assert_eq!(school.attempts_in_progress().await, 0);
        let accounts = school.counts_with_failures().await;
        assert!((2 * verified..=2 * verified + 3 + 16).contains(&accounts), "{accounts} for {verified}");

        // A right password without the demanded consent, and an error of the server.
        school
            .register(|registration| {
                registration.app.policy_version = Label::parse("1").ok();
                registration.app.policy_demanded = true;
            })
            .await;
        for _ in 0..10 {
            let answer = school.request_code(json!({})).await;
            assert_eq!(answer.status, 400, "{answer:?}");
            assert_ne!(answer.whole(), refused(CREDENTIALS));
        }
        damage_database(&school).await;
        for _ in 0..10 {
            assert_eq!(school.request_code(json!({})).await.status, 500);
        }
        assert_eq!(school.counts_with_failures().await, accounts);
        assert_eq!(school.attempts_in_progress().await, 0);
    }

    async fn request_refused_before_the_hash_takes_no_queue_entry(kind: Kind) {
        let school = School::start_with_hashing(kind, small_queue()).await;
        for _ in 0..5 {
            assert_eq!(school.guess("nobody@example.com", "wrong", ip(ELSEWHERE)).await.status, 400);
        }
        let refused = join_all((0..50).map(|_| school.guess("nobody@example.com", "wrong", ip(ELSEWHERE))));
        let unknown_app = join_all((0..50).map(|_| school.request_code(json!({ "appUuid": AppId::from_u128(0) }))));
        let honest = async {
            let mut statuses = Vec::new();
            for _ in 0..5 {
                statuses.push(school.guess(TEACHER, PASSWORD, ADDRESS).await.status);
            }
            statuses
        };
        let (refused, unknown_app, honest) = tokio::join!(refused, unknown_app, honest);
        assert!(refused.iter().all(|answer| answer.status == 429 && seconds(answer) == 1));
        assert!(unknown_app.iter().all(|answer| answer.status == 400));
        assert_eq!(honest, [201; 5]);
    }

    async fn flood_from_one_address_does_not_refuse_another_address(kind: Kind) {
        let settings = password_hashing::Settings { queue: NonZeroUsize::new(8), ..small_queue() };
        let school = School::start_with_hashing(kind, settings).await;
        let flood = async {
            for round in 0..8 {
                let accounts: Vec<_> = (0..32).map(|number| format!("{round}.{number}@spray.example")).collect();
                join_all(accounts.iter().map(|account| school.guess(account, "wrong", ip(ELSEWHERE)))).await;
            }
        };
        let honest = async {
            let mut statuses = Vec::new();
            for account in [TEACHER, COLLEAGUE, STUDENT].into_iter().cycle().take(12) {
                statuses.push(school.guess(account, PASSWORD, ADDRESS).await.status);
            }
            statuses
        };
        let ((), honest) = tokio::join!(flood, honest);
        assert_eq!(honest, [201; 12]);
    }
}

#[tokio::test]
async fn disconnect_while_the_code_is_stored_counts_no_failure() {
    let school = School::start(Kind::Postgres).await;
    for _ in 0..6 {
        let holder = school.db.writer().begin().await.unwrap();
        holder.execute_unprepared("LOCK TABLE authorization_codes IN EXCLUSIVE MODE").await.unwrap();
        let waits = async {
            let sql = "SELECT 1 FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting = Statement::from_string(DbBackend::Postgres, sql);
            while school.db.read().query_one_raw(waiting.clone()).await.unwrap().is_none() {}
        };
        tokio::select! {
            answer = school.request_code(json!({})) => panic!("{answer:?}"),
            () = waits => {}
        }
        holder.rollback().await.unwrap();
    }
    school.wait_until_no_attempt_is_in_progress().await;
    assert_eq!(school.counts_with_failures().await, 0);
    assert_eq!(school.request_code(json!({})).await.status, 201);
}
