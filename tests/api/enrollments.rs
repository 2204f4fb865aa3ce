//! Enrollments: approval, seats, leaving and joining again, the roster, and changes of students.

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom::{
    domain::{id::ClassId, person::PersonName, sourced_id::SourcedId},
    entity::{
        audit_event::{Action, Actor},
        class,
        enrollment::{self, Origin, Status},
        user,
    },
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    races::at_once,
    support::{Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER, assert_failure, both},
};

const UNKNOWN: &str = "44444444-4444-4444-4444-444444444444";

/// The status and the error code.
#[track_caller]
fn refusal(answer: &Answer) -> (u16, String) {
    let code = assert_failure("/classes/1", answer);
    (answer.status, code)
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Closes or opens a class.
async fn set_active(school: &School, class: ClassId, is_active: bool) {
    school.set_class(class, class::ActiveModel { is_active: Set(is_active), ..Default::default() }).await;
}

async fn read(school: &School, token: &str) -> u16 {
    school.get(&format!("/classes/{OWN_CLASS}")).bearer(token).send().await.status
}

/// The first names of the students on a page.
async fn names(school: &School, token: &str, query: &str) -> Vec<String> {
    let answer = school.roster(token, OWN_CLASS, query).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    let students = answer.json()["data"].as_array().unwrap().clone();
    students.iter().map(|student| student["firstName"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Makes an account one of the school.
async fn adopt(school: &School, email: &str) {
    school.change_account(email, |account| account.school_account = true).await;
}

both! {
    async fn join_class_that_requires_approval_is_pending_until_the_owner_admits(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let id = school.account(STUDENT).await.id;
        let code = school.generate_join_code(&teacher).await;
        school.require_approval(OWN_CLASS, true).await;
        let joined = school.join(&student, code.expose()).await;
        assert_eq!((joined.status, &joined.json()["data"]["status"]), (201, &json!("pending")));
        assert_eq!(read(&school, &student).await, 403);
        assert_eq!(school.roster(&student, OWN_CLASS, "").await.status, 403);
        let classes = school.get("/classes").bearer(&student).send().await.json();
        assert_eq!(classes["pagination"]["totalItems"], 0);
        assert_eq!(refusal(&school.join(&student, code.expose()).await), refused(409, "ALREADY_ENROLLED"));
        let shown = school.roster(&teacher, OWN_CLASS, "?status=pending").await.json();
        assert_eq!((&shown["data"][0]["id"], &shown["data"][0]["status"]), (&json!(id), &json!("pending")));
        assert_eq!(school.roster(&teacher, OWN_CLASS, "").await.json()["pagination"]["totalItems"], 0);

        school.clock.advance(TimeDelta::days(1));
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let admitted = school.admit(&teacher, OWN_CLASS, id).await;
        let data = json!({
            "id": id, "userId": id, "enrollmentDate": "2026-05-05", "address": null, "parentContactEmail": null,
            "status": "active", "createdAt": "2026-05-04T09:42:00Z", "updatedAt": "2026-05-05T09:42:00Z",
            "username": null, "password": null, "firstName": null, "lastName": null, "phoneNumber": null,
            "avatarUrl": null,
        });
        let body = json!({ "success": true, "code": 200, "message": "Student admitted", "data": data });
        assert_eq!(admitted.whole(), (200, body));
        // Admitting an active student changes nothing.
        school.clock.advance(TimeDelta::minutes(1));
        assert_eq!(school.admit(&teacher, OWN_CLASS, id).await.whole(), admitted.whole());
        assert_eq!(read(&school, &student).await, 200);
    }

    async fn owner_refuses_a_pending_student_who_may_ask_again(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let id = school.account(STUDENT).await.id;
        let code = school.generate_join_code(&teacher).await;
        school.require_approval(OWN_CLASS, true).await;
        let first = school.join(&student, code.expose()).await.json();
        assert_eq!(school.remove_student(&teacher, OWN_CLASS, id).await.status, 204);
        assert_eq!(school.status(OWN_CLASS, id).await, Some(Status::Dropped));
        assert_eq!(refusal(&school.admit(&teacher, OWN_CLASS, id).await), refused(404, "STUDENT_NOT_FOUND"));
        let second = school.join(&student, code.expose()).await;
        assert_eq!((second.status, &second.json()["data"]["id"]), (201, &first["data"]["id"]));
        assert_eq!(second.json()["data"]["status"], "pending");
        // A pending student withdraws.
        assert_eq!(school.leave(&student, OWN_CLASS).await.status, 204);
        assert_eq!(school.status(OWN_CLASS, id).await, Some(Status::Dropped));
    }

    async fn full_class_refuses_students_and_pending_joiners_until_a_seat_is_free(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let (colleague, other) = (school.token(COLLEAGUE).await, school.account(COLLEAGUE).await.id);
        let code = school.generate_join_code(&teacher).await;
        school.set_seats(OWN_CLASS, 1).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        for required in [false, true] {
            school.require_approval(OWN_CLASS, required).await;
            let full = school.join(&colleague, code.expose()).await;
            assert_eq!(refusal(&full), refused(409, "CLASS_FULL"));
            assert_eq!(full.json()["message"], "The class is full");
        }
        assert_eq!(school.enrollment(OWN_CLASS, other).await, None);
        assert_eq!(refusal(&school.join(&student, code.expose()).await), refused(409, "ALREADY_ENROLLED"));

        assert_eq!(school.leave(&student, OWN_CLASS).await.status, 204);
        assert_eq!(school.join(&colleague, code.expose()).await.status, 201);
        school.require_approval(OWN_CLASS, false).await;
        // A pending student has no seat.
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        assert_eq!(refusal(&school.admit(&teacher, OWN_CLASS, other).await), refused(409, "CLASS_FULL"));
        assert_eq!(school.status(OWN_CLASS, other).await, Some(Status::Pending));
        school.set_seats(OWN_CLASS, 2).await;
        set_active(&school, OWN_CLASS, false).await;
        let inactive = school.admit(&teacher, OWN_CLASS, other).await;
        assert_eq!(refusal(&inactive), refused(409, "CLASS_INACTIVE"));
        assert_eq!(inactive.json()["message"], "The class is inactive");
        set_active(&school, OWN_CLASS, true).await;
        assert_eq!(school.admit(&teacher, OWN_CLASS, other).await.status, 200);
        // Fewer seats than students remove nobody.
        school.set_seats(OWN_CLASS, 1).await;
        assert_eq!(school.seats(OWN_CLASS).await, 2);
        let view = school.get(&format!("/classes/{OWN_CLASS}/join-code")).bearer(&teacher).send().await.json();
        assert_eq!(view["data"]["joins"], 3);
    }

    async fn leave_class_ends_the_enrollment_once(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let code = school.generate_join_code(&teacher).await;
        let forbidden = json!("Only students of the class and pending joiners can leave it");
        let before = school.leave(&student, OWN_CLASS).await;
        assert_eq!((before.status, before.json()["message"].clone()), (403, forbidden));
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        let left = school.leave(&student, OWN_CLASS).await;
        assert_eq!((left.status, left.text.as_str(), left.header("content-type")), (204, "", None));
        assert_eq!(read(&school, &student).await, 403);
        assert_eq!(refusal(&school.leave(&student, OWN_CLASS).await), refused(403, "FORBIDDEN"));
        assert_eq!(refusal(&school.leave(&teacher, OWN_CLASS).await), refused(403, "FORBIDDEN"));
        for class in [UNKNOWN, "7B", "%FF"] {
            let unknown = school.post(&format!("/classes/{class}/leave")).bearer(&student).send().await;
            assert_eq!(refusal(&unknown), refused(404, "CLASS_NOT_FOUND"), "{class}");
        }
        let alias = school.post(&format!("/api/classes/{OWN_CLASS}/leave")).bearer(&student).send().await;
        assert_eq!(alias.status, 403);
    }

    async fn remove_student_is_for_the_owner_and_ends_the_enrollment_once(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let id = school.account(STUDENT).await.id;
        let code = school.generate_join_code(&teacher).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        let colleague = school.token(COLLEAGUE).await;
        for token in [&student, &colleague] {
            let forbidden = school.remove_student(token, OWN_CLASS, id).await;
            assert_eq!(refusal(&forbidden), refused(403, "FORBIDDEN"));
            assert_eq!(forbidden.json()["message"], "Only class owner can remove students");
        }
        // The owner of another class has no such student.
        let other = school.remove_student(&colleague, OTHER_CLASS, id).await;
        assert_eq!(refusal(&other), refused(404, "STUDENT_NOT_FOUND"));
        let removed = school.remove_student(&teacher, OWN_CLASS, id).await;
        assert_eq!((removed.status, removed.text.as_str()), (204, ""));
        assert_eq!(read(&school, &student).await, 403);
        assert_eq!(refusal(&school.remove_student(&teacher, OWN_CLASS, id).await), refused(404, "STUDENT_NOT_FOUND"));
        for (path, code) in [
            (format!("/classes/{OWN_CLASS}/students/{UNKNOWN}"), "STUDENT_NOT_FOUND"),
            (format!("/classes/{OWN_CLASS}/students/1"), "STUDENT_NOT_FOUND"),
            (format!("/classes/{UNKNOWN}/students/{id}"), "CLASS_NOT_FOUND"),
            (format!("/classes/7B/students/{id}"), "CLASS_NOT_FOUND"),
        ] {
            let delete = school.call("DELETE", &path).bearer(&teacher).send().await;
            assert_eq!(refusal(&delete), refused(404, code), "{path}");
            let admit = school.post(&format!("{path}/admit")).bearer(&teacher).send().await;
            assert_eq!(refusal(&admit), refused(404, code), "{path}");
        }
        // The account stays, and the student joins again.
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
    }

    async fn former_student_of_every_status_joins_again_with_the_same_enrollment(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let id = school.account(STUDENT).await.id;
        let code = school.generate_join_code(&teacher).await;
        let first = school.join(&student, code.expose()).await.json()["data"].clone();
        for (days, status) in [Status::Dropped, Status::Completed, Status::Transferred, Status::Graduated].into_iter().enumerate() {
            school.set_status(OWN_CLASS, id, status).await;
            school.clock.advance(TimeDelta::days(1));
            let student = school.token(STUDENT).await;
            assert_eq!(read(&school, &student).await, 403, "{status:?}");
            let again = school.join(&student, code.expose()).await;
            let mut expected = first.clone();
            expected["enrolledAt"] = json!(format!("2026-05-0{}", days + 5));
            expected["updatedAt"] = json!(format!("2026-05-0{}T09:42:00Z", days + 5));
            assert_eq!((again.status, again.json()["data"].clone()), (201, expected), "{status:?}");
            assert_eq!(read(&school, &student).await, 200, "{status:?}");
        }
    }

    async fn roster_is_alphabetical_and_shows_everything_to_the_owner_alone(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let users = school.add_students(5).await;
        let people = [("Zoë", "Đặng"), ("Ánh", "Đặng"), ("Lê", "Le"), ("", ""), ("Anna", "Lee")];
        for (user, (first, last)) in users.iter().zip(people) {
            school.name(*user, first, last).await;
            school.enroll(OWN_CLASS, *user, Status::Active).await;
        }
        let id = school.account(STUDENT).await.id;
        school.enroll(OWN_CLASS, id, Status::Active).await;
        school.name(id, "Minh", "Trần").await;
        school.change_account(STUDENT, |account| {
            account.phone_number = Some(homeroom::domain::person::PhoneNumber::parse("+84 24 1234567").unwrap());
        }).await;
        assert_eq!(names(&school, &teacher, "").await, ["", "Ánh", "Zoë", "Lê", "Anna", "Minh"]);
        assert_eq!(names(&school, &teacher, "?page=2&size=4").await, ["Anna", "Minh"]);
        assert_eq!(names(&school, &teacher, "?page=3&size=4").await, [""; 0]);
        assert_eq!(names(&school, &teacher, "?page=1000000&size=100").await, [""; 0]);
        let page = school.roster(&teacher, OWN_CLASS, "?page=6&size=1").await.json();
        let full = json!({
            "id": id, "userId": id, "enrollmentDate": "2026-05-04", "address": null, "parentContactEmail": null,
            "status": "active", "createdAt": "2026-05-04T09:42:00Z", "updatedAt": "2026-05-04T09:42:00Z",
            "username": null, "password": null, "firstName": "Minh", "lastName": "Trần",
            "phoneNumber": "+84 24 1234567", "avatarUrl": null,
        });
        assert_eq!(page, json!({
            "success": true, "code": 200, "message": "Students found", "data": [full],
            "pagination": { "currentPage": 6, "pageSize": 1, "totalItems": 6, "totalPages": 6 },
        }));
        // A student sees names.
        let shown = school.roster(&student, OWN_CLASS, "?page=6&size=1").await.json();
        let mut names_only = full;
        for name in ["enrollmentDate", "createdAt", "updatedAt", "phoneNumber"] {
            names_only[name] = json!(null);
        }
        assert_eq!(shown["data"], json!([names_only]));
        for status in ["dropped", "pending", "transferred", "graduated"] {
            let answer = school.roster(&student, OWN_CLASS, &format!("?status={status}")).await;
            assert_eq!(refusal(&answer), refused(403, "FORBIDDEN"), "{status}");
        }
        assert_eq!(school.roster(&student, OWN_CLASS, "?status=active").await.status, 200);
        let alias = school.get(&format!("/api/classes/{OWN_CLASS}/students?size=1")).bearer(&teacher).send().await;
        assert_eq!(alias.json()["pagination"]["totalItems"], 6);
        for class in [UNKNOWN, "7B"] {
            let unknown = school.get(&format!("/classes/{class}/students")).bearer(&teacher).send().await;
            assert_eq!(refusal(&unknown), refused(404, "CLASS_NOT_FOUND"));
        }
    }

    async fn roster_finds_students_by_status_and_completed_ones_as_graduated(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let statuses = [
            Status::Active, Status::Pending, Status::Dropped, Status::Transferred, Status::Graduated, Status::Completed,
        ];
        for (user, status) in school.add_students(6).await.into_iter().zip(statuses) {
            school.name(user, &format!("{status:?}"), "A").await;
            school.enroll(OWN_CLASS, user, status).await;
        }
        for (query, found) in [
            ("", vec!["Active"]),
            ("?status=active", vec!["Active"]),
            ("?status=pending", vec!["Pending"]),
            ("?status=dropped", vec!["Dropped"]),
            ("?status=transferred", vec!["Transferred"]),
            ("?status=graduated", vec!["Completed", "Graduated"]),
            ("?status=graduated&size=1&page=2", vec!["Graduated"]),
        ] {
            assert_eq!(names(&school, &teacher, query).await, found, "{query}");
        }
        let graduated = school.roster(&teacher, OWN_CLASS, "?status=graduated").await.json();
        assert_eq!((&graduated["data"][0]["status"], &graduated["data"][1]["status"]), (&json!("graduated"), &json!("graduated")));
        for (name, values) in [
            ("page", vec!["0", "-1", "1000001", "a", "", "1.0", "%00"]),
            ("size", vec!["0", "101", "a", ""]),
            ("status", vec!["completed", "Active", "", "active,dropped", "%00"]),
        ] {
            for value in values {
                let answer = school.roster(&teacher, OWN_CLASS, &format!("?{name}={value}")).await;
                assert_eq!(refusal(&answer), refused(400, "BAD_REQUEST"), "{name}={value}");
                assert!(answer.json()["message"].as_str().unwrap().starts_with(name), "{}", answer.text);
            }
        }
    }

    async fn roster_with_equal_names_shows_each_student_once_over_all_pages(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let mut users = school.add_students(25).await;
        for user in &users {
            school.name(*user, "An", "Le").await;
            school.enroll(OWN_CLASS, *user, Status::Active).await;
        }
        let mut seen = Vec::new();
        for page in 1..=4 {
            let answer = school.roster(&teacher, OWN_CLASS, &format!("?page={page}&size=7")).await.json();
            let pagination = json!({ "currentPage": page, "pageSize": 7, "totalItems": 25, "totalPages": 4 });
            assert_eq!(answer["pagination"], pagination);
            let students = answer["data"].as_array().unwrap().clone();
            seen.extend(students.iter().map(|student| student["id"].as_str().unwrap().to_owned()));
        }
        users.sort();
        assert_eq!(seen, users.iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    async fn update_student_changes_names_of_a_school_account_and_its_place_in_the_roster(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let owner = school.account(TEACHER).await.id;
        let users = school.add_students(2).await;
        for (user, last) in users.iter().zip(["Adam", "Berg"]) {
            school.name(*user, last, last).await;
            school.enroll(OWN_CLASS, *user, Status::Active).await;
        }
        adopt(&school, "student0@example.com").await;
        school.clock.advance(TimeDelta::minutes(1));
        let body = json!({ "lastName": "Zander", "phoneNumber": "0301234", "avatarUrl": "https://a.example/b.png" });
        let changed = school.update_student(&teacher, users[0], &body).await;
        let data = json!({
            "id": users[0], "userId": users[0], "enrollmentDate": "2026-05-04", "address": null,
            "parentContactEmail": null, "status": "active", "createdAt": "2026-05-04T09:42:00Z",
            "updatedAt": "2026-05-04T09:43:00Z", "username": null, "password": null, "firstName": "Adam",
            "lastName": "Zander", "phoneNumber": "0301234", "avatarUrl": "https://a.example/b.png",
        });
        let whole = json!({ "success": true, "code": 200, "message": "Student updated", "data": data });
        assert_eq!(changed.whole(), (200, whole));
        assert_eq!(names(&school, &teacher, "").await, ["Berg", "Adam"]);
        let events = school.events().await;
        let event = events.iter().find(|event| event.action == Action::AccountChange).unwrap();
        assert_eq!((event.actor, event.reason.as_deref()), (Actor::Owner, Some("profile")));
        assert_eq!((event.user_id, event.by_user_id, event.class_id), (Some(users[0]), Some(owner), Some(OWN_CLASS)));

        let body = json!({ "firstName": null, "lastName": null, "status": null, "phoneNumber": null, "avatarUrl": null });
        let cleared = school.update_student(&teacher, users[0], &body).await.json()["data"].clone();
        assert_eq!((&cleared["firstName"], &cleared["lastName"], &cleared["status"]), (&json!("Adam"), &json!("Zander"), &json!("active")));
        assert_eq!((&cleared["phoneNumber"], &cleared["avatarUrl"]), (&json!(null), &json!(null)));
        // A body without a change is no event.
        let count = school.events().await.len();
        for body in [json!({}), json!({ "firstName": null }), json!({ "unknown": 1 })] {
            let answer = school.update_student(&teacher, users[0], &body).await;
            assert_eq!((answer.status, &answer.json()["data"]), (200, &cleared), "{body}");
        }
        assert_eq!(school.events().await.len(), count);
        let alias = school.call("PUT", &format!("/api/students/{}", users[0])).bearer(&teacher).json(&json!({}));
        assert_eq!(alias.send().await.status, 200);
    }

    async fn update_student_with_an_own_account_changes_the_status_alone(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let id = school.account(STUDENT).await.id;
        school.enroll(OWN_CLASS, id, Status::Active).await;
        for body in [
            json!({ "firstName": "Minh" }),
            json!({ "lastName": "Minh", "status": "dropped" }),
            json!({ "phoneNumber": null }),
            json!({ "avatarUrl": "https://a.example/" }),
        ] {
            let answer = school.update_student(&teacher, id, &body).await;
            assert_eq!(refusal(&answer), refused(403, "NOT_SCHOOL_ACCOUNT"), "{body}");
        }
        assert_eq!(school.status(OWN_CLASS, id).await, Some(Status::Active));
        for status in ["graduated", "transferred", "dropped", "active"] {
            let answer = school.update_student(&teacher, id, &json!({ "status": status, "firstName": null })).await;
            assert_eq!((answer.status, &answer.json()["data"]["status"]), (200, &json!(status)));
        }
    }

    async fn update_student_is_for_owners_of_a_class_of_the_student(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, colleague) = (school.token(TEACHER).await, school.token(COLLEAGUE).await);
        let student = school.token(STUDENT).await;
        let id = school.account(STUDENT).await.id;
        let body = json!({ "status": "dropped" });
        assert_eq!(refusal(&school.update_student(&teacher, id, &body).await), refused(404, "STUDENT_NOT_FOUND"));
        // A pending student is no student yet.
        school.enroll(OWN_CLASS, id, Status::Pending).await;
        assert_eq!(refusal(&school.update_student(&teacher, id, &body).await), refused(404, "STUDENT_NOT_FOUND"));
        school.set_status(OWN_CLASS, id, Status::Active).await;
        for token in [&colleague, &student] {
            assert_eq!(refusal(&school.update_student(token, id, &body).await), refused(404, "STUDENT_NOT_FOUND"));
        }
        for unknown in [UNKNOWN, "1", "%FF"] {
            let answer = school.call("PUT", &format!("/students/{unknown}")).bearer(&teacher).json(&body).send().await;
            assert_eq!(refusal(&answer), refused(404, "STUDENT_NOT_FOUND"), "{unknown}");
        }
        for (body, name) in [
            (json!({ "firstName": "" }), "firstName"),
            (json!({ "lastName": " " }), "lastName"),
            (json!({ "firstName": "a\u{0}" }), "firstName"),
            (json!({ "lastName": "a".repeat(101) }), "lastName"),
            (json!({ "phoneNumber": "x" }), "phoneNumber"),
            (json!({ "avatarUrl": "http://a.example/" }), "avatarUrl"),
            (json!({ "status": "pending" }), "status"),
            (json!({ "status": "completed" }), "status"),
            (json!({ "status": 1 }), "status"),
        ] {
            let answer = school.update_student(&teacher, id, &body).await;
            assert_eq!(refusal(&answer), refused(400, "BAD_REQUEST"), "{body}");
            assert!(answer.json()["message"].as_str().unwrap().starts_with(name), "{}", answer.text);
        }
        assert_eq!(school.status(OWN_CLASS, id).await, Some(Status::Active));
    }

    async fn update_student_changes_the_status_where_the_student_is_active_or_else_in_the_newest_class(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let (owner, id) = (school.account(TEACHER).await.id, school.account(STUDENT).await.id);
        let second = school.add_class(owner, "10B1").await;
        let third = school.add_class(owner, "10C1").await;
        let fourth = school.add_class(owner, "10D1").await;
        school.enroll(OWN_CLASS, id, Status::Active).await;
        school.enroll(second, id, Status::Active).await;
        school.clock.advance(TimeDelta::minutes(1));
        school.enroll(fourth, id, Status::Completed).await;
        school.enroll(third, id, Status::Pending).await;
        school.enroll(OTHER_CLASS, id, Status::Active).await;
        let statuses = async || {
            let mut found = Vec::new();
            for class in [OWN_CLASS, second, third, fourth, OTHER_CLASS] {
                found.push(school.status(class, id).await.unwrap());
            }
            found
        };
        let [active, left, waits, done] = [Status::Active, Status::Transferred, Status::Pending, Status::Completed];
        let set = async |status: &str| school.update_student(&teacher, id, &json!({ "status": status })).await;
        // An active student stays one, also in a full class, and comes back to no other class.
        school.set_seats(second, 1).await;
        assert_eq!(set("active").await.json()["data"]["status"], "active");
        assert_eq!(statuses().await, [active, active, waits, done, active]);
        assert_eq!(set("transferred").await.json()["data"]["status"], "transferred");
        assert_eq!(statuses().await, [left, left, waits, done, active]);

        // The newest class without the one in which the student waits.
        school.set_seats(fourth, 1).await;
        let other = school.account(COLLEAGUE).await.id;
        school.enroll(fourth, other, Status::Active).await;
        assert_eq!(refusal(&set("active").await), refused(409, "CLASS_FULL"));
        school.set_seats(fourth, 2).await;
        set_active(&school, fourth, false).await;
        assert_eq!(refusal(&set("active").await), refused(409, "CLASS_INACTIVE"));
        assert_eq!(statuses().await, [left, left, waits, done, active]);
        set_active(&school, fourth, true).await;
        assert_eq!(set("active").await.json()["data"]["status"], "active");
        assert_eq!(statuses().await, [left, left, waits, active, active]);
    }

    async fn owner_has_no_power_over_an_account_that_joined_with_a_code_or_left(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let id = school.add_students(1).await[0];
        adopt(&school, "student0@example.com").await;
        school.enroll(OWN_CLASS, id, Status::Active).await;
        let origin = async |origin: Origin, sourced_id: Option<&str>| {
            let row = enrollment::ActiveModel {
                origin: Set(origin),
                sourced_id: Set(sourced_id.map(|id| SourcedId::parse(id).unwrap())),
                ..Default::default()
            };
            enrollment::Entity::update_many().set(row).exec(school.db.writer()).await.unwrap();
        };
        let rename = async || school.update_student(&teacher, id, &json!({ "firstName": "Minh" })).await;
        let reset = async || {
            let path = format!("/classes/{OWN_CLASS}/students/{id}/reset-password");
            school.post(&path).bearer(&teacher).send().await
        };
        let set = async |status: &str| school.update_student(&teacher, id, &json!({ "status": status })).await.status;
        for (first, sourced_id) in [(Origin::Owner, None), (Origin::Roster, Some("e1"))] {
            origin(first, sourced_id).await;
            assert_eq!((rename().await.status, reset().await.status), (200, 200), "{first:?}");
        }
        // The school moved the student to another class. The teacher brings the student back.
        assert_eq!((set("dropped").await, set("active").await), (200, 200));
        assert_eq!(refusal(&rename().await), refused(403, "NOT_SCHOOL_ACCOUNT"));
        assert_eq!(refusal(&reset().await), refused(403, "NOT_SCHOOL_ACCOUNT"));
        // The teacher takes back a change of an own student.
        origin(Origin::Owner, None).await;
        assert_eq!(set("dropped").await, 200);
        assert_eq!(refusal(&rename().await), refused(403, "NOT_SCHOOL_ACCOUNT"));
        assert_eq!(set("active").await, 200);
        assert_eq!((rename().await.status, reset().await.status), (200, 200));
        // The student leaves.
        let student = school.token_of(id).await;
        let left = school.post(&format!("/classes/{OWN_CLASS}/leave")).bearer(&student).send().await;
        assert_eq!((left.status, set("active").await), (204, 200));
        assert_eq!(refusal(&rename().await), refused(403, "NOT_SCHOOL_ACCOUNT"));
        assert_eq!(refusal(&reset().await), refused(403, "NOT_SCHOOL_ACCOUNT"));
    }

    async fn own_new_name_changes_the_place_in_the_roster(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let code = school.generate_join_code(&teacher).await;
        let other = school.add_students(1).await[0];
        school.name(other, "Berg", "Berg").await;
        school.enroll(OWN_CLASS, other, Status::Active).await;
        assert_eq!(school.join(&student, code.expose()).await.status, 201);
        for (body, expected) in [
            (json!({ "firstName": "Minh", "lastName": "Đào" }), ["Berg", "Minh"]),
            (json!({ "lastName": "Ábel" }), ["Minh", "Berg"]),
            (json!({ "lastName": null, "firstName": null }), ["", "Berg"]),
        ] {
            assert_eq!(school.call("PATCH", "/user/me").bearer(&student).json(&body).send().await.status, 200);
            assert_eq!(names(&school, &teacher, "").await, expected, "{body}");
        }
    }

    async fn join_and_new_name_at_once_leave_the_key_of_the_name_in_each_of_50_rounds(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let code = school.generate_join_code(&teacher).await;
        let id = school.account(STUDENT).await.id;
        for round in 0..50 {
            let statuses = at_once(&school, 3, |school, index| {
                let (student, code) = (student.clone(), code.clone());
                async move {
                    if index == 0 {
                        return school.join(&student, code.expose()).await.status;
                    }
                    let body = json!({ "lastName": format!("Name {round} {index}") });
                    school.call("PATCH", "/user/me").bearer(&student).json(&body).send().await.status
                }
            })
            .await;
            assert_eq!(statuses, [201, 200, 200], "{round}");
            let row = school.enrollment(OWN_CLASS, id).await.unwrap();
            let name: Option<PersonName> = school.account(STUDENT).await.last_name;
            assert_eq!(row.student_key.as_str(), user::sort_key(id, None, name.as_ref()).as_str(), "{round}");
            let gone = enrollment::Entity::delete_many().filter(enrollment::Column::StudentId.eq(id));
            gone.exec(school.db.writer()).await.unwrap();
        }
    }

    async fn roster_operation_without_token_is_401(kind: Kind) {
        let school = School::start(kind).await;
        for (method, path) in [
            ("GET", format!("/classes/{OWN_CLASS}/students")),
            ("DELETE", format!("/classes/{OWN_CLASS}/students/{UNKNOWN}")),
            ("POST", format!("/classes/{OWN_CLASS}/students/{UNKNOWN}/admit")),
            ("POST", format!("/classes/{OWN_CLASS}/leave")),
            ("PUT", format!("/students/{UNKNOWN}")),
        ] {
            let answer = school.call(method, &path).send().await;
            assert_eq!(refusal(&answer), refused(401, "UNAUTHORIZED"), "{path}");
            assert_eq!(answer.json()["data"], Value::Null);
        }
    }
}
