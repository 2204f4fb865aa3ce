//! Accounts that the school makes: created one by one, with first passwords, and with new ones.

use std::collections::BTreeSet;

use homeroom::{
    domain::{
        email::Email,
        id::{ClassId, UserId},
        network::Network,
        password::Password,
    },
    entity::{
        audit_event::{Action, Actor},
        enrollment::{self, Origin, Status},
        rate_limit,
        school_account::{self, InitialPassword},
        user::{self, PasswordState},
    },
    identity::password_hashing::{self, Cost},
    random::OsRandom,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::support::{
    Answer, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, STUDENT_DOMAIN, School, TEACHER, both, sign_in_body,
    signing_in::changed,
};

/// The path of the students of a class.
fn students(class: ClassId) -> String {
    format!("/classes/{class}/students")
}

/// Asks for a student of the teacher's class.
async fn create(school: &School, token: &str, body: &Value) -> Answer {
    school.post(&students(OWN_CLASS)).bearer(token).json(body).send().await
}

fn named(first: &str, last: &str) -> Value {
    json!({ "firstName": first, "lastName": last })
}

/// Creates a student of the teacher's class, and returns the answer's `data`.
async fn created(school: &School, token: &str, first: &str, last: &str) -> Value {
    let answer = create(school, token, &named(first, last)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"].take()
}

async fn reset(school: &School, token: &str, class: ClassId, student: &str) -> Answer {
    school.post(&format!("{}/{student}/reset-password", students(class))).bearer(token).send().await
}

async fn first_passwords(school: &School, token: &str, class: ClassId, ids: &[&str]) -> Answer {
    let path = format!("{}/bulk-create-accounts", students(class));
    school.post(&path).bearer(token).json(&json!({ "studentIds": ids })).send().await
}

/// The local part of the user name in an answer.
fn local(data: &Value) -> String {
    let (local, domain) = data["username"].as_str().unwrap().split_once('@').unwrap();
    assert_eq!(domain, STUDENT_DOMAIN);
    local.to_owned()
}

fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap_or_else(|| panic!("no {name} in {data}")).to_owned()
}

/// Whether the password of an account is this one.
async fn has_password(school: &School, user_name: &str, password: &str) -> bool {
    let hash = school.account(user_name).await.password_hash;
    let password = Password::parse(password).unwrap();
    let hashing = &school.server.identity.hashing;
    hashing.verify(Network::of(None), Some(hash), password).await.unwrap()
}

/// Changes a property of the teacher's class.
async fn change_class(school: &School, token: &str, change: Value) {
    let answer =
        school.call("PUT", &format!("/classes/{OWN_CLASS}")).bearer(token).json(&change).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

async fn enrollment_of(school: &School, class: ClassId, student: UserId) -> enrollment::Model {
    let row = enrollment::Entity::find()
        .filter(enrollment::Column::ClassId.eq(class))
        .filter(enrollment::Column::StudentId.eq(student));
    row.one(school.db.writer()).await.unwrap().unwrap()
}

/// Changes the enrollment of a student.
async fn change_enrollment(school: &School, class: ClassId, student: UserId, row: enrollment::ActiveModel) {
    let change = enrollment::Entity::update_many()
        .set(row)
        .filter(enrollment::Column::ClassId.eq(class))
        .filter(enrollment::Column::StudentId.eq(student));
    assert_eq!(change.exec(school.db.writer()).await.unwrap().rows_affected, 1);
}

fn status(status: Status) -> enrollment::ActiveModel {
    enrollment::ActiveModel { status: Set(status), ..Default::default() }
}

/// Makes an account one that a roster import has made.
async fn without_password(school: &School, user_name: &str) {
    let hash = password_hashing::unusable(Cost::DEFAULT, &OsRandom).unwrap();
    school
        .change_account(user_name, |account| {
            account.password_state = PasswordState::None;
            account.password_hash = hash;
        })
        .await;
}

/// An access token of a student who has chosen a password of their own: the generated one.
async fn token_of(school: &School, data: &Value) -> String {
    let user_name = text(data, "username");
    school.change_account(&user_name, |account| account.password_state = PasswordState::Own).await;
    let body = changed(sign_in_body(&user_name), json!({ "password": data["password"] }));
    let answer = school.post("/api/v1/codes").json(&body).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let url = answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap().parse().unwrap();
    let body = crate::support::exchange_body(&crate::support::code_in(&url));
    let answer = school.post("/api/v1/tokens").json(&body).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    text(&answer.json()["items"][0], "accessToken")
}

async fn wrong_sign_in(school: &School, user_name: &str) -> u16 {
    let body = changed(sign_in_body(user_name), json!({ "password": "wrong" }));
    school.post("/api/v1/codes").json(&body).send().await.status
}

both! {
    async fn create_student_answers_the_account_and_enrolls_it(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let body = json!({
            "firstName": "Linh",
            "lastName": "Nguyễn",
            "email": "Nobody@Mail.Example",
            "phoneNumber": "+84 24 1234 567",
            "avatarUrl": "https://pictures.example.com/linh.png",
            "unknown": 1,
        });
        let answer = create(&school, &token, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let mut data = answer.json()["data"].take();
        let (id, password) = (text(&data, "id"), text(&data, "password"));
        assert_eq!(password.split('-').count(), 4, "{password}");
        for volatile in ["id", "userId", "password"] {
            data[volatile].take();
        }
        assert_eq!(
            data,
            json!({
                "id": null,
                "userId": null,
                "enrollmentDate": "2026-05-04",
                "address": null,
                "parentContactEmail": null,
                "status": "active",
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
                "username": "nobody@students.example",
                "password": null,
                "firstName": "Linh",
                "lastName": "Nguyễn",
                "phoneNumber": "+84 24 1234 567",
                "avatarUrl": "https://pictures.example.com/linh.png",
            })
        );
        let account = school.account("nobody@students.example").await;
        assert_eq!((account.id.to_string(), account.school_account), (id, true));
        assert_eq!((account.password_state, account.enabled), (PasswordState::Initial, true));
        assert!(has_password(&school, "nobody@students.example", &password).await);
        let enrollment = enrollment_of(&school, OWN_CLASS, account.id).await;
        assert_eq!((enrollment.status, enrollment.origin), (Status::Active, Origin::Owner));
        let teacher = school.account(TEACHER).await.id;
        let events = school.events().await;
        let event = events.iter().find(|event| event.user_id == Some(account.id)).unwrap();
        assert_eq!((event.action, event.actor), (Action::AccountCreate, Actor::Owner));
        assert_eq!((event.by_user_id, event.class_id), (Some(teacher), Some(OWN_CLASS)));
        // No mail goes to an address that is none, nor to the one of the wish.
        assert!(school.take_mails().await.is_empty());
    }

    async fn user_name_is_the_name_with_a_number_if_it_is_taken(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        for (first, last, expected) in [
            ("Linh", "Nguyễn", "linh.nguyen"),
            ("LINH", "Nguyen", "linh.nguyen2"),
            ("Linh", "Nguyễn", "linh.nguyen3"),
            ("Jörg", "Groß-Voß", "jorg.grossvoss"),
            ("Đức", "Phạm Thị", "duc.phamthi"),
            ("Иван", "Щербаков", "ivan.shcherbakov"),
            ("!", "?", "pupil"),
            ("?", "!", "pupil2"),
        ] {
            assert_eq!(local(&created(&school, &token, first, last).await), expected, "{first} {last}");
        }
        let ten = "a".repeat(10);
        for number in 1..=25 {
            let expected = if number == 1 { format!("{ten}.b") } else { format!("{ten}.b{number}") };
            assert_eq!(local(&created(&school, &token, &ten, "B").await), expected);
        }
        for (wish, expected) in [("M.Roe@a.example", "m.roe"), ("m.roe@b.example", "m.roe2"), ("_@a.example", "max.roe")] {
            let answer = create(&school, &token, &changed(named("Max", "Roe"), json!({ "email": wish }))).await;
            assert_eq!(local(&answer.json()["data"]), expected, "{wish}");
        }
    }

    async fn students_of_one_name_at_once_get_different_user_names(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let token = school.token(TEACHER).await;
        let body = named("Linh", "Nguyễn");
        let answers = futures_util::future::join_all((0..4).map(|_| create(&school, &token, &body))).await;
        let mut names = BTreeSet::new();
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.text);
            names.insert(local(&answer.json()["data"]));
        }
        let expected = ["linh.nguyen", "linh.nguyen2", "linh.nguyen3", "linh.nguyen4"];
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    async fn create_student_refuses_what_is_not_valid(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let name = "must have 1 to 100 characters, not only blanks, and no control character";
        for (body, message) in [
            (json!({}), "firstName is required; lastName is required".to_owned()),
            (named(" ", "a\n"), format!("firstName {name}; lastName {name}")),
            (
                changed(named("a", "b"), json!({ "email": "x", "phoneNumber": "1" })),
                "email must be an e-mail address; phoneNumber must be a phone number: 3 to 32 digits, blanks and \
                 + - / ( ) ."
                    .to_owned(),
            ),
        ] {
            let answer = create(&school, &token, &body).await;
            assert_eq!((answer.status, answer.json()["errorCode"].take()), (400, json!("BAD_REQUEST")));
            let found = text(&answer.json(), "message");
            for part in message.split("; ").map(|part| part.split(" must be").next().unwrap()) {
                assert!(found.contains(part), "{found}");
            }
        }
        let unknown = school.post("/classes/10A1/students").bearer(&token).json(&named("a", "b")).send().await;
        assert_eq!((unknown.status, unknown.json()["errorCode"].take()), (404, json!("CLASS_NOT_FOUND")));
        let others = school.post(&students(OTHER_CLASS)).bearer(&token).json(&named("a", "b")).send().await;
        assert_eq!((others.status, others.json()["message"].take()), (403, json!("Only class owner can add students")));
        let nobody = school.post(&students(OWN_CLASS)).json(&named("a", "b")).send().await;
        assert_eq!(nobody.status, 401);
    }

    async fn create_student_without_student_domain_is_a_400(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.school.student_domain = None);
        let token = school.token(TEACHER).await;
        let answer = create(&school, &token, &named("Linh", "Nguyễn")).await;
        let error = (answer.status, answer.json()["errorCode"].take());
        assert_eq!(error, (400, json!("STUDENT_ACCOUNTS_DISABLED")), "{}", answer.text);
    }

    async fn create_student_in_a_full_or_inactive_class_is_a_409(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        change_class(&school, &token, json!({ "maxStudents": 3 })).await;
        let body = named("Linh", "Nguyễn");
        let answers = futures_util::future::join_all((0..6).map(|_| create(&school, &token, &body))).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        let full = answers.iter().filter(|answer| answer.status == 409).count();
        assert_eq!((done, full), (3, 3));
        let answer = create(&school, &token, &body).await;
        assert_eq!((answer.status, answer.json()["errorCode"].take()), (409, json!("CLASS_FULL")));
        change_class(&school, &token, json!({ "maxStudents": null, "isActive": false })).await;
        let answer = create(&school, &token, &body).await;
        assert_eq!((answer.status, answer.json()["errorCode"].take()), (409, json!("CLASS_INACTIVE")));
    }

    async fn requests_that_make_accounts_are_limited_for_each_teacher(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.school.account_rate = 3);
        let token = school.token(TEACHER).await;
        let data = created(&school, &token, "Linh", "Nguyễn").await;
        let id = text(&data, "id");
        assert_eq!(reset(&school, &token, OWN_CLASS, &id).await.status, 200);
        assert_eq!(first_passwords(&school, &token, OWN_CLASS, &[&id]).await.status, 200);
        let refused = [
            create(&school, &token, &named("Linh", "Nguyễn")).await,
            reset(&school, &token, OWN_CLASS, &id).await,
            first_passwords(&school, &token, OWN_CLASS, &[&id]).await,
        ];
        for answer in refused {
            assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1200")), "{}", answer.text);
        }
        let colleague = school.token(COLLEAGUE).await;
        let path = students(OTHER_CLASS);
        let answer = school.post(&path).bearer(&colleague).json(&named("a", "b")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    async fn reset_replaces_the_password_and_ends_sessions_and_lockouts(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let data = created(&school, &token, "Linh", "Nguyễn").await;
        let (id, user_name, old) = (text(&data, "id"), text(&data, "username"), text(&data, "password"));
        let pupil = token_of(&school, &data).await;
        assert_eq!(school.get("/user/me").bearer(&pupil).send().await.status, 200);
        while wrong_sign_in(&school, &user_name).await != 429 {}
        let answer = reset(&school, &token, OWN_CLASS, &id).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let shown = answer.json()["data"].take();
        let new = text(&shown, "password");
        assert_eq!((text(&shown, "id"), text(&shown, "username")), (id.clone(), user_name.clone()));
        assert_ne!(new, old);
        assert!(has_password(&school, &user_name, &new).await);
        assert!(!has_password(&school, &user_name, &old).await);
        let account = school.account(&user_name).await;
        assert_eq!((account.password_state, account.password_version), (PasswordState::Initial, 1));
        // The session ended, and the failed sign-ins are forgotten.
        assert_eq!(school.get("/user/me").bearer(&pupil).send().await.status, 401);
        assert_eq!(wrong_sign_in(&school, &user_name).await, 400);
        let teacher = school.account(TEACHER).await.id;
        let events = school.events().await;
        let by_teacher = events.iter().filter(|event| event.by_user_id == Some(teacher));
        let mut actions = Vec::new();
        for event in by_teacher {
            assert_eq!((event.user_id, event.class_id), (Some(account.id), Some(OWN_CLASS)));
            assert_eq!(event.actor, Actor::Owner);
            actions.push(event.action);
        }
        actions.sort_by_key(|action| format!("{action:?}"));
        assert_eq!(actions, [Action::AccountCreate, Action::PasswordChange, Action::Unlock]);
    }

    async fn reset_of_a_student_who_joined_with_a_code_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, colleague) = (school.token(TEACHER).await, school.token(COLLEAGUE).await);
        let data = created(&school, &teacher, "Linh", "Nguyễn").await;
        let (id, user_name) = (text(&data, "id"), text(&data, "username"));
        let pupil = token_of(&school, &data).await;
        // Another user makes a class, and lures the pupil in with a code.
        let code = school.post(&format!("/classes/{OTHER_CLASS}/join-code")).bearer(&colleague).send().await;
        let code = text(&code.json()["data"], "joinCode");
        assert_eq!(reset(&school, &colleague, OTHER_CLASS, &id).await.status, 404);
        assert_eq!(school.join(&pupil, &code).await.status, 201);
        let before = school.account(&user_name).await;
        let answer = reset(&school, &colleague, OTHER_CLASS, &id).await;
        assert_eq!((answer.status, answer.json()["errorCode"].take()), (403, json!("NOT_SCHOOL_ACCOUNT")));
        let bulk = first_passwords(&school, &colleague, OTHER_CLASS, &[&id]).await.json();
        assert_eq!(bulk["data"]["failedAccounts"][0]["reason"], "joined this class with a code");
        // Neither may the colleague name the teacher's class.
        assert_eq!(reset(&school, &colleague, OWN_CLASS, &id).await.status, 403);
        assert_eq!(school.account(&user_name).await, before);
        assert_eq!(school.get("/user/me").bearer(&pupil).send().await.status, 200);
        // The owner who made the account still may, also after the pupil left and came back.
        let pupil_id: UserId = id.parse().unwrap();
        change_enrollment(&school, OWN_CLASS, pupil_id, status(Status::Dropped)).await;
        assert_eq!(reset(&school, &teacher, OWN_CLASS, &id).await.status, 404);
        change_enrollment(&school, OWN_CLASS, pupil_id, status(Status::Active)).await;
        assert_eq!(reset(&school, &teacher, OWN_CLASS, &id).await.status, 200);
    }

    async fn reset_of_a_student_whom_the_owner_may_not_reset_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let (teacher, student) = (school.token(TEACHER).await, school.token(STUDENT).await);
        let code = school.generate_join_code(&teacher).await;
        let joined = school.join(&student, code.expose()).await.json();
        let id = text(&joined["data"], "studentId");
        let student: UserId = id.parse().unwrap();
        let before = school.account(STUDENT).await;
        for origin in [Origin::JoinCode, Origin::Owner, Origin::Roster] {
            let row = enrollment::ActiveModel { origin: Set(origin), ..Default::default() };
            change_enrollment(&school, OWN_CLASS, student, row).await;
            let answer = reset(&school, &teacher, OWN_CLASS, &id).await;
            let error = (answer.status, answer.json()["errorCode"].take());
            assert_eq!(error, (403, json!("NOT_SCHOOL_ACCOUNT")), "{origin:?}");
        }
        school.change_account(STUDENT, |account| account.school_account = true).await;
        for former in [Status::Pending, Status::Dropped, Status::Completed, Status::Transferred, Status::Graduated] {
            change_enrollment(&school, OWN_CLASS, student, status(former)).await;
            let answer = reset(&school, &teacher, OWN_CLASS, &id).await;
            let error = (answer.status, answer.json()["errorCode"].take());
            assert_eq!(error, (404, json!("STUDENT_NOT_FOUND")), "{former:?}");
        }
        assert_eq!(school.account(STUDENT).await.password_hash, before.password_hash);
        for (class, id, status) in [
            (OWN_CLASS.to_string(), "1", 404),
            (OWN_CLASS.to_string(), "44444444-4444-4444-4444-444444444444", 404),
            ("10A1".to_owned(), id.as_str(), 404),
            (OTHER_CLASS.to_string(), id.as_str(), 403),
        ] {
            let path = format!("/classes/{class}/students/{id}/reset-password");
            assert_eq!(school.post(&path).bearer(&teacher).send().await.status, status, "{path}");
        }
    }

    async fn initial_password_of_a_changed_account_is_not_set(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let data = created(&school, &token, "Linh", "Nguyễn").await;
        let (student, user_name): (UserId, _) = (text(&data, "id").parse().unwrap(), text(&data, "username"));
        let (teacher, colleague) = (school.account(TEACHER).await.id, school.account(COLLEAGUE).await.id);
        let initial = |owner, class, version| InitialPassword {
            student,
            class,
            owner,
            version,
            password_hash: password_hashing::unusable(Cost::DEFAULT, &OsRandom).unwrap(),
        };
        let set = async |initial: InitialPassword| {
            school_account::set_initial_password(school.db.writer(), &initial).await.unwrap()
        };
        for refused in [
            initial(Some(teacher), OWN_CLASS, 1),
            initial(Some(colleague), OWN_CLASS, 0),
            initial(Some(teacher), OTHER_CLASS, 0),
            initial(Some(colleague), OTHER_CLASS, 0),
        ] {
            assert!(!set(refused).await);
        }
        for row in [
            status(Status::Dropped),
            enrollment::ActiveModel { origin: Set(Origin::JoinCode), ..status(Status::Active) },
        ] {
            change_enrollment(&school, OWN_CLASS, student, row).await;
            assert!(!set(initial(Some(teacher), OWN_CLASS, 0)).await);
        }
        let row = enrollment::ActiveModel { origin: Set(Origin::Roster), ..Default::default() };
        change_enrollment(&school, OWN_CLASS, student, row).await;
        school.change_account(&user_name, |account| account.school_account = false).await;
        assert!(!set(initial(Some(teacher), OWN_CLASS, 0)).await);
        school.change_account(&user_name, |account| account.school_account = true).await;
        assert!(set(initial(Some(teacher), OWN_CLASS, 0)).await);
        assert!(!set(initial(Some(teacher), OWN_CLASS, 0)).await);
        assert!(set(initial(None, OWN_CLASS, 1)).await);
    }

    async fn first_passwords_are_made_for_accounts_without_one(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let (new, with, left) = (
            created(&school, &token, "Linh", "Nguyễn").await,
            created(&school, &token, "Max", "Groß").await,
            created(&school, &token, "Zoë", "Roe").await,
        );
        let user_name = text(&new, "username");
        without_password(&school, &user_name).await;
        without_password(&school, &text(&left, "username")).await;
        let left_id: UserId = text(&left, "id").parse().unwrap();
        change_enrollment(&school, OWN_CLASS, left_id, status(Status::Dropped)).await;
        let (student, code) = (school.token(STUDENT).await, school.generate_join_code(&token).await);
        let joined = text(&school.join(&student, code.expose()).await.json()["data"], "studentId");
        let row = enrollment::ActiveModel { origin: Set(Origin::Owner), ..Default::default() };
        change_enrollment(&school, OWN_CLASS, joined.parse().unwrap(), row).await;

        let unknown = "44444444-4444-4444-4444-444444444444";
        let ids = [text(&new, "id"), "\0 <x>".to_owned(), text(&with, "id"), unknown.to_owned(), text(&left, "id"), joined, text(&new, "id").to_uppercase()];
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let answer = first_passwords(&school, &token, OWN_CLASS, &ids).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let mut data = answer.json()["data"].take();
        let password = text(&data["createdAccounts"][0], "temporaryPassword");
        data["createdAccounts"][0]["temporaryPassword"].take();
        let failed = |id: &str, reason: &str| json!({ "studentId": id, "reason": reason });
        assert_eq!(
            data,
            json!({
                "totalCreated": 1,
                "totalFailed": 6,
                "createdAccounts": [{ "studentId": ids[0], "username": user_name, "temporaryPassword": null }],
                "failedAccounts": [
                    failed(ids[1], "not in this class"),
                    failed(ids[2], "has a password already; reset it instead"),
                    failed(ids[3], "not in this class"),
                    failed(ids[4], "not in this class"),
                    failed(ids[5], "the school did not make this account"),
                    failed(ids[6], "not in this class"),
                ],
            })
        );
        assert!(has_password(&school, &user_name, &password).await);
        let account = school.account(&user_name).await;
        assert_eq!((account.password_state, account.password_version), (PasswordState::Initial, 1));
        let again = first_passwords(&school, &token, OWN_CLASS, &ids[..1]).await.json();
        assert_eq!(again["data"]["failedAccounts"][0]["reason"], "has a password already; reset it instead");
        assert!(has_password(&school, &user_name, &password).await);
        let events = school.events().await;
        let changes = events.iter().filter(|event| event.action == Action::PasswordChange);
        let changes: Vec<_> = changes.map(|event| (event.user_id, event.class_id, event.actor)).collect();
        assert_eq!(changes, [(Some(account.id), Some(OWN_CLASS), Actor::Owner)]);
    }

    async fn two_requests_for_one_first_password_show_one_password(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let data = created(&school, &token, "Linh", "Nguyễn").await;
        let (id, user_name) = (text(&data, "id"), text(&data, "username"));
        without_password(&school, &user_name).await;
        let ids = [id.as_str()];
        let request = || first_passwords(&school, &token, OWN_CLASS, &ids);
        let answers = futures_util::future::join_all([request(), request(), request()]).await;
        let mut shown = Vec::new();
        for answer in answers {
            let data = answer.json()["data"].take();
            assert_eq!(data["totalCreated"].as_u64().unwrap() + data["totalFailed"].as_u64().unwrap(), 1);
            shown.extend(data["createdAccounts"].as_array().unwrap().iter().map(|account| text(account, "temporaryPassword")));
        }
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(has_password(&school, &user_name, &shown[0]).await);
    }

    async fn first_passwords_refuse_lists_that_are_not_valid(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let path = format!("{}/bulk-create-accounts", students(OWN_CLASS));
        let many: Vec<String> = (0..501).map(|number| number.to_string()).collect();
        for (ids, message) in [
            (json!([]), "studentIds must have at least 1 items"),
            (json!(many), "studentIds must have at most 500 items"),
            (json!(["a", "a"]), "studentIds must have no equal items"),
            (json!([1]), "studentIds"),
            (json!(["a".repeat(65)]), "studentIds"),
            (json!(null), "studentIds"),
        ] {
            let answer = school.post(&path).bearer(&token).json(&json!({ "studentIds": ids })).send().await;
            assert_eq!(answer.status, 400, "{}", answer.text);
            assert!(text(&answer.json(), "message").starts_with("studentIds"), "{message}: {}", answer.text);
        }
        let others = first_passwords(&school, &token, OTHER_CLASS, &["1"]).await;
        assert_eq!((others.status, others.json()["message"].take()), (403, json!("Only class owner can create accounts")));
        let most: Vec<&str> = many.iter().take(500).map(String::as_str).collect();
        let answer = first_passwords(&school, &token, OWN_CLASS, &most).await;
        assert_eq!(answer.json()["data"]["totalFailed"], 500, "{}", answer.text);
    }

    async fn passwords_of_students_are_in_no_log_and_no_event(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let data = created(&school, &token, "Linh", "Nguyễn").await;
        let password = text(&data, "password");
        let events = format!("{:?}", school.events().await);
        assert!(!events.contains(&password));
        let account: user::Model = school.account(&text(&data, "username")).await;
        assert!(!format!("{account:?}").contains(account.password_hash.expose()));
        let counts = rate_limit::Entity::find().all(school.db.writer()).await.unwrap();
        assert!(!counts.is_empty());
        assert!(Email::parse(&text(&data, "username")).is_ok());
    }
}
