//! Drawing a join code: every documented answer, whole.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{COLLEAGUE, OTHER_CLASS, OWN_CLASS, School, TEACHER, both};

fn failure(code: u16, error_code: &str, message: &str) -> (u16, Value) {
    let body = json!({
        "success": false,
        "code": code,
        "errorCode": error_code,
        "message": message,
        "timestamp": "2026-05-04T09:42:00Z",
    });
    (code, body)
}

both! {
    async fn the_owner_draws_a_code_that_lives_a_week(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        school.chance.deal(&[0, 1, 10, 17, 18, 20, 30, 31]);
        let answer = school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(&token).send().await;
        let body = json!({
            "success": true,
            "code": 200,
            "message": "Join code generated successfully",
            "data": { "joinCode": "01AHJMYZ", "expiresAt": "2026-05-11T09:42:00Z" },
        });
        assert_eq!(answer.whole(), (200, body));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    async fn whoever_bears_no_accepted_token_is_told_how_to_authenticate(kind: Kind) {
        let school = School::found(kind).await;
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

    async fn a_class_of_somebody_elses_is_forbidden_and_an_unknown_one_not_found(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        let draw = |class: &str| school.post(&format!("/classes/{class}/join-code")).bearer(&token).send();
        let forbidden = failure(403, "FORBIDDEN", "Only class owner can generate join code");
        assert_eq!(draw(&OTHER_CLASS.to_string()).await.whole(), forbidden);
        let unknown = failure(404, "CLASS_NOT_FOUND", "Class not found");
        for class in ["44444444-4444-4444-4444-444444444444", "10A1", "%FF", "%2F"] {
            assert_eq!(draw(class).await.whole(), unknown, "{class}");
        }
    }

    async fn a_code_that_another_class_has_is_drawn_again(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        let colleague = school.token(COLLEAGUE).await;
        school.chance.deal(&[7; 8]);
        let first = school.post(&format!("/classes/{OTHER_CLASS}/join-code")).bearer(&colleague).send().await;
        assert_eq!(first.json()["data"]["joinCode"], "77777777");
        for _ in 0..3 {
            school.chance.deal(&[7; 8]);
        }
        school.chance.deal(&[8; 8]);
        assert_eq!(school.draw(&token).await.expose(), "88888888");
    }
}
