//! Generating join codes: every documented response, and the limit.

use chrono::TimeDelta;
use homeroom::{
    domain::{id::ClassId, join_code::JoinCode},
    entity::join_code,
};
use sea_orm::EntityTrait;
use serde_json::json;

use crate::support::{Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER, both, failure};

/// Requests a join code for the teacher's class.
async fn generate(school: &School, token: &str) -> Answer {
    school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(token).send().await
}

/// Generates as many codes for the teacher's class as its limit allows at once.
async fn generate_60(school: &School, token: &str) {
    for number in 0..60 {
        assert_eq!(generate(school, token).await.status, 200, "{number}");
    }
}

async fn row(school: &School, class: ClassId) -> join_code::Model {
    join_code::Entity::find_by_id(class).one(school.db.read()).await.unwrap().unwrap()
}

both! {
    async fn generate_join_code_by_owner_returns_code_valid_for_a_week(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        school.random.set_next(&[0, 1, 10, 15, 16, 18, 28, 29]);
        let answer = school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(&token).send().await;
        let body = json!({
            "success": true,
            "code": 200,
            "message": "Join code generated successfully",
            "data": { "joinCode": "01BHJMYZ", "expiresAt": "2026-05-11T09:42:00Z" },
        });
        assert_eq!(answer.whole(), (200, body));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    async fn generate_join_code_without_valid_token_is_401_with_challenge(kind: Kind) {
        let school = School::start(kind).await;
        let path = format!("/classes/{OWN_CLASS}/join-code");
        let refusal = failure(401, "UNAUTHORIZED", "A valid access token is required");

        let without = school.post(&path).send().await;
        assert_eq!(without.whole(), refusal);
        assert_eq!(without.header("www-authenticate"), Some(r#"Bearer realm="homeroom""#));

        let token = school.token(TEACHER).await;
        school.clock.advance(TimeDelta::minutes(60));
        let expired = school.post(&path).bearer(&token).send().await;
        assert_eq!(expired.status, 401);
        let invalid = Some(r#"Bearer realm="homeroom", error="invalid_token""#);
        assert_eq!(expired.header("www-authenticate"), invalid);
    }

    async fn generate_join_code_for_class_of_another_user_is_403_and_for_unknown_class_404(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let generate = |class: &str| school.post(&format!("/classes/{class}/join-code")).bearer(&token).send();
        let forbidden = failure(403, "FORBIDDEN", "Only class owner can generate join code");
        assert_eq!(generate(&OTHER_CLASS.to_string()).await.whole(), forbidden);
        let unknown = failure(404, "CLASS_NOT_FOUND", "Class not found");
        for class in ["44444444-4444-4444-4444-444444444444", "10A1", "%FF", "%2F"] {
            assert_eq!(generate(class).await.whole(), unknown, "{class}");
        }
    }

    async fn generate_join_code_that_another_class_has_is_generated_again(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let colleague = school.token(COLLEAGUE).await;
        school.random.set_next(&[7; 8]);
        let first = school.post(&format!("/classes/{OTHER_CLASS}/join-code")).bearer(&colleague).send().await;
        assert_eq!(first.json()["data"]["joinCode"], "77777777");
        for _ in 0..3 {
            school.random.set_next(&[7; 8]);
        }
        school.random.set_next(&[8; 8]);
        assert_eq!(school.generate_join_code(&token).await.expose(), "88888888");
    }

    async fn generate_join_code_61_times_at_once_last_is_429_and_one_more_is_allowed_per_second(kind: Kind) {
        let school = School::start(kind).await;
        let (token, colleague) = (school.token(TEACHER).await, school.token(COLLEAGUE).await);
        generate_60(&school, &token).await;
        let live = row(&school, OWN_CLASS).await;
        let refused = generate(&school, &token).await;
        assert_eq!(refused.whole(), failure(429, "TOO_MANY_REQUESTS", "Too many requests; try again later"));
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(row(&school, OWN_CLASS).await, live, "a refused request changes nothing");
        // Each class has a limit of its own.
        let other = school.post(&format!("/classes/{OTHER_CLASS}/join-code")).bearer(&colleague).send().await;
        assert_eq!(other.status, 200);

        school.clock.advance(TimeDelta::milliseconds(999));
        assert_eq!(generate(&school, &token).await.status, 429);
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(generate(&school, &token).await.status, 200);
        assert_eq!(generate(&school, &token).await.status, 429);
        school.clock.advance(TimeDelta::minutes(1));
        generate_60(&school, &token).await;
        assert_eq!(generate(&school, &token).await.status, 429);
    }

    async fn generate_join_code_over_limit_by_another_user_is_401_or_403(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        generate_60(&school, &token).await;
        assert_eq!(generate(&school, "x").await.status, 401);
        assert_eq!(generate(&school, &student).await.status, 403);
        assert_eq!(generate(&school, &token).await.status, 429);
    }

    async fn generate_join_code_by_another_user_does_not_count_against_owner(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        for _ in 0..61 {
            assert_eq!(generate(&school, &student).await.status, 403);
        }
        assert_eq!(generate(&school, &token).await.status, 200);
    }

    async fn generate_join_code_after_clock_was_set_back_is_not_limited_by_later_codes(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        generate_60(&school, &token).await;
        // The clocks of two nodes may differ by this much.
        school.clock.advance(TimeDelta::milliseconds(-30_000));
        let refused = generate(&school, &token).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("31")));
        school.clock.advance(TimeDelta::milliseconds(-1));
        generate_60(&school, &token).await;
        school.clock.advance(TimeDelta::hours(-1));
        generate_60(&school, &token).await;
        assert_eq!(generate(&school, &token).await.status, 429);
        school.clock.advance(TimeDelta::hours(2));
        assert_eq!(generate(&school, &token).await.status, 200);
    }

    async fn replace_join_code_that_changed_since_it_was_read_changes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        generate(&school, &token).await;
        let read = row(&school, OWN_CLASS).await;
        generate(&school, &token).await;
        let newer = row(&school, OWN_CLASS).await;

        // A statement that the network delayed.
        let late = join_code::Model { code: JoinCode::parse("7KQ2M9XD").unwrap(), ..read.clone() };
        for previous in [Some(&read.code), None] {
            let replaced = join_code::Entity::replace(school.db.writer(), previous, &late).await.unwrap();
            assert!(!replaced, "{previous:?}");
            assert_eq!(row(&school, OWN_CLASS).await, newer);
        }
        assert!(join_code::Entity::replace(school.db.writer(), Some(&newer.code), &late).await.unwrap());
        assert_eq!(row(&school, OWN_CLASS).await, late);
    }
}
