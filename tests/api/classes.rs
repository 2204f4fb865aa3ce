//! Classes: creating, listing, changing and deleting them.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;
use homeroom::{
    domain::id::ClassId,
    entity::{audit_event, class, enrollment, join_code, user},
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};

use crate::{
    races::{AT_ONCE, at_once, count},
    support::{
        Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER, both, failure,
        signing_in::changed,
    },
};

const UNKNOWN: &str = "44444444-4444-4444-4444-444444444444";

/// Requests a new class.
async fn create(school: &School, token: &str, body: &Value) -> Answer {
    school.post("/classes").bearer(token).json(body).send().await
}

/// Creates a class, and returns it.
async fn created(school: &School, token: &str, body: &Value) -> Value {
    let answer = create(school, token, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["data"].clone()
}

/// Requests a change of a class.
async fn change(school: &School, token: &str, class: &str, body: &Value) -> Answer {
    school.call("PUT", &format!("/classes/{class}")).bearer(token).json(body).send().await
}

/// Requests a change of the teacher's class with this `If-Match`.
async fn change_if(school: &School, token: &str, tags: &str, body: &Value) -> Answer {
    let call = school.call("PUT", &format!("/classes/{OWN_CLASS}")).bearer(token).header("If-Match", tags);
    call.json(body).send().await
}

async fn read(school: &School, token: &str, class: &str) -> Answer {
    school.get(&format!("/classes/{class}")).bearer(token).send().await
}

async fn delete(school: &School, token: &str, class: &str) -> Answer {
    school.call("DELETE", &format!("/classes/{class}")).bearer(token).send().await
}

/// Requests the caller's classes. `query` begins with `?` unless it is empty.
async fn list(school: &School, token: &str, query: &str) -> Answer {
    school.get(&format!("/classes{query}")).bearer(token).send().await
}

/// The names of the classes on a page.
async fn names(school: &School, token: &str, query: &str) -> Vec<String> {
    let answer = list(school, token, query).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    let body = answer.json();
    let classes = body["data"].as_array().unwrap().iter();
    classes.map(|class| class["name"].as_str().unwrap().to_owned()).collect()
}

/// Sets the status of all enrollments.
async fn set_enrollments(school: &School, status: enrollment::Status) {
    let enrollments =
        enrollment::Entity::update_many().col_expr(enrollment::Column::Status, Expr::value(status));
    enrollments.exec(school.db.writer()).await.unwrap();
}

fn stale() -> (u16, Value) {
    failure(412, "PRECONDITION_FAILED", "The class was changed since it was read")
}

/// Settings of this depth. The object itself is the first level.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }))
}

/// Settings whose JSON has this number of bytes.
fn sized(bytes: usize) -> Value {
    let frame = json!({ "a": "" }).to_string().len();
    json!({ "a": "x".repeat(bytes - frame) })
}

both! {
    async fn create_class_makes_the_caller_its_owner(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let me = school.get("/user/me").bearer(&token).send().await.json()["data"]["id"].clone();
        let settings = json!({ "theme": "dark", "weights": [1, 2.5, null, { "deep": "é" }] });
        let answer = create(&school, &token, &json!({
            "name": "Größe 10",
            "description": "Two lines\nof text",
            "settings": settings,
            "maxStudents": 30,
            "requiresApproval": true,
        })).await;
        let (status, body) = answer.whole();
        let data = json!({
            "id": body["data"]["id"],
            "ownerId": me,
            "name": "Größe 10",
            "description": "Two lines\nof text",
            "joinCode": null,
            "settings": settings,
            "isActive": true,
            "createdAt": "2026-05-04T09:42:00Z",
            "updatedAt": "2026-05-04T09:42:00Z",
            "maxStudents": 30,
            "requiresApproval": true,
        });
        let expected = json!({ "success": true, "code": 201, "message": "Class created", "data": data });
        assert_eq!((status, &body), (201, &expected));
        assert_eq!(answer.header("etag"), Some("\"0\""));
        let class: ClassId = body["data"]["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(read(&school, &token, &class.to_string()).await.json()["data"], data);

        // `null` of an optional property means that it is absent, and undocumented properties are ignored.
        let plain = created(&school, &token, &json!({
            "name": "10A1", "description": null, "settings": null, "maxStudents": null, "requiresApproval": null,
            "ownerId": UNKNOWN, "isActive": false,
        })).await;
        for (property, value) in [
            ("ownerId", me),
            ("description", json!(null)),
            ("settings", json!(null)),
            ("maxStudents", json!(null)),
            ("requiresApproval", json!(false)),
            ("isActive", json!(true)),
        ] {
            assert_eq!(plain[property], value, "{property}");
        }
        assert_eq!(create(&school, "x", &json!({ "name": "a" })).await.status, 401);
    }

    async fn create_or_change_class_with_invalid_property_is_400_that_names_each(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        for (property, valid, invalid) in [
            (
                "name",
                vec![json!("a"), json!("é".repeat(50))],
                vec![json!(""), json!(" "), json!("é".repeat(51)), json!("a\0"), json!("a\nb"), json!(1)],
            ),
            (
                "description",
                vec![json!(""), json!("😀".repeat(1000)), json!("a\r\nb")],
                vec![json!("a".repeat(1001)), json!("a\0"), json!("a\u{1b}"), json!({})],
            ),
            (
                "settings",
                vec![json!({}), sized(8192), nested(8), json!({ "": { "\u{1}\u{ffff}": 1e300 } })],
                vec![
                    json!([]), json!("a"), json!(true), sized(8193), nested(9), json!({ "a": "b\0" }),
                    json!({ "a\0": 1 }), json!({ "a": [{ "b": ["\0"] }] }), json!({ "a": [[[[[[[[]]]]]]]] }),
                ],
            ),
            (
                "maxStudents",
                vec![json!(1), json!(10_000)],
                vec![json!(0), json!(-1), json!(10_001), json!(1.5), json!("1"), json!(5_000_000_000_i64)],
            ),
            ("requiresApproval", vec![json!(true)], vec![json!("true"), json!(1)]),
        ] {
            for value in valid {
                let body = changed(json!({ "name": "a" }), json!({ property: value }));
                assert_eq!(created(&school, &token, &body).await[property], value, "{property}");
                let answer = change(&school, &token, &OWN_CLASS.to_string(), &json!({ property: value })).await;
                assert_eq!(answer.status, 200, "{}", answer.text);
                assert_eq!(answer.json()["data"][property], value, "{property}");
            }
            for value in invalid {
                let body = changed(json!({ "name": "a" }), json!({ property: value }));
                for answer in [
                    create(&school, &token, &body).await,
                    change(&school, &token, &OWN_CLASS.to_string(), &body).await,
                ] {
                    assert_eq!(answer.status, 400, "{property}: {value}");
                    let body = answer.json();
                    assert_eq!(body["errorCode"], "BAD_REQUEST");
                    let message = body["message"].as_str().unwrap();
                    assert!(message.starts_with(property), "{property}: {value}: {message}");
                }
            }
        }
        let several = json!({ "description": 1, "settings": sized(9000), "maxStudents": 0, "requiresApproval": "a" });
        let message = create(&school, &token, &several).await.json()["message"].as_str().unwrap().to_owned();
        for property in ["name", "description", "settings", "maxStudents", "requiresApproval"] {
            assert!(message.contains(property), "{property}: {message}");
        }
        assert_eq!(create(&school, &token, &json!({ "name": null })).await.status, 400);
        assert_eq!(change(&school, &token, &OWN_CLASS.to_string(), &json!({ "isActive": 1 })).await.status, 400);
    }

    async fn create_class_beyond_the_limit_of_its_owner_is_403_also_at_once(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.classroom.classes_per_owner = 8);
        let school = Arc::new(school);
        let token = school.token(TEACHER).await;
        // The teacher owns one class already.
        let statuses = at_once(&school, AT_ONCE, |school, number| {
            let token = token.clone();
            async move { create(&school, &token, &json!({ "name": format!("{number}") })).await.status }
        });
        let statuses = statuses.await;
        assert_eq!((count(&statuses, 201), count(&statuses, 403)), (7, AT_ONCE - 7), "{statuses:?}");
        let refused = create(&school, &token, &json!({ "name": "a" })).await;
        let message = "You own as many classes as this server allows";
        assert_eq!(refused.whole(), failure(403, "CLASS_LIMIT_REACHED", message));
        // Other owners have their own limit, and a deleted class counts no more.
        let colleague = school.token(COLLEAGUE).await;
        created(&school, &colleague, &json!({ "name": "a" })).await;
        assert_eq!(delete(&school, &token, &OWN_CLASS.to_string()).await.status, 204);
        created(&school, &token, &json!({ "name": "a" })).await;
        assert_eq!(create(&school, &token, &json!({ "name": "a" })).await.status, 403);
    }

    async fn create_class_without_limit_is_never_refused(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.classroom.classes_per_owner = 0);
        let token = school.token(TEACHER).await;
        for number in 0..12 {
            created(&school, &token, &json!({ "name": format!("{number}") })).await;
        }
    }

    async fn create_class_by_account_of_the_school_is_403(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(STUDENT).await;
        let students = user::Entity::update_many()
            .col_expr(user::Column::SchoolAccount, Expr::value(true))
            .filter(user::Column::Email.eq(STUDENT));
        students.exec(school.db.writer()).await.unwrap();
        let refused = create(&school, &token, &json!({ "name": "a" })).await;
        assert_eq!(refused.whole(), failure(403, "FORBIDDEN", "Student accounts cannot own classes"));
        assert_eq!(names(&school, &token, "").await, [""; 0]);
    }

    async fn create_class_by_deleted_account_is_401(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(STUDENT).await;
        let students = user::Entity::delete_many().filter(user::Column::Email.eq(STUDENT));
        students.exec(school.db.writer()).await.unwrap();
        assert_eq!(create(&school, &token, &json!({ "name": "a" })).await.status, 401);
    }

    async fn change_class_sets_given_properties_and_null_clears_those_that_can_be_empty(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let own = OWN_CLASS.to_string();
        let full = json!({
            "name": "10B", "description": "a", "settings": { "a": 1 }, "isActive": false, "maxStudents": 2,
            "requiresApproval": true,
        });
        school.clock.advance(TimeDelta::minutes(1));
        let answer = change(&school, &token, &own, &full).await;
        assert_eq!((answer.status, answer.header("etag")), (200, Some("\"1\"")));
        let data = answer.json()["data"].clone();
        assert_eq!(changed(data.clone(), full), data);
        assert_eq!((&data["createdAt"], &data["updatedAt"]), (&json!("2026-05-04T09:42:00Z"), &json!("2026-05-04T09:43:00Z")));

        // Each property alone leaves the others as they are.
        school.clock.advance(TimeDelta::minutes(1));
        for (version, (property, sent, stored)) in (2..).zip([
            ("description", json!(null), json!(null)),
            ("settings", json!(null), json!(null)),
            ("maxStudents", json!(null), json!(null)),
            ("name", json!("10C"), json!("10C")),
            ("isActive", json!(true), json!(true)),
            ("requiresApproval", json!(false), json!(false)),
            ("description", json!(""), json!("")),
            ("settings", json!({}), json!({})),
            ("maxStudents", json!(1), json!(1)),
        ]) {
            let before = read(&school, &token, &own).await.json()["data"].clone();
            let answer = change(&school, &token, &own, &json!({ property: sent })).await;
            let expected = changed(before, json!({ property: stored, "updatedAt": "2026-05-04T09:44:00Z" }));
            assert_eq!((answer.status, &answer.json()["data"]), (200, &expected), "{property}");
            assert_eq!(answer.header("etag"), Some(format!("\"{version}\"").as_str()), "{property}");
            let after = read(&school, &token, &own).await;
            assert_eq!((&after.json()["data"], after.header("etag")), (&expected, answer.header("etag")));
        }
    }

    async fn change_class_that_changes_nothing_keeps_version_and_time(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let own = OWN_CLASS.to_string();
        let full = json!({ "description": "a", "settings": { "a": [1.5, "b"], "c": {} }, "maxStudents": 2 });
        assert_eq!(change(&school, &token, &own, &full).await.status, 200);
        let before = read(&school, &token, &own).await;
        school.clock.advance(TimeDelta::minutes(1));
        let same = json!({ "name": "10A1", "isActive": true, "requiresApproval": false });
        let null = json!({ "name": null, "isActive": null, "requiresApproval": null });
        for body in [json!({}), json!({ "unknown": 1 }), null, changed(full, same)] {
            let answer = change(&school, &token, &own, &body).await;
            assert_eq!((answer.status, answer.header("etag")), (200, Some("\"1\"")), "{body}");
            assert_eq!(answer.json()["data"], before.json()["data"], "{body}");
        }
        // It still needs the owner and the version.
        let student = school.token(STUDENT).await;
        assert_eq!(change(&school, &student, &own, &json!({})).await.status, 403);
        assert_eq!(change_if(&school, &token, "\"0\"", &json!({})).await.whole(), {
            let (status, mut body) = stale();
            body["timestamp"] = json!("2026-05-04T09:43:00Z");
            (status, body)
        });
    }

    async fn change_or_delete_class_by_another_user_is_403_and_of_unknown_class_404(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        let code = school.generate_join_code(&teacher).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        let before = class::Entity::find_by_id(OWN_CLASS).one(school.db.read()).await.unwrap();
        for token in [&student, &school.token(COLLEAGUE).await] {
            let answer = change(&school, token, &OWN_CLASS.to_string(), &json!({ "name": "a" })).await;
            assert_eq!(answer.whole(), failure(403, "FORBIDDEN", "Only class owner can change the class"));
            let answer = delete(&school, token, &OWN_CLASS.to_string()).await;
            assert_eq!(answer.whole(), failure(403, "FORBIDDEN", "Only class owner can delete the class"));
        }
        assert_eq!(class::Entity::find_by_id(OWN_CLASS).one(school.db.read()).await.unwrap(), before);
        for class in [UNKNOWN, "10A1", "%FF", "%2F"] {
            let unknown = failure(404, "CLASS_NOT_FOUND", "Class not found");
            assert_eq!(change(&school, &teacher, class, &json!({ "name": "a" })).await.whole(), unknown, "{class}");
            assert_eq!(delete(&school, &teacher, class).await.whole(), unknown, "{class}");
        }
        // The form of the body comes first, as in every operation.
        assert_eq!(change(&school, &teacher, UNKNOWN, &json!({ "name": "" })).await.status, 400);
    }

    async fn change_with_if_match_of_another_version_is_412_and_changes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let tag = read(&school, &token, &OWN_CLASS.to_string()).await.header("etag").unwrap().to_owned();
        assert_eq!(tag, "\"0\"");
        let first = change_if(&school, &token, &tag, &json!({ "name": "first" })).await;
        assert_eq!((first.status, first.header("etag")), (200, Some("\"1\"")));
        let row = class::Entity::find_by_id(OWN_CLASS).one(school.db.read()).await.unwrap();
        for tags in [
            tag.as_str(), "\"2\"", "\"\"", "\"01\"", "\"+1\"", "1", "W/\"1\"", "\"1", "\"a\"", "\"99999999999\"", "", ",",
            "\"0\", W/\"1\"", "\"*\"", "é",
        ] {
            let answer = change_if(&school, &token, tags, &json!({ "name": "late" })).await;
            assert_eq!(answer.whole(), stale(), "{tags}");
            let call = school.call("DELETE", &format!("/classes/{OWN_CLASS}")).bearer(&token);
            assert_eq!(call.header("If-Match", tags).send().await.whole(), stale(), "{tags}");
        }
        assert_eq!(class::Entity::find_by_id(OWN_CLASS).one(school.db.read()).await.unwrap(), row);
        for (version, tags) in (2..).zip(["\"1\"", "*", "\"0\",\"3\"", "W/\"4\" , \"4\"", " \"5\" "]) {
            let answer = change_if(&school, &token, tags, &json!({ "name": format!("name {version}") })).await;
            assert_eq!((answer.status, answer.header("etag")), (200, Some(format!("\"{version}\"").as_str())), "{tags}");
        }
        // A stranger does not learn the version.
        let colleague = school.token(COLLEAGUE).await;
        assert_eq!(change_if(&school, &colleague, "\"0\"", &json!({ "name": "a" })).await.status, 403);
        let call = school.call("PUT", &format!("/classes/{UNKNOWN}")).bearer(&token).header("If-Match", "\"0\"");
        assert_eq!(call.json(&json!({})).send().await.status, 404);
    }

    async fn if_match_of_more_than_1024_characters_is_400_and_changes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let row = class::Entity::find_by_id(OWN_CLASS).one(school.db.read()).await.unwrap();
        let refused = failure(400, "BAD_REQUEST", "If-Match is missing or is not valid");
        let body = json!({ "name": "long" });
        let path = format!("/classes/{OWN_CLASS}");
        let most = format!("{}\"7\"", ",".repeat(1021));
        let (over, half) = (format!("{}\"0\"", ",".repeat(1022)), format!("{}\"0\"", ",".repeat(509)));
        for method in ["PUT", "DELETE"] {
            let call = || {
                let call = school.call(method, &path).bearer(&token);
                if method == "PUT" { call.json(&body) } else { call }
            };
            assert_eq!(call().header("If-Match", &most).send().await.whole(), stale(), "{method}");
            assert_eq!(call().header("If-Match", &over).send().await.whole(), refused, "{method}");
            // Two headers are one list of 1025 characters.
            let twice = call().header("If-Match", &half).header("If-Match", &half);
            assert_eq!(twice.send().await.whole(), refused, "{method}");
        }
        assert_eq!(class::Entity::find_by_id(OWN_CLASS).one(school.db.read()).await.unwrap(), row);
    }

    async fn change_64_times_at_once_with_one_tag_one_succeeds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let token = school.token(TEACHER).await;
        for round in 0..4 {
            let statuses = at_once(&school, AT_ONCE, |school, number| {
                let token = token.clone();
                async move {
                    let body = json!({ "name": format!("{round} {number}") });
                    change_if(&school, &token, &format!("\"{round}\""), &body).await.status
                }
            });
            let statuses = statuses.await;
            assert_eq!((count(&statuses, 200), count(&statuses, 412)), (1, AT_ONCE - 1), "{statuses:?}");
        }
        assert_eq!(read(&school, &token, &OWN_CLASS.to_string()).await.header("etag"), Some("\"4\""));
    }

    async fn change_64_times_at_once_without_tag_all_succeed_and_count(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let token = school.token(TEACHER).await;
        let tags = at_once(&school, AT_ONCE, |school, number| {
            let token = token.clone();
            async move {
                let answer = change(&school, &token, &OWN_CLASS.to_string(), &json!({ "name": format!("{number}") })).await;
                assert_eq!(answer.json()["data"]["name"], format!("{number}"), "{}", answer.text);
                answer.header("etag").unwrap().to_owned()
            }
        });
        let tags: BTreeSet<String> = tags.await.into_iter().collect();
        assert_eq!(tags.len(), AT_ONCE);
        assert_eq!(read(&school, &token, &OWN_CLASS.to_string()).await.header("etag"), Some("\"64\""));
    }

    async fn join_code_is_not_part_of_the_tag(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let before = read(&school, &token, &OWN_CLASS.to_string()).await;
        let code = school.generate_join_code(&token).await;
        let after = read(&school, &token, &OWN_CLASS.to_string()).await;
        assert_eq!(after.header("etag"), before.header("etag"));
        assert_eq!(after.json()["data"]["joinCode"], code.expose());
        assert_eq!(after.json()["data"]["updatedAt"], before.json()["data"]["updatedAt"]);
    }

    async fn inactive_class_has_no_join_code_and_an_active_one_has_it_again(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let own = OWN_CLASS.to_string();
        let code = school.generate_join_code(&token).await;
        let answer = change(&school, &token, &own, &json!({ "isActive": false })).await;
        assert_eq!(answer.json()["data"]["joinCode"], json!(null));
        assert_eq!(read(&school, &token, &own).await.json()["data"]["joinCode"], json!(null));
        assert_eq!(list(&school, &token, "").await.json()["data"][0]["joinCode"], json!(null));
        let student = school.token(STUDENT).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 400);

        let answer = change(&school, &token, &own, &json!({ "isActive": true })).await;
        assert_eq!(answer.json()["data"]["joinCode"], code.expose());
        assert_eq!(list(&school, &token, "").await.json()["data"][0]["joinCode"], code.expose());
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        school.clock.advance(TimeDelta::days(7));
        let token = school.token(TEACHER).await;
        assert_eq!(change(&school, &token, &own, &json!({ "name": "a" })).await.json()["data"]["joinCode"], json!(null));
    }

    async fn delete_class_deletes_what_belongs_to_it_and_no_account(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        let code = school.generate_join_code(&token).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        let accounts = user::Entity::find().count(school.db.read()).await.unwrap();
        let answer = delete(&school, &token, &OWN_CLASS.to_string()).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert_eq!((answer.header("content-type"), answer.header("cache-control")), (None, Some("no-store")));

        let db = school.db.read();
        assert_eq!(class::Entity::find().count(db).await.unwrap(), 1);
        assert_eq!(enrollment::Entity::find().count(db).await.unwrap(), 0);
        assert_eq!(join_code::Entity::find().count(db).await.unwrap(), 0);
        assert_eq!(user::Entity::find().count(db).await.unwrap(), accounts);
        let gone = failure(404, "CLASS_NOT_FOUND", "Class not found");
        assert_eq!(read(&school, &student, &OWN_CLASS.to_string()).await.whole(), gone);
        assert_eq!(delete(&school, &token, &OWN_CLASS.to_string()).await.whole(), gone);
        assert_eq!(school.join(&student, code.expose()).await.status, 400);

        let events = school.events().await;
        let deletions: Vec<_> =
            events.iter().filter(|event| event.action == audit_event::Action::ClassDelete).collect();
        let [event] = deletions.as_slice() else { panic!("{deletions:?}") };
        let owner = user::Entity::find().filter(user::Column::Email.eq(TEACHER)).one(db).await.unwrap().unwrap().id;
        assert_eq!((event.user_id, event.class_id), (Some(owner), Some(OWN_CLASS)));
    }

    async fn delete_class_64_times_at_once_one_succeeds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let token = school.token(TEACHER).await;
        let statuses = at_once(&school, AT_ONCE, |school, _| {
            let token = token.clone();
            async move { delete(&school, &token, &OWN_CLASS.to_string()).await.status }
        });
        let statuses = statuses.await;
        assert_eq!((count(&statuses, 204), count(&statuses, 404)), (1, AT_ONCE - 1), "{statuses:?}");
        let events = school.events().await;
        assert_eq!(events.iter().filter(|event| event.action == audit_event::Action::ClassDelete).count(), 1);
    }

    async fn delete_class_with_current_tag_succeeds(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let call = school.call("DELETE", &format!("/classes/{OWN_CLASS}")).bearer(&token);
        assert_eq!(call.header("If-Match", "\"7\", \"0\"").send().await.status, 204);
    }

    async fn list_classes_shows_owned_and_joined_ones_alone(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        let code = school.generate_join_code(&teacher).await;
        let answer = list(&school, &teacher, "").await;
        let body = answer.json();
        assert_eq!(body, json!({
            "success": true,
            "code": 200,
            "message": "Classes found",
            "data": [read(&school, &teacher, &OWN_CLASS.to_string()).await.json()["data"]],
            "pagination": { "currentPage": 1, "pageSize": 10, "totalItems": 1, "totalPages": 1 },
        }));
        assert_eq!(body["data"][0]["joinCode"], code.expose());
        let nothing = json!({ "currentPage": 1, "pageSize": 10, "totalItems": 0, "totalPages": 0 });
        assert_eq!(list(&school, &student, "").await.json()["pagination"], nothing);

        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        let joined = list(&school, &student, "").await.json();
        assert_eq!(joined["data"], json!([read(&school, &student, &OWN_CLASS.to_string()).await.json()["data"]]));
        assert_eq!(joined["data"][0]["joinCode"], json!(null));
        created(&school, &student, &json!({ "name": "Own" })).await;
        assert_eq!(names(&school, &student, "?sort=name-asc").await, ["10A1", "Own"]);
        for status in [
            enrollment::Status::Pending,
            enrollment::Status::Dropped,
            enrollment::Status::Completed,
            enrollment::Status::Transferred,
            enrollment::Status::Graduated,
        ] {
            set_enrollments(&school, status).await;
            assert_eq!(names(&school, &student, "").await, ["Own"], "{status:?}");
        }
        assert_eq!(list(&school, "x", "").await.status, 401);
    }

    async fn list_classes_sorts_searches_and_filters(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(COLLEAGUE).await;
        assert_eq!(delete(&school, &token, &OTHER_CLASS.to_string()).await.status, 204);
        for name in ["Zoologie", "Đại số 10", "ärzte 100%", "Mathe_10", "mathe 9", "Ａ１"] {
            school.clock.advance(TimeDelta::seconds(1));
            created(&school, &token, &json!({ "name": name })).await;
        }
        for (query, expected) in [
            ("", vec!["Ａ１", "mathe 9", "Mathe_10", "ärzte 100%", "Đại số 10", "Zoologie"]),
            ("?sort=createdAt-desc", vec!["Ａ１", "mathe 9", "Mathe_10", "ärzte 100%", "Đại số 10", "Zoologie"]),
            ("?sort=createdAt-asc&pageSize=2", vec!["Zoologie", "Đại số 10"]),
            ("?sort=name-asc", vec!["Ａ１", "ärzte 100%", "Đại số 10", "mathe 9", "Mathe_10", "Zoologie"]),
            ("?sort=name-desc&pageSize=1", vec!["Zoologie"]),
            ("?search=MATHE", vec!["mathe 9", "Mathe_10"]),
            ("?search=dai%20so", vec!["Đại số 10"]),
            ("?search=%C4%91%E1%BA%A1i", vec!["Đại số 10"]),
            ("?search=arzt", vec!["ärzte 100%"]),
            ("?search=%25", vec!["ärzte 100%"]),
            ("?search=_", vec!["Mathe_10"]),
            ("?search=a1", vec!["Ａ１"]),
            ("?search=%5C", vec![]),
            ("?search=%27%22;--", vec![]),
            ("?search=nothing", vec![]),
            ("?search=&pageSize=1", vec!["Ａ１"]),
            ("?search=%20&pageSize=1", vec!["Ａ１"]),
            ("?search=%00&pageSize=1", vec!["Ａ１"]),
            ("?isActive=false", vec![]),
            ("?isActive=true&search=mathe", vec!["mathe 9", "Mathe_10"]),
        ] {
            assert_eq!(names(&school, &token, query).await, expected, "{query}");
        }
        let inactive = list(&school, &token, "?search=zoo").await.json()["data"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(change(&school, &token, &inactive, &json!({ "isActive": false, "name": "Botanik" })).await.status, 200);
        assert_eq!(names(&school, &token, "?isActive=false").await, ["Botanik"]);
        assert_eq!(names(&school, &token, "?isActive=true&search=o").await, ["Đại số 10"]);
        assert_eq!(names(&school, &token, "?search=zoo").await, [""; 0]);
        assert_eq!(names(&school, &token, "?search=botan&sort=name-asc").await, ["Botanik"]);
    }

    async fn list_classes_with_equal_names_and_times_shows_each_once_over_all_pages(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let mut ids = BTreeSet::from([OWN_CLASS.to_string()]);
        for _ in 0..24 {
            let class = created(&school, &token, &json!({ "name": "10A1" })).await;
            ids.insert(class["id"].as_str().unwrap().to_owned());
        }
        for sort in ["name-asc", "name-desc", "createdAt-asc", "createdAt-desc"] {
            let mut seen = Vec::new();
            for page in 1..=4 {
                let answer = list(&school, &token, &format!("?page={page}&pageSize=7&sort={sort}")).await.json();
                let pagination = json!({ "currentPage": page, "pageSize": 7, "totalItems": 25, "totalPages": 4 });
                assert_eq!(answer["pagination"], pagination);
                let classes = answer["data"].as_array().unwrap().iter();
                seen.extend(classes.map(|class| class["id"].as_str().unwrap().to_owned()));
            }
            assert_eq!(seen.len(), 25, "{sort}");
            assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), ids, "{sort}");
            assert!(seen.is_sorted_by(|a, b| if sort.ends_with("asc") { a < b } else { a > b }), "{sort}: {seen:?}");
        }
        for page in [5, 1_000_000] {
            let answer = list(&school, &token, &format!("?page={page}&pageSize=100")).await.json();
            assert_eq!(answer["data"], json!([]));
            let pagination = json!({ "currentPage": page, "pageSize": 100, "totalItems": 25, "totalPages": 1 });
            assert_eq!(answer["pagination"], pagination);
        }
    }

    async fn list_classes_with_invalid_parameter_is_400_that_names_it(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        for (name, values) in [
            ("page", vec!["0", "-1", "1000001", "a", "", "1.0", "%00", "99999999999999999999"]),
            ("pageSize", vec!["0", "101", "a", ""]),
            ("sort", vec!["name", "name-up", "createdat-asc", "NAME-ASC", "", "name-asc,createdAt-asc", "%00"]),
            ("isActive", vec!["1", "yes", "TRUE", ""]),
            ("search", vec!["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
        ] {
            for value in values {
                let answer = list(&school, &token, &format!("?{name}={value}")).await;
                assert_eq!(answer.status, 400, "{name}={value}: {}", answer.text);
                let body = answer.json();
                assert_eq!(body["errorCode"], "BAD_REQUEST");
                assert!(body["message"].as_str().unwrap().starts_with(name), "{name}={value}: {body}");
            }
        }
        let fifty = "%C3%A9".repeat(50);
        assert_eq!(list(&school, &token, &format!("?search={fifty}")).await.status, 200);
    }

    async fn class_is_answered_below_api_too(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let listed = school.get("/api/classes?pageSize=1").bearer(&token).send().await;
        assert_eq!(listed.json()["data"][0]["id"], OWN_CLASS.to_string());
        let path = format!("/api/classes/{OWN_CLASS}");
        let put = school.call("PUT", &path).bearer(&token).json(&json!({ "name": "10B" })).send().await;
        assert_eq!(put.json()["data"]["name"], "10B");
        assert_eq!(school.call("DELETE", &path).bearer(&token).send().await.status, 204);
        let post = school.post("/api/classes").bearer(&token).json(&json!({ "name": "10C" })).send().await;
        assert_eq!(post.status, 201);
    }
}
