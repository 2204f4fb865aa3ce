//! Limits on guessing join codes.

use std::net::IpAddr;

use chrono::TimeDelta;
use homeroom::{
    domain::{id::UserId, network::Network},
    rate_limit::{limiter::Action, policies::JoinLimits},
};
use serde_json::json;

use super::{ELSEWHERE, Outcome, ip, nth_of_site, seconds};
use crate::support::{ADDRESS, COLLEAGUE, STUDENT, School, TEACHER, assert_failure, both};

impl School {
    /// Begins an attempt of a user to join.
    async fn attempt_to_join(&self, limits: JoinLimits, user: u128, from: IpAddr) -> Outcome {
        let counts = limits.counts(UserId::from_u128(user), Network::of(Some(from)));
        self.begin(Action::Join, counts).await
    }

    /// Counts a wrong join code.
    async fn fail_to_join(&self, user: u128, from: IpAddr) -> Result<(), u64> {
        self.attempt_to_join(JoinLimits::DEFAULT, user, from).await?.commit().await.unwrap();
        Ok(())
    }
}

both! {
    async fn user_after_ten_wrong_join_codes_is_refused_and_others_join(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let code = school.generate_join_code(&teacher).await;
        let (student, colleague) = (school.token(STUDENT).await, school.token(COLLEAGUE).await);
        for number in 0..10 {
            // Text that is not a code counts too.
            let typed = if number % 2 == 0 { "BBBBBBBB" } else { "!" };
            assert_eq!(school.join(&student, typed).await.status, 400);
        }
        for typed in ["BBBBBBBB", "!", code.expose()] {
            let answer = school.join(&student, typed).await;
            let body = json!({
                "success": false,
                "code": 429,
                "errorCode": "TOO_MANY_REQUESTS",
                "message": "Too many requests; try again later",
                "timestamp": "2026-05-04T09:42:00Z",
            });
            assert_eq!(answer.whole(), (429, body));
            assert_eq!(assert_failure("/classes/join/1", &answer), "TOO_MANY_REQUESTS");
            assert_eq!(seconds(&answer), 30);
        }
        assert_eq!(school.join(&colleague, code.expose()).await.status, 201);
        school.clock.advance(TimeDelta::seconds(30) - TimeDelta::milliseconds(1));
        assert_eq!(seconds(&school.join(&student, code.expose()).await), 1);
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        // A valid code counts no failure.
        for _ in 0..12 {
            assert_eq!(school.join(&student, code.expose()).await.status, 409);
            assert_eq!(school.join(&teacher, code.expose()).await.status, 400);
        }
        assert_eq!(school.join(&student, "BBBBBBBB").await.status, 400);
    }

    async fn class_of_600_behind_the_address_of_an_attacker_joins(kind: Kind) {
        let school = School::start(kind).await;
        for guesser in 0..30 {
            for _ in 0..10 {
                school.fail_to_join(guesser, ADDRESS).await.unwrap();
            }
        }
        let pupils = (1_000..1_600).map(|pupil| school.attempt_to_join(JoinLimits::DEFAULT, pupil, ADDRESS));
        futures_util::future::join_all(pupils).await.into_iter().for_each(|pupil| drop(pupil.unwrap()));
        school.wait_until_no_attempt_is_in_progress().await;
        // Beyond the limit of the address, a user with a failure is refused there, but not elsewhere.
        school.fail_to_join(1_000, ADDRESS).await.unwrap();
        assert_eq!(school.attempt_to_join(JoinLimits::DEFAULT, 1_000, ADDRESS).await.unwrap_err(), 1);
        school.fail_to_join(1_000, ip(ELSEWHERE)).await.unwrap();
        school.clock.advance(TimeDelta::seconds(1));
        school.fail_to_join(1_000, ADDRESS).await.unwrap();
    }

    async fn joins_from_networks_of_one_site_share_a_count(kind: Kind) {
        let school = School::start(kind).await;
        for number in 0..300 {
            school.fail_to_join(number.into(), nth_of_site(number)).await.unwrap();
        }
        for number in 0..300 {
            assert!(school.fail_to_join(number.into(), nth_of_site(number + 1_000)).await.is_err());
        }
        school.fail_to_join(0, ip("2001:db8:2::1")).await.unwrap();
    }

    async fn user_without_failures_behind_a_full_address_joins(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.classroom.rate_limit = JoinLimits { address: 1, ..JoinLimits::DEFAULT });
        let teacher = school.token(TEACHER).await;
        let code = school.generate_join_code(&teacher).await;
        let (student, colleague) = (school.token(STUDENT).await, school.token(COLLEAGUE).await);
        assert_eq!(school.join(&colleague, "BBBBBBBB").await.status, 400);
        assert_eq!(school.join(&colleague, code.expose()).await.status, 429);
        for status in [201, 409, 409, 409, 409] {
            assert_eq!(school.join(&student, code.expose()).await.status, status);
        }
    }

    async fn concurrent_joins_do_not_exceed_the_limit(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let code = school.generate_join_code(&teacher).await;
        let student = school.token(STUDENT).await;
        let user = uuid::Uuid::from(school.account(STUDENT).await.id).as_u128();
        let mut tries = Vec::new();
        for _ in 0..40 {
            tries.push(school.attempt_to_join(JoinLimits::DEFAULT, user, ADDRESS).await);
        }
        assert_eq!(tries.iter().filter(|attempt| attempt.is_ok()).count(), 10);
        let answer = school.join(&student, code.expose()).await;
        // No failure is counted: the attempts are in progress.
        assert_eq!((answer.status, seconds(&answer)), (429, 1));
        drop(tries);
        school.wait_until_no_attempt_is_in_progress().await;
        // In any order, at most ten fail.
        let typed = (0..100).map(|number| if number < 99 { "BBBBBBBB" } else { code.expose() });
        let answers = futures_util::future::join_all(typed.map(|typed| school.join(&student, typed))).await;
        let wrong = answers.iter().filter(|answer| answer.status == 400).count();
        assert!((1..=10).contains(&wrong), "{wrong}");
        assert!(answers.iter().all(|answer| [201, 400, 429].contains(&answer.status)));
    }
}
