//! Join codes are not guessed.

use std::net::IpAddr;

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    throttle::{Refusal, joins::Limits},
};
use serde_json::json;
use uuid::Uuid;

use super::{ELSEWHERE, ip, seconds};
use crate::support::{ADDRESS, COLLEAGUE, STUDENT, School, TEACHER, assert_failure, both};

both! {
    async fn a_user_tries_ten_join_codes_that_admit_nobody(kind: Kind) {
        let school = School::found(kind).await;
        let teacher = school.token(TEACHER).await;
        let code = school.draw(&teacher).await;
        let (student, colleague) = (school.token(STUDENT).await, school.token(COLLEAGUE).await);
        for number in 0..10 {
            // What can be no code is a try as well.
            let typed = if number % 2 == 0 { "AAAAAAAA" } else { "!" };
            assert_eq!(school.join(&student, typed).await.status, 400);
        }
        for typed in ["AAAAAAAA", "!", code.expose()] {
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
            assert_eq!(seconds(&answer), 300);
        }
        assert_eq!(school.join(&colleague, code.expose()).await.status, 201);
        school.clock.advance(TimeDelta::minutes(5));
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        // A code that admits somebody is no guess.
        for _ in 0..12 {
            assert_eq!(school.join(&student, code.expose()).await.status, 409);
            assert_eq!(school.join(&teacher, code.expose()).await.status, 400);
        }
        assert_eq!(school.join(&student, "AAAAAAAA").await.status, 400);
    }

    async fn a_class_of_600_joins_behind_the_address_of_somebody_who_guesses(kind: Kind) {
        let school = School::found(kind).await;
        let limits = Limits::DEFAULT;
        let attempt = async |user: u128, from: IpAddr| {
            limits.charge(&school.store, Uuid::from_u128(user), Some(from), school.clock.now()).await
        };
        for guesser in 0..30 {
            for _ in 0..10 {
                attempt(guesser, ADDRESS).await.unwrap().fail(&school.store).await.unwrap();
            }
        }
        assert_eq!(school.failures().await, 300 + 300);
        let pupils = (1_000..1_600).map(|pupil| attempt(pupil, ADDRESS));
        // Whoever gets in has nothing to say to that, and it is given back.
        futures_util::future::join_all(pupils).await.into_iter().for_each(|pupil| drop(pupil.unwrap()));
        school.until_failures_are(300 + 300).await;
        // Past the limit of the address, a user who fails there has no second try; elsewhere they have.
        let mistyped = attempt(1_000, ADDRESS).await.unwrap();
        mistyped.fail(&school.store).await.unwrap();
        assert!(matches!(attempt(1_000, ADDRESS).await, Err(Refusal::Throttled { retry_after_seconds: 300 })));
        attempt(1_000, ip(ELSEWHERE)).await.unwrap().fail(&school.store).await.unwrap();
    }

    async fn who_never_failed_gets_in_behind_a_full_address_however_soon_they_come_again(kind: Kind) {
        let mut school = School::found(kind).await;
        school.restart(|parts| parts.classroom.throttle = Limits { network: 1, ..Limits::DEFAULT });
        let teacher = school.token(TEACHER).await;
        let code = school.draw(&teacher).await;
        let (student, colleague) = (school.token(STUDENT).await, school.token(COLLEAGUE).await);
        assert_eq!(school.join(&colleague, "AAAAAAAA").await.status, 400);
        assert_eq!(school.join(&colleague, code.expose()).await.status, 429);
        for status in [201, 409, 409, 409, 409] {
            assert_eq!(school.join(&student, code.expose()).await.status, status);
        }
    }

    async fn tries_at_the_same_time_do_not_outrun_the_count_of_their_user(kind: Kind) {
        let school = School::found(kind).await;
        let teacher = school.token(TEACHER).await;
        let code = school.draw(&teacher).await;
        let student = school.token(STUDENT).await;
        let user = school.account(STUDENT).await.id;
        // They are counted before anybody knows what they are.
        let (limits, now) = (Limits::DEFAULT, school.clock.now());
        let tries = (0..40).map(|_| limits.charge(&school.store, user, Some(ADDRESS), now));
        let tries = futures_util::future::join_all(tries).await;
        assert_eq!(tries.iter().filter(|attempt| attempt.is_ok()).count(), 10);
        assert_eq!(school.join(&student, code.expose()).await.status, 429);
        drop(tries);
        school.until_failures_are(0).await;
        // Whatever the order in which they are judged, of wrong ones there are ten.
        let typed = (0..100).map(|number| if number < 99 { "AAAAAAAA" } else { code.expose() });
        let answers = futures_util::future::join_all(typed.map(|typed| school.join(&student, typed))).await;
        let wrong = answers.iter().filter(|answer| answer.status == 400).count();
        assert!((9..=10).contains(&wrong), "{wrong}");
        assert!(answers.iter().all(|answer| [201, 400, 429].contains(&answer.status)));
        assert_eq!(school.join(&student, code.expose()).await.status == 429, wrong == 10);
    }
}
