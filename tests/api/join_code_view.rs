//! The join code as its owner sees it, and its revocation.

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom::{
    domain::join_code::JoinCode,
    entity::{enrollment, join_code, user},
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    races::{AT_ONCE, at_once},
    support::{Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER, both, failure},
};

/// Requests the join code of the teacher's class.
async fn view(school: &School, token: &str) -> Answer {
    school.get(&format!("/classes/{OWN_CLASS}/join-code")).bearer(token).send().await
}

/// Revokes the join code of the teacher's class.
async fn revoke(school: &School, token: &str) -> Answer {
    school.call("DELETE", &format!("/classes/{OWN_CLASS}/join-code")).bearer(token).send().await
}

async fn row(school: &School) -> Option<join_code::Model> {
    join_code::Entity::find_by_id(OWN_CLASS).one(school.db.read()).await.unwrap()
}

fn no_code() -> (u16, Value) {
    failure(404, "JOIN_CODE_NOT_FOUND", "The class has no valid join code")
}

both! {
    async fn join_code_of_own_class_is_shown_with_expiry_and_number_of_joins(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let code = school.generate_join_code(&token).await;
        let shown = |code: &JoinCode, joins: i32| {
            let data = json!({
                "joinCode": code.expose(), "expiresAt": "2026-05-11T09:42:00Z", "joins": joins, "joinUrl": null,
            });
            (200, json!({ "success": true, "code": 200, "message": "Join code found", "data": data }))
        };
        assert_eq!(view(&school, &token).await.whole(), shown(&code, 0));
        for (joins, email) in [(1, STUDENT), (2, COLLEAGUE)] {
            let student = school.token(email).await;
            assert_eq!(school.join(&student, code.expose()).await.status, 201);
            assert_eq!(view(&school, &token).await.whole(), shown(&code, joins));
            // A refused join does not count.
            assert_eq!(school.join(&student, code.expose()).await.status, 409);
            assert_eq!(view(&school, &token).await.whole(), shown(&code, joins));
        }
        let next = school.generate_join_code(&token).await;
        assert_eq!(view(&school, &token).await.whole(), shown(&next, 0));
    }

    async fn join_url_is_the_join_page_with_the_code(kind: Kind) {
        let mut school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        school.random.set_next(&[7, 17, 21, 2, 18, 9, 27, 12]);
        school.generate_join_code(&token).await;
        for (page, url) in [
            ("https://join.example.com/", "https://join.example.com/?code=7KQ2M9XD"),
            ("https://join.example.com/a?lang=vi", "https://join.example.com/a?lang=vi&code=7KQ2M9XD"),
        ] {
            school.restart(|parts| parts.classroom.join_page = Some(page.parse().unwrap()));
            assert_eq!(view(&school, &token).await.json()["data"]["joinUrl"], url);
        }
    }

    async fn join_code_that_is_missing_expired_or_of_an_inactive_class_is_404(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        assert_eq!(view(&school, &token).await.whole(), no_code());
        school.generate_join_code(&token).await;
        let put = |body: Value| school.call("PUT", &format!("/classes/{OWN_CLASS}")).bearer(&token).json(&body).send();
        assert_eq!(put(json!({ "isActive": false })).await.status, 200);
        assert_eq!(view(&school, &token).await.whole(), no_code());
        assert_eq!(put(json!({ "isActive": true })).await.status, 200);
        assert_eq!(view(&school, &token).await.status, 200);
        school.clock.advance(TimeDelta::days(7));
        let token = school.token(TEACHER).await;
        let (status, body) = view(&school, &token).await.whole();
        assert_eq!((status, &body["errorCode"]), (404, &json!("JOIN_CODE_NOT_FOUND")));
    }

    async fn join_code_of_another_owner_is_403_and_of_unknown_class_404(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        let code = school.generate_join_code(&teacher).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        for token in [&student, &school.token(COLLEAGUE).await] {
            assert_eq!(view(&school, token).await.whole(), failure(403, "FORBIDDEN", "Only class owner can see the join code"));
            assert_eq!(
                revoke(&school, token).await.whole(),
                failure(403, "FORBIDDEN", "Only class owner can revoke the join code")
            );
        }
        assert_eq!(view(&school, &teacher).await.status, 200);
        for class in ["44444444-4444-4444-4444-444444444444", "10A1"] {
            for method in ["GET", "DELETE"] {
                let answer = school.call(method, &format!("/classes/{class}/join-code")).bearer(&teacher).send().await;
                assert_eq!(answer.whole(), failure(404, "CLASS_NOT_FOUND", "Class not found"), "{method} {class}");
            }
        }
        for method in ["GET", "DELETE"] {
            let call = school.call(method, &format!("/classes/{OTHER_CLASS}/join-code"));
            assert_eq!(call.send().await.status, 401);
        }
    }

    async fn revoked_join_code_admits_no_student_and_keeps_those_who_joined(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        let colleague = school.token(COLLEAGUE).await;
        let code = school.generate_join_code(&token).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        let answer = revoke(&school, &token).await;
        assert_eq!((answer.status, answer.text.as_str(), answer.header("content-type")), (204, "", None));
        assert_eq!(row(&school).await, None);
        assert_eq!(view(&school, &token).await.whole(), no_code());
        let class = school.get(&format!("/classes/{OWN_CLASS}")).bearer(&token).send().await;
        assert_eq!(class.json()["data"]["joinCode"], json!(null));
        assert_eq!(school.join(&colleague, code.expose()).await.status, 400);
        assert_eq!(school.get(&format!("/classes/{OWN_CLASS}")).bearer(&student).send().await.status, 200);

        // Without a code there is nothing to revoke.
        assert_eq!(revoke(&school, &token).await.status, 204);
        let next = school.generate_join_code(&token).await;
        assert_eq!(school.join(&colleague, next.expose()).await.status, 201);
    }

    async fn revoke_join_code_that_was_replaced_since_it_was_read_changes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let teacher = user::Entity::find().filter(user::Column::Email.eq(TEACHER)).one(school.db.read()).await.unwrap().unwrap().id;
        let colleague = user::Entity::find().filter(user::Column::Email.eq(COLLEAGUE)).one(school.db.read()).await.unwrap().unwrap().id;
        let old = school.generate_join_code(&token).await;
        let new = school.generate_join_code(&token).await;
        let kept = row(&school).await;
        // A statement that the network delayed, and one of another owner.
        for (owner, code) in [(teacher, &old), (colleague, &new)] {
            assert!(!join_code::Entity::revoke(school.db.writer(), OWN_CLASS, owner, code).await.unwrap());
            assert_eq!(row(&school).await, kept);
        }
        assert!(join_code::Entity::revoke(school.db.writer(), OWN_CLASS, teacher, &new).await.unwrap());
        assert_eq!(row(&school).await, None);
    }

    async fn join_code_revoked_while_students_join_counts_exactly_those_who_joined(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let token = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        for _ in 0..20 {
            let code = school.generate_join_code(&token).await;
            let statuses = at_once(&school, 2, |school, number| {
                let (token, student, code) = (token.clone(), student.clone(), code.clone());
                async move {
                    match number {
                        0 => revoke(&school, &token).await.status,
                        _ => school.join(&student, code.expose()).await.status,
                    }
                }
            });
            let statuses = statuses.await;
            assert!(statuses[0] == 204 && [201, 400].contains(&statuses[1]), "{statuses:?}");
            let joined = enrollment::Entity::find().count(school.db.read()).await.unwrap();
            assert_eq!(joined == 1, statuses[1] == 201);
            assert_eq!(row(&school).await, None);
            enrollment::Entity::delete_many().exec(school.db.writer()).await.unwrap();
        }
    }

    async fn join_code_counts_64_joins_at_once(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let token = school.token(TEACHER).await;
        let code = school.generate_join_code(&token).await;
        let mut students = Vec::new();
        for number in 0..16 {
            let email = format!("student{number}@example.com");
            school.add_account(&email).await;
            students.push(school.token(&email).await);
        }
        let students = Arc::new(students);
        at_once(&school, AT_ONCE, |school, number| {
            let (students, code) = (students.clone(), code.clone());
            async move { school.join(&students[number % 16], code.expose()).await.status }
        })
        .await;
        assert_eq!(view(&school, &token).await.json()["data"]["joins"], 16);
    }
}
