//! Limits on guessing passwords.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use homeroom::{
    clock::Clock,
    identity::accounts::{Accounts, Change},
    jobs::sweep::{KEEP_COUNTS, delete_expired},
    random::OsRandom,
    rate_limit::{
        limiter::{KNOWN, Limiter},
        policies::PasswordLimits,
    },
};
use serde_json::json;

use super::{ELSEWHERE, email, ip, nth, nth_of_site, seconds};
use crate::support::{
    ADDRESS, COLLEAGUE, STUDENT, School, TEACHER, assert_failure, both, sign_in_body,
    signing_in::{CREDENTIALS, changed, errors, refused},
};

/// The time after which one failure of an account is forgotten.
const DRAIN: TimeDelta = TimeDelta::minutes(15);

impl School {
    async fn unlock(&self, account: &str) {
        Limiter::new(self.db.clone()).forget_account(&email(account)).await.unwrap();
    }

    async fn sweep(&self, after: TimeDelta) {
        delete_expired(&self.db, self.clock.now() + after + KEEP_COUNTS).await.unwrap();
    }
}

both! {
    async fn failures_after_the_fifth_double_the_wait_up_to_15_minutes(kind: Kind) {
        let school = School::start(kind).await;
        let attempt = || school.attempt(PasswordLimits::DEFAULT, TEACHER, ADDRESS);
        for _ in 0..4 {
            attempt().await.unwrap().commit().await.unwrap();
        }
        // One failure is forgotten in 15 min, so that the tenth doubling occurs twice.
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 900, 900, 900] {
            attempt().await.unwrap().commit().await.unwrap();
            assert_eq!(attempt().await.unwrap_err(), wait);
            school.clock.advance(TimeDelta::seconds(wait.try_into().unwrap()) - TimeDelta::milliseconds(1));
            assert_eq!(attempt().await.unwrap_err(), 1, "after {wait}");
            school.clock.advance(TimeDelta::milliseconds(1));
        }
        attempt().await.unwrap().commit().await.unwrap();
        school.unlock(TEACHER).await;
        attempt().await.unwrap().commit().await.unwrap();
    }

    async fn free_failures_flag_sets_the_number_of_failures_without_wait(kind: Kind) {
        let mut school = School::start(kind).await;
        for free in [1, 3, 7] {
            school.restart(|parts| parts.identity.rate_limit = PasswordLimits { free, ..PasswordLimits::DEFAULT });
            let account = format!("{free}@example.com");
            for _ in 0..free {
                assert_eq!(school.guess(&account, "wrong", ADDRESS).await.status, 400);
            }
            let answer = school.guess(&account, "wrong", ADDRESS).await;
            assert_eq!((answer.status, seconds(&answer)), (429, 1));
        }
    }

    async fn success_resets_the_count_of_its_account_and_address(kind: Kind) {
        let school = School::start(kind).await;
        for _ in 0..3 {
            for _ in 0..4 {
                assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.whole(), refused(CREDENTIALS));
            }
            school.sign_in(TEACHER).await;
        }
    }

    async fn refused_attempt_response_contains_the_wait_only(kind: Kind) {
        let school = School::start(kind).await;
        school.change_account(STUDENT, |account| account.enabled = false).await;
        school.change_account(COLLEAGUE, |account| account.email_verified_at = None).await;
        let mut answers = Vec::new();
        for account in [TEACHER, "nobody@example.com", STUDENT, COLLEAGUE] {
            for _ in 0..5 {
                assert_eq!(school.guess(account, "wrong", ADDRESS).await.whole(), refused(CREDENTIALS));
            }
            // Also with the right password.
            let answer = school.request_code(json!({ "email": account })).await;
            assert_eq!(assert_failure("/api/v1/codes", &answer), "[E4290]");
            assert_eq!(answer.whole(), errors(429, "[E4290]", &["Too many requests; try again later"]));
            assert_eq!(answer.header("retry-after"), Some("1"));
            answers.push(answer);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        school.clock.advance(TimeDelta::seconds(1));
        school.sign_in(TEACHER).await;
    }

    async fn full_account_count_refuses_unknown_addresses_and_accepts_the_owner(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        school.sign_in(TEACHER).await;
        school.fail_from_everywhere(limits, TEACHER, 100).await;
        for stranger in [ip(ELSEWHERE), nth(7)] {
            let answer = school.guess(TEACHER, "wrong", stranger).await;
            assert_eq!((answer.status, seconds(&answer)), (429, 900));
        }
        // The owner may mistype it once.
        assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.status, 400);
        school.sign_in(TEACHER).await;
    }

    async fn owner_success_does_not_change_responses_to_others(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        let owners = [TEACHER, STUDENT];
        let accounts = [TEACHER, "nobody@example.com", STUDENT, "nobody.else@example.com"];
        school.succeed(limits, TEACHER, ADDRESS).await;
        for number in 0..30 {
            let mut outcomes = Vec::new();
            for account in accounts {
                let mut outcome = Vec::new();
                for _ in 0..4 {
                    outcome.push(school.fail(limits, account, nth(number)).await);
                }
                outcomes.push(outcome);
            }
            assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{number}: {outcomes:?}");
            // Owners sign in from their own addresses.
            for (owner, from) in owners.into_iter().zip([ADDRESS, ip(ELSEWHERE)]) {
                if number < 20 || owner == TEACHER {
                    school.succeed(limits, owner, from).await;
                }
            }
        }
    }

    async fn full_account_count_allows_one_attempt_every_15_minutes(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        school.fail_from_everywhere(limits, TEACHER, 100).await;
        for number in 0..3 {
            assert_eq!(school.fail(limits, TEACHER, nth(1_000 + number)).await, Err(900));
            school.clock.advance(DRAIN);
            school.fail(limits, TEACHER, nth(2_000 + number)).await.unwrap();
        }
        school.clock.advance(DRAIN * 100);
        school.fail_from_everywhere(limits, TEACHER, 100).await;
    }

    async fn failures_from_one_site_do_not_fill_the_account_count(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        let mut failed = 0;
        for number in 0..1_000 {
            failed += u32::from(school.fail(limits, TEACHER, nth_of_site(number)).await.is_ok());
        }
        assert_eq!(failed, 15);
        // An IPv4 address has its own waits, which limit its failures in an hour.
        for minute in 0..60 {
            for _ in 0..10 {
                failed += u32::from(school.fail(limits, TEACHER, ip(ELSEWHERE)).await.is_ok());
            }
            school.clock.advance(TimeDelta::minutes(1));
            assert!(failed <= 15 + 20, "minute {minute}: {failed}");
        }
        school.succeed(limits, TEACHER, ADDRESS).await;
    }

    async fn new_account_or_new_password_resets_the_counts(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        let newcomer = "newcomer@example.com";
        school.fail_from_everywhere(limits, newcomer, 100).await;
        school.add_account(newcomer).await;
        school.fail_from_everywhere(limits, newcomer, 100).await;
        let account = Accounts::new(school.db.clone()).find(email(newcomer)).await.unwrap().unwrap();
        let accounts = Accounts::new(school.db.clone());
        let change = async |change| accounts.change(&account, vec![change], school.clock.now(), &OsRandom).await;
        change(Change::Enabled(true)).await.unwrap();
        assert!(school.fail(limits, newcomer, ip(ELSEWHERE)).await.is_err());
        change(Change::Password(account.password_hash.clone())).await.unwrap();
        school.fail(limits, newcomer, ip(ELSEWHERE)).await.unwrap();
    }

    async fn account_stays_known_at_an_address_for_90_days(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        school.succeed(limits, TEACHER, ADDRESS).await;
        school.clock.advance(KNOWN - TimeDelta::milliseconds(1));
        school.fail_from_everywhere(limits, TEACHER, 100).await;
        school.sweep(TimeDelta::zero() - KEEP_COUNTS).await;
        school.attempt(limits, TEACHER, ADDRESS).await.unwrap().release().await;
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(school.attempt(limits, TEACHER, ADDRESS).await.unwrap_err(), 900);
    }

    async fn concurrent_guesses_from_everywhere_do_not_exceed_the_account_limit(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let guesses = (0..300).map(|number| {
            let school = school.clone();
            tokio::spawn(async move { school.fail(PasswordLimits::DEFAULT, TEACHER, nth(number)).await.is_ok() })
        });
        let failed = join_all(guesses).await.into_iter().filter(|failed| *failed.as_ref().unwrap()).count();
        assert!((16..=100).contains(&failed), "{failed}");
        assert_eq!(school.attempts_in_progress().await, 0);
    }

    async fn concurrent_guesses_from_one_address_do_not_exceed_the_limit(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let guesses = (0..50).map(|_| {
            let school = school.clone();
            tokio::spawn(async move { school.fail(PasswordLimits::DEFAULT, TEACHER, ADDRESS).await.is_ok() })
        });
        let failed = join_all(guesses).await.into_iter().filter(|failed| *failed.as_ref().unwrap()).count();
        assert!((1..=5).contains(&failed), "{failed}");
        assert_eq!(school.attempts_in_progress().await, 0);
    }

    async fn full_address_refuses_repeated_attempts_and_then_unknown_accounts(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits { address: 10, address_spray: 20, ..PasswordLimits::DEFAULT };
        let here = ip("2001:db8:1:2::1");
        let neighbour = ip("2001:db8:1:2:3:4:5:6");
        school.succeed(limits, TEACHER, here).await;
        school.spray(limits, here, 10).await;
        // One of ten failures is forgotten in 30 s.
        assert_eq!(school.fail(limits, "0@spray.example", neighbour).await, Err(30));
        for number in 0..10 {
            school.fail(limits, &format!("{number}@school.example"), neighbour).await.unwrap();
        }
        // One of twenty failures is forgotten in 15 s.
        assert_eq!(school.fail(limits, "fresh@school.example", here).await, Err(15));
        school.succeed(limits, TEACHER, neighbour).await;
        school.clock.advance(TimeDelta::seconds(15));
        school.fail(limits, "fresh@school.example", here).await.unwrap();
        school.clock.advance(TimeDelta::minutes(5));
        for account in ["0@spray.example", "fresh@school.example"] {
            school.fail(limits, account, here).await.unwrap();
        }
    }

    async fn sign_ins_from_networks_of_one_site_share_a_count(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits { address: 10, address_spray: 20, ..PasswordLimits::DEFAULT };
        for number in 0..20 {
            school.fail(limits, &format!("{number}@spray.example"), nth_of_site(number)).await.unwrap();
        }
        assert_eq!(school.fail(limits, "fresh@spray.example", nth_of_site(1_000)).await, Err(15));
        school.fail(limits, "fresh@spray.example", ip("2001:db8:2::1")).await.unwrap();
    }

    async fn class_of_60_with_one_typo_each_signs_in(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        let pupils: Vec<_> = (0..60).map(|pupil| format!("{pupil}@school.example")).collect();
        let mistyped = join_all(pupils.iter().map(|pupil| school.attempt(limits, pupil, ADDRESS))).await;
        for attempt in mistyped {
            attempt.unwrap().commit().await.unwrap();
        }
        let again = join_all(pupils.iter().map(|pupil| school.attempt(limits, pupil, ADDRESS))).await;
        for attempt in again {
            attempt.unwrap().release().await;
        }
    }

    async fn guesses_at_known_accounts_count_in_the_address(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        let pupils: Vec<_> = (0..300).map(|pupil| format!("{pupil}@school.example")).collect();
        for pupil in &pupils {
            school.succeed(limits, pupil, ADDRESS).await;
        }
        let mut failed = 0;
        for _ in 0..5 {
            for pupil in &pupils {
                failed += u32::from(school.fail(limits, pupil, ADDRESS).await.is_ok());
            }
        }
        assert_eq!(failed, 600, "two for each account");
        // Other accounts of the school sign in, known there or not.
        school.succeed(limits, "300@school.example", ADDRESS).await;
        school.succeed(limits, "300@school.example", ADDRESS).await;
    }

    async fn spray_from_everywhere_is_limited_and_known_accounts_sign_in(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits { server_spray: 16, ..PasswordLimits::DEFAULT };
        school.succeed(limits, TEACHER, ADDRESS).await;
        let mut failed = 0;
        let refused = loop {
            match school.fail(limits, &format!("{failed}@spray.example"), nth(failed)).await {
                Ok(()) => failed += 1,
                Err(seconds) => break seconds,
            }
        };
        // Each of the 16 shards allows one failure.
        assert!((1..=16).contains(&failed));
        assert_eq!(refused, 300);
        school.succeed(limits, TEACHER, ADDRESS).await;
        school.clock.advance(TimeDelta::minutes(5));
        school.fail(limits, &format!("{failed}@spray.example"), nth(failed)).await.unwrap();
    }

    async fn school_of_600_behind_the_address_of_an_attacker_signs_in(kind: Kind) {
        let school = School::start(kind).await;
        let limits = PasswordLimits::DEFAULT;
        let (mut failed, mut refused) = (0, 0);
        for pupil in 0..600 {
            school.succeed(limits, &format!("{pupil}@school.example"), ADDRESS).await;
            for account in 0..3 {
                match school.fail(limits, &format!("{account}@victim.example"), ADDRESS).await {
                    Ok(()) => failed += 1,
                    Err(_) => refused += 1,
                }
            }
            school.clock.advance(TimeDelta::milliseconds(500));
        }
        assert_eq!(failed, 3 * 13, "5, and those after 1, 2, 4, ... 128 s");
        assert_eq!(failed + refused, 3 * 600);
    }

    async fn class_behind_a_full_address_signs_in(kind: Kind) {
        let school = School::start(kind).await;
        school.spray(PasswordLimits::DEFAULT, ADDRESS, 100).await;
        let pupils: Vec<_> = (0..30).map(|pupil| format!("{pupil}@school.example")).collect();
        for pupil in &pupils {
            school.enrol(pupil).await;
        }
        let before = school.counts_with_failures().await;
        let answers = join_all(pupils.iter().map(|pupil| school.request_code(json!({ "email": pupil }))));
        for answer in answers.await {
            assert_eq!(answer.status, 201, "{answer:?}");
        }
        assert_eq!(school.counts_with_failures().await, before);
        let answer = school.guess("0@spray.example", "wrong", ADDRESS).await;
        assert_eq!((answer.status, seconds(&answer)), (429, 3));
    }

    async fn refused_attempt_changes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        for _ in 0..5 {
            assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.status, 400);
        }
        let before = school.counts().await;
        for _ in 0..3 {
            assert_eq!(school.request_code(json!({})).await.status, 429);
        }
        assert_eq!(school.counts().await, before);
    }

    async fn counts_survive_a_restart_and_are_shared_by_nodes(kind: Kind) {
        let mut school = School::start(kind).await;
        for _ in 0..5 {
            assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.status, 400);
        }
        school.restart(|_| {});
        assert_eq!(school.request_code(json!({})).await.status, 429);
        school.restart(|parts| parts.identity.rate_limit = PasswordLimits::NONE);
        assert_eq!(school.request_code(json!({})).await.status, 201);
    }

    async fn clock_set_back_does_not_extend_the_wait(kind: Kind) {
        // Minutes by which the clock is moved, and the resulting wait in seconds. Clocks of nodes may differ by 30 s.
        for (moved, wait) in [(-1_800, None), (-31, None), (-30, Some(31)), (-1, Some(2)), (0, Some(1)), (60, None)] {
            let school = School::start(kind).await;
            let attempt = || school.attempt(PasswordLimits::DEFAULT, TEACHER, ADDRESS);
            for _ in 0..5 {
                attempt().await.unwrap().commit().await.unwrap();
            }
            school.clock.advance(TimeDelta::seconds(moved));
            match attempt().await {
                // The count starts again by the new clock.
                Ok(reservation) => {
                    reservation.commit().await.unwrap();
                    assert_eq!(wait, None, "{moved}");
                }
                Err(seconds) => assert_eq!(Some(seconds), wait, "{moved}"),
            }
        }
    }

    async fn sweep_deletes_counts_without_effect(kind: Kind) {
        let school = School::start(kind).await;
        school.spray(PasswordLimits::DEFAULT, ADDRESS, 600).await;
        school.succeed(PasswordLimits::DEFAULT, TEACHER, ip(ELSEWHERE)).await;
        let after = async |time: TimeDelta| {
            school.sweep(time).await;
            school.counts().await.len()
        };
        let begin = school.counts().await.len();
        assert_eq!(after(TimeDelta::zero()).await, begin - 1, "the teacher's account everywhere");
        // The counts of the address and of the server.
        let accounts = after(TimeDelta::minutes(5)).await;
        assert_eq!(accounts, 600 * 2 + 1);
        assert_eq!(after(DRAIN - TimeDelta::milliseconds(1)).await, accounts);
        assert_eq!(after(DRAIN).await, 1);
        assert_eq!(after(KNOWN).await, 0);
    }

    async fn client_address_is_taken_from_trusted_proxies_only(kind: Kind) {
        let mut school = School::start(kind).await;
        let as_of = |school: &School, from: &str, client: &str| {
            let body = changed(sign_in_body(TEACHER), json!({ "password": "wrong" }));
            let call = school.post("/api/v1/codes").json(&body).from(ip(from));
            call.header("X-Forwarded-For", format!("203.0.113.1, {client}")).request()
        };
        let statuses = async |school: &School, from: &str| {
            let mut statuses = Vec::new();
            for number in 0..6 {
                let request = as_of(school, from, &format!("198.51.100.{number}"));
                statuses.push(poem::Endpoint::get_response(&school.server.endpoint().unwrap(), request).await.status().as_u16());
            }
            statuses
        };
        assert_eq!(statuses(&school, "10.0.0.1").await, [400, 400, 400, 400, 400, 429]);
        school.restart(|parts| parts.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(statuses(&school, "10.0.0.1").await, [400; 6]);
        assert_eq!(statuses(&school, "192.0.2.1").await, [400, 400, 400, 400, 400, 429]);
        // The address from the proxy is the one that counts.
        for _ in 0..4 {
            assert_eq!(school.guess(TEACHER, "wrong", ip("198.51.100.0")).await.status, 400);
        }
        assert_eq!(school.guess(TEACHER, "wrong", ip("198.51.100.0")).await.status, 429);
    }
}
