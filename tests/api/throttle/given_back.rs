//! What was no failure is given back.

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    domain::label::Label,
    identity::{SWEPT_AFTER, password_hashing},
    throttle::{passwords::Limits, unlock},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;
use uuid::Uuid;

use super::{ELSEWHERE, email, ip};
use crate::{
    boundary::sabotage,
    support::{
        ADDRESS, COLLEAGUE, Kind, School, TEACHER, both,
        signing_in::{CREDENTIALS, refused},
    },
};

both! {
    async fn who_hangs_up_before_anybody_judged_the_password_has_not_failed(kind: Kind) {
        let mut school = School::found(kind).await;
        let limits = Limits { network: 0, network_spray: 0, server_spray: 0, ..Limits::DEFAULT };
        school.restart(|parts| parts.identity.throttle = limits);
        let mut hung_up = 0;
        for _ in 0..10 {
            let charged = async {
                while school.failures().await == 0 {}
            };
            tokio::select! {
                answer = school.ask_code(json!({})) => assert_eq!(answer.status, 201),
                () = charged => hung_up += 1,
            }
            school.until_failures_are(0).await;
        }
        assert!(hung_up > 0, "all were judged before");
        // Nor has who hangs up while the attempt is being written down, or has waited for its turn in vain.
        let school = Arc::new(school);
        for _ in 0..20 {
            let attempt = tokio::spawn({
                let school = school.clone();
                async move { school.attempt(limits, TEACHER, ADDRESS).await.map(drop) }
            });
            tokio::task::yield_now().await;
            attempt.abort();
            _ = attempt.await;
        }
        school.until_failures_are(0).await;
        assert_eq!(school.ask_code(json!({})).await.status, 201);
    }

    async fn what_nobody_judged_costs_its_account_nothing_and_its_network_and_the_server_an_attempt(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits { network_spray: 20, ..Limits::DEFAULT };
        for number in 0..20 {
            drop(school.attempt(limits, &format!("{number}@spray.example"), ADDRESS).await.unwrap());
        }
        school.until_failures_are(2 * 20).await;
        assert_eq!(school.attempt(limits, TEACHER, ADDRESS).await.unwrap_err(), 300);
        // Nothing is left of the accounts.
        school.app.identity.sweep(school.clock.now() + SWEPT_AFTER).await.unwrap();
        assert!(school.counts().await.iter().all(|count| count.failures > 0));
        // What was judged is given back to nobody once more.
        let mut charge = school.attempt(limits, TEACHER, ip(ELSEWHERE)).await.unwrap();
        charge.judge();
        drop(charge);
        school.settle(school.attempt(limits, COLLEAGUE, ip(ELSEWHERE)).await.unwrap()).await;
        assert_eq!(school.failures().await, 2 * 20 + 4);
    }

    async fn what_is_given_back_leaves_the_delay_of_another_attempt_and_ends_its_own(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits { free: 1, account: 4, ..Limits::DEFAULT };
        let attempt = || school.attempt(limits, TEACHER, ADDRESS);
        let free = attempt().await.unwrap();
        let delaying = attempt().await.unwrap();
        free.give_back().await;
        assert_eq!(attempt().await.unwrap_err(), 1);
        delaying.give_back().await;
        assert_eq!(school.failures().await, 0);
        // What was full once is forgotten in its time like any other.
        for delay in [0, 0, 1, 2] {
            school.clock.advance(TimeDelta::seconds(delay));
            let mut charge = attempt().await.unwrap();
            if delay < 2 { charge.judge() } else { charge.give_back().await }
        }
        school.clock.advance(TimeDelta::days(3 * 7));
        school.app.identity.sweep(school.clock.now() + SWEPT_AFTER).await.unwrap();
        assert_eq!(school.counts().await, []);
    }

    async fn an_attempt_is_not_given_back_to_a_later_window(kind: Kind) {
        let school = School::found(kind).await;
        let charge = school.attempt(Limits::DEFAULT, TEACHER, ADDRESS).await.unwrap();
        school.clock.advance(TimeDelta::minutes(5));
        school.spray(Limits::DEFAULT, ADDRESS, 1).await;
        let before = school.failures().await;
        school.settle(charge).await;
        // The server's part may be another one, which nobody else has failed in since.
        assert!([2, 2 + 1].contains(&(before - school.failures().await)), "its own pair and account");
    }

    async fn what_was_no_guess_is_not_counted(kind: Kind) {
        let hashing = password_hashing::Settings {
            workers: std::num::NonZeroUsize::MIN,
            queue: std::num::NonZeroUsize::new(1),
            ..Default::default()
        };
        let school = School::found_with(kind, hashing).await;
        // No form, no app, no redirect URI; nobody to hash it.
        for change in [
            json!({ "state": "" }),
            json!({ "appUuid": Uuid::nil() }),
            json!({ "redirectUri": "https://elsewhere.example" }),
        ] {
            assert_eq!(school.ask_code(change).await.status, 400);
        }
        assert_eq!(school.counts().await, []);
        let burst = (0..32).map(|_| school.guess("nobody@example.com", "wrong", ADDRESS));
        let answers = futures_util::future::join_all(burst).await;
        let judged = answers.iter().filter(|answer| answer.status == 400).count();
        assert!(judged < 5 && answers.iter().any(|answer| answer.status == 503));
        assert_eq!(school.failures().await, 4 * i64::try_from(judged).unwrap());
        unlock(&school.store, &email("nobody@example.com")).await.unwrap();

        // A right password without the consent that is demanded, and a fault of ours.
        let before = school.failures().await;
        school
            .register(|registration| {
                registration.app.policy_version = Label::parse("1").ok();
                registration.app.policy_demanded = true;
            })
            .await;
        for _ in 0..10 {
            let answer = school.ask_code(json!({})).await;
            assert_eq!(answer.status, 400, "{answer:?}");
            assert_ne!(answer.whole(), refused(CREDENTIALS));
        }
        sabotage(&school).await;
        for _ in 0..10 {
            assert_eq!(school.ask_code(json!({})).await.status, 500);
        }
        assert_eq!(school.failures().await, before);
    }
}

#[tokio::test]
async fn who_hangs_up_while_their_code_is_stored_has_not_failed() {
    let school = School::found(Kind::Postgres).await;
    for _ in 0..6 {
        let holder = school.store.begin().await.unwrap();
        holder.execute_unprepared("LOCK TABLE authorization_codes IN EXCLUSIVE MODE").await.unwrap();
        let waits = async {
            let sql = "SELECT 1 FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting = Statement::from_string(DbBackend::Postgres, sql);
            while school.store.reader().query_one_raw(waiting.clone()).await.unwrap().is_none() {}
        };
        tokio::select! {
            answer = school.ask_code(json!({})) => panic!("{answer:?}"),
            () = waits => {}
        }
        holder.rollback().await.unwrap();
    }
    // Network and server keep what nobody waited for.
    school.until_failures_are(2 * 6).await;
    assert_eq!(school.ask_code(json!({})).await.status, 201);
}
