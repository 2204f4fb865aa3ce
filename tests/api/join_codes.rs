//! Drawing a join code: every documented answer, whole.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom::{
    clock::Clock,
    db,
    domain::{
        class_name::ClassName,
        id::{ClassId, UserId},
        join_code::JoinCode,
    },
    entity::{
        Unique,
        class::{self, Replacement},
    },
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::support::{Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER, both};

/// Draws for the teacher's class.
async fn draw(school: &School, token: &str) -> Answer {
    school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(token).send().await
}

/// Draws for the teacher's class as often as its minute allows.
async fn draw_60(school: &School, token: &str) {
    for number in 0..60 {
        assert_eq!(draw(school, token).await.status, 200, "{number}");
    }
}

async fn row(school: &School, id: ClassId) -> class::Model {
    class::Entity::find_by_id(id).only(school.db.read()).await.unwrap().unwrap()
}

fn replacement(id: ClassId, owner_id: UserId, code: &str, now: DateTime<Utc>) -> Replacement {
    let code = JoinCode::parse(code).unwrap();
    let turn = now.timestamp_millis();
    Replacement { id, owner_id, code, expires_at: now + TimeDelta::hours(1), now, turn, draws: 1 }
}

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
        school.chance.deal(&[0, 1, 10, 15, 16, 18, 28, 29]);
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

    async fn the_61st_draw_of_a_minute_waits_until_the_minute_is_over(kind: Kind) {
        let school = School::found(kind).await;
        let (token, colleague) = (school.token(TEACHER).await, school.token(COLLEAGUE).await);
        assert_eq!(draw(&school, &token).await.status, 200);
        school.clock.advance(TimeDelta::milliseconds(10_500));
        for number in 1..60 {
            assert_eq!(draw(&school, &token).await.status, 200, "{number}");
        }
        let live = row(&school, OWN_CLASS).await;
        let refused = draw(&school, &token).await;
        let mut refusal = failure(429, "TOO_MANY_REQUESTS", "Too many requests; try again later");
        refusal.1["timestamp"] = json!("2026-05-04T09:42:10Z");
        assert_eq!(refused.whole(), refusal);
        assert_eq!(refused.header("retry-after"), Some("50"), "49.5 seconds, rounded up");
        assert_eq!(row(&school, OWN_CLASS).await, live, "a refused draw leaves everything as it was");
        // Another class has draws of its own.
        let other = school.post(&format!("/classes/{OTHER_CLASS}/join-code")).bearer(&colleague).send().await;
        assert_eq!(other.status, 200);

        school.clock.advance(TimeDelta::milliseconds(49_499));
        let refused = draw(&school, &token).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        school.clock.advance(TimeDelta::milliseconds(1));
        // The next minute begins with its first draw.
        draw_60(&school, &token).await;
        school.clock.advance(TimeDelta::seconds(1));
        let refused = draw(&school, &token).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("59")));
    }

    async fn who_may_not_draw_at_all_is_told_so_first(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        draw_60(&school, &token).await;
        assert_eq!(draw(&school, "x").await.status, 401);
        assert_eq!(draw(&school, &student).await.status, 403);
        assert_eq!(draw(&school, &token).await.status, 429);
    }

    async fn a_clock_that_was_set_back_keeps_nobody_waiting_but_a_request_that_is_overtaken_counts(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        draw_60(&school, &token).await;
        school.clock.advance(TimeDelta::milliseconds(-30_000));
        let refused = draw(&school, &token).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("90")));
        school.clock.advance(TimeDelta::milliseconds(-1));
        draw_60(&school, &token).await;
        school.clock.advance(TimeDelta::hours(-1));
        draw_60(&school, &token).await;
        assert_eq!(draw(&school, &token).await.status, 429);
        school.clock.advance(TimeDelta::hours(2));
        assert_eq!(draw(&school, &token).await.status, 200);
    }

    async fn codes_that_are_drawn_together_are_replaced_in_one_statement(kind: Kind) {
        let school = School::found(kind).await;
        let (owner, now) = (school.account(TEACHER).await.id, school.clock.now());
        let ids: Vec<_> = (1..=64).map(ClassId::from_u128).collect();
        for id in &ids {
            let name = ClassName::parse("10B").unwrap();
            school.server.classroom.add_class(Some(*id), owner, name, now).await.unwrap();
        }
        for (round, count) in (1..).zip([1, 2, 3, 5, 33, 64]) {
            let code = |id: &ClassId| format!("{round}{:07}", uuid::Uuid::from(*id).as_u128());
            let draw = |id: &ClassId| Replacement { turn: round, ..replacement(*id, owner, &code(id), now) };
            let rows: Vec<_> = ids[..count].iter().map(draw).collect();
            let replaced =
                class::Entity::replace_join_codes(school.db.writer(), &rows, 60).await.unwrap();
            assert_eq!(replaced, count as u64);
            for id in &ids[..count] {
                let class = row(&school, *id).await;
                assert_eq!(class.join_code.unwrap().expose(), code(id));
                assert_eq!(class.join_code_expires_at, Some(now + TimeDelta::hours(1)));
                assert_eq!(class.join_code_draws_since, now.timestamp_millis());
            }
        }
        assert_eq!(row(&school, ids[0]).await.join_code_draws, 6, "a row that is repeated counts once");
        assert_eq!(row(&school, ids[63]).await.join_code_draws, 1);
    }

    async fn of_codes_that_are_drawn_together_each_has_its_own_owner_and_limit_and_a_clash_leaves_nothing(kind: Kind) {
        let school = School::found(kind).await;
        let (teacher, colleague) = (school.account(TEACHER).await.id, school.account(COLLEAGUE).await.id);
        let now = school.clock.now();
        let replace = async |rows: &[Replacement]| {
            class::Entity::replace_join_codes(school.db.writer(), rows, 5).await
        };
        // Two say that they own the same class.
        let rows = [
            replacement(OWN_CLASS, colleague, "HHHHHHHH", now),
            replacement(OWN_CLASS, teacher, "BBBBBBBB", now),
            replacement(OTHER_CLASS, colleague, "CCCCCCCC", now),
        ];
        assert_eq!(replace(&rows).await.unwrap(), 2);
        let code = async |id| row(&school, id).await.join_code.unwrap().expose().to_owned();
        assert_eq!((code(OWN_CLASS).await, code(OTHER_CLASS).await), ("BBBBBBBB".into(), "CCCCCCCC".into()));
        // One of them has no draws left.
        let next = |draws, row: Replacement| Replacement { draws, turn: row.turn + 1, ..row };
        let rows = [
            next(5, replacement(OWN_CLASS, teacher, "DDDDDDDD", now)),
            next(4, replacement(OTHER_CLASS, colleague, "GGGGGGGG", now)),
        ];
        assert_eq!(replace(&rows).await.unwrap(), 1);
        assert_eq!((code(OWN_CLASS).await, code(OTHER_CLASS).await), ("BBBBBBBB".into(), "GGGGGGGG".into()));
        // Both draw the same code.
        let clash = [(OWN_CLASS, teacher), (OTHER_CLASS, colleague)];
        let clash = clash.map(|(class, owner)| replacement(class, owner, "FFFFFFFF", now));
        let later = now + TimeDelta::minutes(1);
        let clash = clash.map(|row| Replacement { now: later, turn: later.timestamp_millis(), ..row });
        assert_eq!(db::kind(&replace(&clash).await.unwrap_err()), db::ErrorKind::UniqueViolation);
        assert_eq!((code(OWN_CLASS).await, code(OTHER_CLASS).await), ("BBBBBBBB".into(), "GGGGGGGG".into()));
    }

    async fn a_code_whose_turn_was_before_the_one_that_is_there_takes_no_place(kind: Kind) {
        let school = School::found(kind).await;
        let (owner, now) = (school.account(TEACHER).await.id, school.clock.now());
        let draw = async |code, turn| {
            let drawn = Replacement { turn, ..replacement(OWN_CLASS, owner, code, now) };
            let replaced = class::Entity::replace_join_codes(school.db.writer(), &[drawn], 60).await.unwrap();
            let class = row(&school, OWN_CLASS).await;
            (replaced, class.join_code.unwrap().expose().to_owned(), class.join_code_draws)
        };
        assert_eq!(draw("HHHHHHHH", 2).await, (1, "HHHHHHHH".to_owned(), 1));
        assert_eq!(draw("BBBBBBBB", 1).await, (0, "HHHHHHHH".to_owned(), 1));
        assert_eq!(draw("HHHHHHHH", 2).await, (0, "HHHHHHHH".to_owned(), 1), "made twice, it counts once");
        assert_eq!(draw("CCCCCCCC", 3).await, (1, "CCCCCCCC".to_owned(), 2));
    }

    async fn what_is_drawn_after_the_clock_was_set_back_takes_its_place(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        school.draw(&token).await;
        school.clock.advance(-TimeDelta::minutes(2));
        for draws in 1..4 {
            let code = school.draw(&token).await;
            let class = row(&school, OWN_CLASS).await;
            assert_eq!((class.join_code, class.join_code_draws), (Some(code), draws));
        }
    }
}
