//! Guessing passwords.

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    identity::SWEPT_AFTER,
    throttle::{
        passwords::{KNOWN, Limits},
        unlock,
    },
};
use serde_json::json;

use super::{ELSEWHERE, email, ip, nth, seconds};
use crate::support::{
    ADDRESS, COLLEAGUE, STUDENT, School, TEACHER, assert_failure, both, sign_in_body,
    signing_in::{CREDENTIALS, changed, errors, refused},
};
both! {
    async fn some_failures_are_free_then_each_doubles_the_delay_and_the_hundredth_waits_for_an_operator(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits { network: 0, network_spray: 0, server_spray: 0, ..Limits::DEFAULT };
        let attempt = || school.attempt(limits, TEACHER, ADDRESS);
        for _ in 0..4 {
            attempt().await.unwrap().judge();
        }
        for failure in 5..100 {
            attempt().await.unwrap().judge();
            let delay = if failure < 15 { 1 << (failure - 5) } else { 870 };
            assert_eq!(attempt().await.unwrap_err(), delay, "after {failure}");
            school.clock.advance(TimeDelta::seconds(i64::try_from(delay).unwrap()) - TimeDelta::milliseconds(1));
            assert_eq!(attempt().await.unwrap_err(), 1, "after {failure}");
            school.clock.advance(TimeDelta::milliseconds(1));
        }
        attempt().await.unwrap().judge();
        for _ in 0..3 {
            assert_eq!(attempt().await.unwrap_err(), 900);
            school.clock.advance(TimeDelta::days(1_000));
            school.app.identity.sweep(school.clock.now() + SWEPT_AFTER).await.unwrap();
        }
        unlock(&school.store, &email(TEACHER)).await.unwrap();
        attempt().await.unwrap().judge();
    }

    async fn a_success_ends_the_failures_in_a_row(kind: Kind) {
        let school = School::found(kind).await;
        // The first time they are counted for network and server as well; then the address is known.
        for left in [8, 0, 0] {
            for _ in 0..4 {
                assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.whole(), refused(CREDENTIALS));
            }
            school.sign_in(TEACHER).await;
            assert_eq!(school.failures().await, left);
            school.clock.advance(TimeDelta::minutes(5));
            school.app.identity.sweep(school.clock.now() + SWEPT_AFTER).await.unwrap();
        }
    }

    async fn whoever_is_refused_learns_nothing_but_when_to_come_again(kind: Kind) {
        let school = School::found(kind).await;
        school.change_account(STUDENT, |account| account.enabled = false).await;
        school.change_account(COLLEAGUE, |account| account.email_verified_at = None).await;
        let mut answers = Vec::new();
        for account in [TEACHER, "nobody@example.com", STUDENT, COLLEAGUE] {
            for _ in 0..5 {
                assert_eq!(school.guess(account, "wrong", ADDRESS).await.whole(), refused(CREDENTIALS));
            }
            // With the right password, too.
            let answer = school.ask_code(json!({ "email": account })).await;
            assert_eq!(assert_failure("/api/v1/codes", &answer), "[E4290]");
            assert_eq!(answer.whole(), errors(429, "[E4290]", &["Too many requests; try again later"]));
            assert_eq!(answer.header("retry-after"), Some("1"));
            answers.push(answer);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        school.clock.advance(TimeDelta::seconds(1));
        school.sign_in(TEACHER).await;
    }

    async fn an_account_is_guessed_a_hundred_times_over_all_addresses_and_its_owner_gets_in(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits::DEFAULT;
        school.sign_in(TEACHER).await;
        school.fail_from_everywhere(limits, TEACHER, 100).await;
        for stranger in [ip(ELSEWHERE), nth(7)] {
            let answer = school.guess(TEACHER, "wrong", stranger).await;
            assert_eq!((answer.status, seconds(&answer)), (429, 900));
        }
        // The owner may even mistype it. Their success makes room for strangers, such as themselves elsewhere.
        assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.status, 400);
        school.sign_in(TEACHER).await;
        assert_eq!(school.guess(TEACHER, "wrong", ip(ELSEWHERE)).await.status, 400);
    }

    async fn an_owner_is_known_for_90_days(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits::DEFAULT;
        school.succeed(limits, TEACHER, ADDRESS).await;
        school.fail_from_everywhere(limits, TEACHER, 100).await;
        school.clock.advance(KNOWN - TimeDelta::milliseconds(1));
        school.app.identity.sweep(school.clock.now() + SWEPT_AFTER).await.unwrap();
        let charge = school.attempt(limits, TEACHER, ADDRESS).await.unwrap();
        charge.give_back().await;
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(school.attempt(limits, TEACHER, ADDRESS).await.unwrap_err(), 900);
        unlock(&school.store, &email(TEACHER)).await.unwrap();
        school.attempt(limits, TEACHER, ADDRESS).await.unwrap().judge();
    }

    async fn parallel_guesses_from_everywhere_do_not_outrun_the_count_of_their_account(kind: Kind) {
        let school = Arc::new(School::found(kind).await);
        let guesses = (0..200).map(|number| {
            let school = school.clone();
            tokio::spawn(async move {
                school.attempt(Limits::DEFAULT, TEACHER, nth(number)).await.map(|mut charge| charge.judge()).is_ok()
            })
        });
        let through = futures_util::future::join_all(guesses).await;
        let through = through.into_iter().filter(|through| *through.as_ref().unwrap()).count();
        // Who is overtaken is refused, and so may be who comes while they give back what they had taken.
        assert!((60..=100).contains(&through), "{through}");
        let counted = i64::try_from(through).unwrap();
        // The account, the pairs, their networks, and the parts of the server.
        assert_eq!(school.failures().await, 4 * counted);
        assert!(school.counts().await.iter().all(|count| count.failures <= counted));
    }

    async fn parallel_guesses_from_one_address_do_not_outrun_the_count_of_the_pair(kind: Kind) {
        let school = Arc::new(School::found(kind).await);
        let guesses = (0..50).map(|_| {
            let school = school.clone();
            tokio::spawn(async move {
                school.attempt(Limits::DEFAULT, TEACHER, ADDRESS).await.map(|mut charge| charge.judge()).is_ok()
            })
        });
        let through = futures_util::future::join_all(guesses).await;
        let through = through.into_iter().filter(|through| *through.as_ref().unwrap()).count();
        assert_eq!(through, 5);
        assert_eq!(school.failures().await, 4 * 5);
    }

    async fn an_address_past_its_limit_refuses_who_failed_there_and_past_its_second_who_is_not_known(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits { network: 10, network_spray: 20, ..Limits::DEFAULT };
        let here = ip("2001:db8:1:2::1");
        let neighbour = ip("2001:db8:1:2:3:4:5:6");
        school.succeed(limits, TEACHER, here).await;
        school.spray(limits, here, 9).await;
        school.clock.advance(TimeDelta::milliseconds(60_500));
        school.attempt(limits, "0@spray.example", neighbour).await.unwrap().judge();
        // The window began with the first failure.
        assert_eq!(school.attempt(limits, "0@spray.example", neighbour).await.unwrap_err(), 240);
        for number in 0..10 {
            school.attempt(limits, &format!("{number}@school.example"), neighbour).await.unwrap().judge();
        }
        assert_eq!(school.attempt(limits, "fresh@school.example", here).await.unwrap_err(), 240);
        school.succeed(limits, TEACHER, neighbour).await;
        school.attempt(limits, "fresh@school.example", ip("2001:db8:1:3::1")).await.unwrap().judge();
        school.clock.advance(TimeDelta::seconds(239) + TimeDelta::milliseconds(500));
        for account in ["0@spray.example", "fresh@school.example"] {
            school.attempt(limits, account, here).await.unwrap().judge();
        }
    }

    async fn a_spray_from_many_addresses_is_slowed_and_whoever_is_known_gets_in(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits { server_spray: 16, ..Limits::DEFAULT };
        school.succeed(limits, TEACHER, ADDRESS).await;
        let mut through = 0;
        let refused = loop {
            match school.attempt(limits, &format!("{through}@spray.example"), nth(through)).await {
                Ok(mut charge) => {
                    charge.judge();
                    through += 1;
                }
                Err(seconds) => break seconds,
            }
        };
        // Each of 16 parts has room for one.
        assert!((1..=16).contains(&through));
        assert_eq!(refused, 300);
        school.succeed(limits, TEACHER, ADDRESS).await;
        school.clock.advance(TimeDelta::minutes(5));
        school.attempt(limits, &format!("{through}@spray.example"), nth(through)).await.unwrap().judge();
    }

    async fn a_school_of_600_gets_in_for_the_first_time_behind_the_address_of_somebody_who_guesses(kind: Kind) {
        let school = Arc::new(School::found(kind).await);
        let limits = Limits::DEFAULT;
        let mut guesser = Vec::new();
        for pupil in 0..600 {
            school.succeed(limits, &format!("{pupil}@school.example"), ADDRESS).await;
            for account in 0..3 {
                let account = format!("{account}@victim.example");
                guesser.push(school.attempt(limits, &account, ADDRESS).await.map(|mut charge| charge.judge()).err());
            }
            school.clock.advance(TimeDelta::milliseconds(500));
        }
        let refused = guesser.iter().filter(|refused| refused.is_some()).count();
        assert_eq!(guesser.len() - refused, 3 * 13, "4, and those after 1, 2, 4, ... 128 s");
    }

    async fn a_class_signs_in_at_once_behind_an_address_past_its_limit(kind: Kind) {
        let school = School::found(kind).await;
        school.spray(Limits::DEFAULT, ADDRESS, 100).await;
        let pupils: Vec<_> = (0..30).map(|pupil| format!("{pupil}@school.example")).collect();
        for pupil in &pupils {
            school.enrol(pupil).await;
        }
        let before = school.failures().await;
        let answers = futures_util::future::join_all(pupils.iter().map(|pupil| {
            school.ask_code(json!({ "email": pupil }))
        }));
        for answer in answers.await {
            assert_eq!(answer.status, 201, "{answer:?}");
        }
        assert_eq!(school.failures().await, before);
        let answer = school.guess("0@spray.example", "wrong", ADDRESS).await;
        assert_eq!((answer.status, seconds(&answer)), (429, 300));
    }

    async fn what_is_refused_changes_nothing(kind: Kind) {
        let school = School::found(kind).await;
        for _ in 0..5 {
            assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.status, 400);
        }
        let before = school.counts().await;
        for _ in 0..3 {
            assert_eq!(school.ask_code(json!({})).await.status, 429);
        }
        assert_eq!(school.counts().await, before);
    }

    async fn no_attempt_that_arrived_a_moment_before_passes_the_longest_delay(kind: Kind) {
        let school = School::found(kind).await;
        let attempt = || school.attempt(Limits::DEFAULT, TEACHER, ADDRESS);
        for _ in 0..14 {
            school.clock.advance(TimeDelta::minutes(15));
            attempt().await.unwrap().judge();
        }
        school.clock.advance(TimeDelta::minutes(15));
        attempt().await.unwrap().judge();
        school.clock.advance(-TimeDelta::seconds(30));
        assert_eq!(attempt().await.unwrap_err(), 900);
        // Further back it is the clock that was set.
        school.clock.advance(-TimeDelta::milliseconds(1));
        attempt().await.unwrap().judge();
    }

    async fn a_restart_and_another_node_forget_nothing(kind: Kind) {
        let mut school = School::found(kind).await;
        for _ in 0..5 {
            assert_eq!(school.guess(TEACHER, "wrong", ADDRESS).await.status, 400);
        }
        school.restart(|_| {});
        assert_eq!(school.ask_code(json!({})).await.status, 429);
        school.restart(|parts| parts.identity.throttle = Limits::NONE);
        assert_eq!(school.ask_code(json!({})).await.status, 201);
    }

    async fn a_clock_that_is_moved_makes_nobody_wait_longer_than_a_rule_may(kind: Kind) {
        let limits = Limits { network: 6, ..Limits::DEFAULT };
        // Minutes by which the clock is moved, and seconds to wait then: for the delay of a second as the clock has it, if
        // it is no longer than the longest one; and for a window of five minutes.
        for (moved, wait) in
            [(-60, None), (-15, None), (-14, Some(841)), (-1, Some(61)), (1, Some(240)), (5, None), (60, None)]
        {
            let school = School::found(kind).await;
            let attempt = || school.attempt(limits, TEACHER, ADDRESS);
            for _ in 0..5 {
                attempt().await.unwrap().judge();
            }
            school.spray(limits, ADDRESS, 1).await;
            assert_eq!(attempt().await.unwrap_err(), 300);
            school.clock.advance(TimeDelta::minutes(moved));
            assert_eq!(attempt().await.err(), wait, "{moved}");
        }
    }

    async fn an_attempt_that_arrived_before_the_window_was_opened_is_counted_in_it(kind: Kind) {
        let limits = Limits { network_spray: 3, ..Limits::DEFAULT };
        let school = School::found(kind).await;
        school.spray(limits, ip(ELSEWHERE), 1).await;
        // Its body took ten seconds, or its node's clock is behind.
        school.clock.advance(TimeDelta::seconds(-10));
        school.spray(limits, ip(ELSEWHERE), 2).await;
        assert_eq!(school.attempt(limits, TEACHER, ip(ELSEWHERE)).await.unwrap_err(), 310);
        school.clock.advance(TimeDelta::seconds(10));
        assert_eq!(school.attempt(limits, TEACHER, ip(ELSEWHERE)).await.unwrap_err(), 300);
    }

    async fn what_means_nothing_any_more_is_swept_away(kind: Kind) {
        let school = School::found(kind).await;
        school.spray(Limits::DEFAULT, ADDRESS, 600).await;
        school.succeed(Limits::DEFAULT, TEACHER, ip(ELSEWHERE)).await;
        let sweep = async |after: TimeDelta| {
            school.app.identity.sweep(school.clock.now() + after + SWEPT_AFTER).await.unwrap();
            school.counts().await.len()
        };
        let all = school.counts().await.len();
        assert_eq!(sweep(TimeDelta::zero()).await, all - 1, "the account that has no failures");
        let windows = all - 1 - sweep(TimeDelta::minutes(5)).await;
        assert!((3..=18).contains(&windows), "{windows}");
        assert_eq!(sweep(TimeDelta::days(7) - TimeDelta::milliseconds(1)).await, 600 * 2 + 1);
        assert_eq!(sweep(TimeDelta::days(7)).await, 1);
        assert_eq!(sweep(KNOWN).await, 0);
    }

    async fn only_a_trusted_proxy_says_where_a_request_comes_from(kind: Kind) {
        let mut school = School::found(kind).await;
        let as_of = |school: &School, from: &str, client: &str| {
            let body = changed(sign_in_body(TEACHER), json!({ "password": "wrong" }));
            let call = school.post("/api/v1/codes").json(&body).from(ip(from));
            call.header("X-Forwarded-For", format!("203.0.113.1, {client}")).request()
        };
        let statuses = async |school: &School, from: &str| {
            let mut statuses = Vec::new();
            for number in 0..6 {
                let request = as_of(school, from, &format!("198.51.100.{number}"));
                statuses.push(poem::Endpoint::get_response(&school.app.endpoint(), request).await.status().as_u16());
            }
            statuses
        };
        assert_eq!(statuses(&school, "10.0.0.1").await, [400, 400, 400, 400, 400, 429]);
        school.restart(|parts| parts.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(statuses(&school, "10.0.0.1").await, [400; 6]);
        assert_eq!(statuses(&school, "192.0.2.1").await, [400, 400, 400, 400, 400, 429]);
        // What the proxy named is what was charged.
        for _ in 0..4 {
            assert_eq!(school.guess(TEACHER, "wrong", ip("198.51.100.0")).await.status, 400);
        }
        assert_eq!(school.guess(TEACHER, "wrong", ip("198.51.100.0")).await.status, 429);
    }
}
