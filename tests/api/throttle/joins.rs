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
        let admit = async |user: u128, from: IpAddr| {
            limits.admit(&school.store, Uuid::from_u128(user), Some(from), school.clock.now()).await
        };
        for guesser in 0..30 {
            for _ in 0..10 {
                admit(guesser, ADDRESS).await.unwrap().fail(&school.store).await.unwrap();
            }
        }
        let before = school.counts().await;
        for pupil in 1_000..1_600 {
            let _ = admit(pupil, ADDRESS).await.unwrap();
        }
        assert_eq!(school.counts().await, before, "nothing is written for who succeeds");
        // Past the limit of the address, a user who fails there has no second try; elsewhere they have.
        let mistyped = admit(1_000, ADDRESS).await.unwrap();
        mistyped.fail(&school.store).await.unwrap();
        assert!(matches!(admit(1_000, ADDRESS).await, Err(Refusal::Throttled { retry_after_seconds: 300 })));
        admit(1_000, ip(ELSEWHERE)).await.unwrap().fail(&school.store).await.unwrap();
        // Tries that were all let in at once are refused when they fail.
        let mut at_once = Vec::new();
        for _ in 0..20 {
            at_once.push(admit(2_000, ip(ELSEWHERE)).await.unwrap());
        }
        let mut failed = 0;
        for attempt in at_once {
            failed += u32::from(attempt.fail(&school.store).await.is_ok());
        }
        assert_eq!(failed, 10);
    }
}
