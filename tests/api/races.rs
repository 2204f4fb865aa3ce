//! Concurrent requests for the same row. The database decides which of them succeeds.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::TimeDelta;
use homeroom::{
    classroom::{self, classes::NewClass},
    clock::Clock,
    db,
    domain::{
        class_name::ClassName,
        email::Email,
        id::{ClassId, EnrollmentId, UserId},
        sort_key::SortKey,
    },
    entity::{
        enrollment::{self, Origin, Status},
        join_code, refresh_token,
        seat::{self, Joined, Joining},
        session,
    },
    identity::accounts::Accounts,
    rate_limit::policies::JoinLimits,
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::{APP, COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER, both, exchange_body};

/// Number of concurrent requests.
pub const AT_ONCE: usize = 64;

/// Runs `count` tasks in parallel. None begins before all are spawned.
pub async fn at_once<F: Future<Output: Send> + Send + 'static>(
    school: &Arc<School>,
    count: usize,
    act: impl Fn(Arc<School>, usize) -> F,
) -> Vec<F::Output> {
    let start = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (start, act) = (start.clone(), act(school.clone(), index));
            tokio::spawn(async move {
                start.wait().await;
                act.await
            })
        })
        .collect();
    let mut outcomes = Vec::with_capacity(count);
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

pub fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|&&found| found == status).count()
}

async fn user(school: &School, email: &str) -> UserId {
    Accounts::new(school.db.clone()).find(Email::parse(email).unwrap()).await.unwrap().unwrap().id
}

/// Requests a join code, and returns the status and the code of the response.
async fn generate(school: &School, class: ClassId, token: &str) -> (u16, String) {
    let answer = school.post(&format!("/classes/{class}/join-code")).bearer(token).send().await;
    (answer.status, answer.json()["data"]["joinCode"].as_str().unwrap_or_default().to_owned())
}

/// An enrollment in the teacher's class.
fn enrollment(school: &School, student: UserId) -> enrollment::Model {
    let now = school.clock.now();
    enrollment::Model {
        id: EnrollmentId::from_u128(1),
        class_id: OWN_CLASS,
        student_id: student,
        enrolled_at: now.date_naive(),
        status: Status::Active,
        created_at: now,
        updated_at: now,
        origin: Origin::JoinCode,
        student_key: SortKey::of(&[&student.to_string()]),
        sourced_id: None,
    }
}

/// Number of a student's enrollments in the teacher's class.
async fn enrollments(school: &School, student: UserId) -> u64 {
    enrollment::Entity::find()
        .filter(enrollment::Column::ClassId.eq(OWN_CLASS))
        .filter(enrollment::Column::StudentId.eq(student))
        .count(school.db.read())
        .await
        .unwrap()
}

/// Creates accounts without enrollments, each with an access token.
async fn students(school: &School, count: usize) -> Vec<(UserId, String)> {
    let mut students = Vec::new();
    for number in 0..count {
        let email = format!("student{number}@example.com");
        students.push((school.add_account(&email).await, school.token(&email).await));
    }
    students
}

both! {
    async fn redeem_code_64_times_at_once_one_succeeds_in_each_of_500_rounds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let teacher = user(&school, TEACHER).await;
        for round in 0..500 {
            let code = format!("code-of-round-{round}");
            school.issue_code(&code, teacher).await;
            let statuses = at_once(&school, AT_ONCE, |school, _| {
                let body = exchange_body(&code);
                async move { school.post("/api/v1/tokens").json(&body).send().await.status }
            })
            .await;
            assert_eq!((count(&statuses, 201), count(&statuses, 400)), (1, AT_ONCE - 1), "{round}: {statuses:?}");
            // The other requests match too, so the session has ended.
            assert_eq!(session::Entity::find().count(school.db.read()).await.unwrap(), 0, "{round}");
        }
    }

    async fn refresh_64_times_at_once_one_succeeds_in_each_of_200_rounds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let mut token = school.tokens(TEACHER).await["refreshToken"].clone();
        for round in 0..200 {
            let answers = at_once(&school, AT_ONCE, |school, _| {
                let token = token.clone();
                async move { school.refresh(&token, json!({})).await }
            })
            .await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!((count(&statuses, 201), count(&statuses, 400)), (1, AT_ONCE - 1), "{round}: {statuses:?}");
            let winner = answers.iter().find(|answer| answer.status == 201).unwrap();
            token = winner.json()["items"][0]["refreshToken"].take();
        }
        // The newest 100 rotated tokens, and the valid one.
        let stored = refresh_token::Entity::find().all(school.db.read()).await.unwrap();
        assert_eq!(stored.len(), 101);
        assert_eq!(stored.iter().filter(|token| token.rotated_at.is_none()).count(), 1);
    }

    async fn revoke_and_refresh_32_times_each_at_once_the_session_ends_in_each_of_200_rounds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let teacher = user(&school, TEACHER).await;
        for round in 0..200 {
            let code = format!("code-of-round-{round}");
            school.issue_code(&code, teacher).await;
            let tokens = school.request_tokens(&code, json!({})).await.json()["items"][0].take();
            let answers = at_once(&school, AT_ONCE, |school, index| {
                let token = tokens["refreshToken"].clone();
                async move {
                    if index % 2 == 0 {
                        school.refresh(&token, json!({})).await
                    } else {
                        let body = json!({ "client_id": APP, "token": token });
                        school.post("/api/v1/tokens/revoke").json(&body).send().await
                    }
                }
            })
            .await;
            let of = |parity: usize| -> Vec<u16> {
                answers.iter().skip(parity).step_by(2).map(|answer| answer.status).collect()
            };
            let (refreshes, revocations) = (of(0), of(1));
            assert_eq!(count(&revocations, 200), AT_ONCE / 2, "{round}: {revocations:?}");
            let (winners, losers) = (count(&refreshes, 201), count(&refreshes, 400));
            assert!(winners <= 1 && winners + losers == AT_ONCE / 2, "{round}: {refreshes:?}");
            assert_eq!(session::Entity::find().count(school.db.read()).await.unwrap(), 0, "{round}");
            assert_eq!(refresh_token::Entity::find().count(school.db.read()).await.unwrap(), 0, "{round}");
            // Not even the tokens of a refresh that came first are accepted.
            for answer in answers.iter().filter(|answer| answer.status == 201) {
                let tokens = answer.json()["items"][0].take();
                let access = tokens["accessToken"].as_str().unwrap();
                let class = school.get(&format!("/classes/{OWN_CLASS}")).bearer(access).send().await;
                assert_eq!(class.status, 401, "{round}");
                assert_eq!(school.refresh(&tokens["refreshToken"], json!({})).await.status, 400, "{round}");
            }
        }
    }

    async fn end_of_all_sessions_during_exchanges_leaves_none_in_each_of_50_rounds(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let teacher = user(&school, TEACHER).await;
        for round in 0..50 {
            for index in 0..8 {
                school.issue_code(&format!("code-{index}-of-round-{round}"), teacher).await;
            }
            let statuses = at_once(&school, 9, |school, index| {
                let body = exchange_body(&format!("code-{index}-of-round-{round}"));
                async move {
                    if index < 8 {
                        return school.post("/api/v1/tokens").json(&body).send().await.status;
                    }
                    let end = school.db.transaction((), move |db, ()| {
                        Box::pin(session::Entity::end_of_user(db, teacher))
                    });
                    end.await.unwrap();
                    0
                }
            })
            .await;
            assert_eq!(count(&statuses, 201) + count(&statuses, 400), 8, "{round}: {statuses:?}");
            assert_eq!(session::Entity::find().count(school.db.read()).await.unwrap(), 0, "{round}: {statuses:?}");
        }
    }

    async fn generate_64_join_codes_at_once_for_one_class_one_is_valid(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let teacher = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        for round in 0..8 {
            let answers = at_once(&school, AT_ONCE, |school, _| {
                let teacher = teacher.clone();
                async move { generate(&school, OWN_CLASS, &teacher).await }
            })
            .await;
            assert!(answers.iter().all(|(status, _)| *status == 200), "{round}: {answers:?}");
            let generated: HashSet<&String> = answers.iter().map(|(_, code)| code).collect();
            assert_eq!(generated.len(), AT_ONCE, "{round}: a code was generated twice");

            let class = school.get(&format!("/classes/{OWN_CLASS}")).bearer(&teacher).send().await.json();
            let live = class["data"]["joinCode"].as_str().unwrap();
            assert!(generated.iter().any(|code| *code == live), "{round}: no response contained the valid code");
            for code in generated.iter().filter(|code| ***code != live) {
                assert_eq!(school.join(&student, code).await.status, 400, "{round}: a replaced code");
            }
        }
    }

    async fn generate_64_join_codes_at_once_for_8_classes_each_response_fits_its_class(kind: Kind) {
        let settings = classroom::Settings { rate_limit: JoinLimits::NONE, ..Default::default() };
        let school = Arc::new(School::start_with_classroom(kind, settings).await);
        let tokens = [school.token(TEACHER).await, school.token(COLLEAGUE).await];
        let owners = [user(&school, TEACHER).await, user(&school, COLLEAGUE).await];
        let student = school.token(STUDENT).await;
        let classes: Vec<_> = (0..8).map(|number| ClassId::from_u128(1000 + number)).collect();
        for (number, class) in classes.iter().enumerate() {
            let name = ClassName::parse("10B").unwrap();
            let owner = owners[number % 2];
            let class = NewClass { id: Some(*class), ..NewClass::named(name) };
            school.server.classroom.classes.create_unlimited(class, owner, school.clock.now()).await.unwrap();
        }
        for round in 0..8 {
            // Of eight requests for a class, four are by its owner, three by another teacher, and one is for an unknown class.
            let answers = at_once(&school, AT_ONCE, |school, index| {
                let (class, eighth) = (index % 8, index / 8);
                let token = tokens[(class + usize::from(eighth >= 4)) % 2].clone();
                let class = if eighth == 7 { ClassId::from_u128(1) } else { classes[class] };
                async move { generate(&school, class, &token).await }
            })
            .await;
            for (number, class) in classes.iter().enumerate() {
                let of_class: Vec<_> = (0..8).map(|eighth| &answers[eighth * 8 + number]).collect();
                let statuses: Vec<u16> = of_class.iter().map(|(status, _)| *status).collect();
                assert_eq!(statuses, [200, 200, 200, 200, 403, 403, 403, 404], "{round}, {number}");
                let codes: HashSet<&str> = of_class[..4].iter().map(|(_, code)| code.as_str()).collect();
                assert_eq!(codes.len(), 4, "{round}, {number}: a code was generated twice");
                let row = join_code::Entity::find_by_id(*class).one(school.db.read()).await.unwrap().unwrap();
                let live = row.code;
                assert!(codes.contains(live.expose()), "{round}, {number}: no response contained the valid code");
                for code in codes.iter().filter(|code| **code != live.expose()) {
                    assert_eq!(school.join(&student, code).await.status, 400, "{round}: a replaced code");
                }
            }
        }
    }

    async fn generate_64_join_codes_at_once_60_succeed_and_4_are_429(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let teacher = school.token(TEACHER).await;
        for round in 0..4 {
            let answers = at_once(&school, AT_ONCE, |school, _| {
                let teacher = teacher.clone();
                async move { generate(&school, OWN_CLASS, &teacher).await }
            })
            .await;
            let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
            assert_eq!((count(&statuses, 200), count(&statuses, 429)), (60, 4), "{round}: {statuses:?}");
            let class = school.get(&format!("/classes/{OWN_CLASS}")).bearer(&teacher).send().await.json();
            let live = class["data"]["joinCode"].as_str().unwrap();
            assert!(answers.iter().any(|(_, code)| code == live), "{round}: no response contained the valid code");
            school.clock.advance(TimeDelta::minutes(1));
        }
    }

    async fn generate_same_join_code_at_once_for_two_classes_gives_different_codes(kind: Kind) {
        let school = Arc::new(School::start(kind).await);
        let tokens = [school.token(TEACHER).await, school.token(COLLEAGUE).await];
        for round in 0..50 {
            // The second request of the two finds the code taken, and takes the third one.
            let [same, other] = [[2 * (round % 15); 8], [2 * (round % 15) + 1; 8]];
            for bytes in [same, same, other] {
                school.random.set_next(&bytes);
            }
            let answers = at_once(&school, 2, |school, index| {
                let (class, token) = ([OWN_CLASS, OTHER_CLASS][index], tokens[index].clone());
                async move { generate(&school, class, &token).await }
            })
            .await;
            assert_eq!((answers[0].0, answers[1].0), (200, 200), "{round}");
            assert_ne!(answers[0].1, answers[1].1, "{round}");
            let rows = join_code::Entity::find().all(school.db.read()).await.unwrap();
            let live: HashSet<_> = rows.iter().map(|row| row.code.expose()).collect();
            assert_eq!(live, answers.iter().map(|(_, code)| code.as_str()).collect(), "{round}");
        }
    }

    async fn join_sent_after_response_with_new_code_is_refused_with_old_code(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let teacher = school.token(TEACHER).await;
        let students = students(&school, 6).await;
        for round in 0..40 {
            let old = school.generate_join_code(&teacher).await;
            let answered = Arc::new(AtomicBool::new(false));
            // The last task generates a code while the others join.
            let admitted = at_once(&school, students.len() + 1, |school, index| {
                let (answered, old, teacher) = (answered.clone(), old.clone(), teacher.clone());
                let student = students.get(index).cloned();
                async move {
                    let Some((_, student)) = student else {
                        school.generate_join_code(&teacher).await;
                        answered.store(true, Ordering::SeqCst);
                        return false;
                    };
                    loop {
                        let sent_after = answered.load(Ordering::SeqCst);
                        match (school.join(&student, old.expose()).await.status, sent_after) {
                            (201, false) => return true,
                            (400, true) => return false,
                            // A new code replaced this one before the request was processed.
                            (400, false) => {}
                            (status, _) => panic!("{status}, sent after: {sent_after}"),
                        }
                    }
                }
            })
            .await;
            for ((student, _), admitted) in students.iter().zip(admitted) {
                assert_eq!(enrollments(&school, *student).await, u64::from(admitted), "{round}");
            }
            enrollment::Entity::delete_many().exec(school.db.writer()).await.unwrap();
        }
    }

    async fn join_64_times_at_once_creates_one_enrollment(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let code = school.generate_join_code(&school.token(TEACHER).await).await;
        for (id, token) in students(&school, 8).await {
            let statuses = at_once(&school, AT_ONCE, |school, _| {
                let (token, code) = (token.clone(), code.clone());
                async move { school.join(&token, code.expose()).await.status }
            })
            .await;
            assert_eq!((count(&statuses, 201), count(&statuses, 409)), (1, AT_ONCE - 1), "{statuses:?}");
            assert_eq!(enrollments(&school, id).await, 1);
        }
    }

    async fn join_by_two_students_at_once_creates_one_enrollment_each(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let code = school.generate_join_code(&school.token(TEACHER).await).await;
        let students = students(&school, 2).await;
        let statuses = at_once(&school, AT_ONCE, |school, index| {
            let (token, code) = (students[index % 2].1.clone(), code.clone());
            async move { school.join(&token, code.expose()).await.status }
        })
        .await;
        assert_eq!((count(&statuses, 201), count(&statuses, 409)), (2, AT_ONCE - 2), "{statuses:?}");
        for (student, _) in &students {
            assert_eq!(enrollments(&school, *student).await, 1);
            // A unique constraint refuses a second row, even without the service.
            let insert = enrollment::Entity::insert(enrollment(&school, *student).into_active_model());
            let refused = insert.exec_without_returning(school.db.writer()).await.unwrap_err();
            assert_eq!(db::kind(&refused), db::ErrorKind::UniqueViolation, "{refused}");
        }
    }

    async fn join_statement_with_replaced_code_creates_no_enrollment(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.token(TEACHER).await;
        let (old, new) = (school.generate_join_code(&teacher).await, school.generate_join_code(&teacher).await);
        let student = user(&school, STUDENT).await;
        for (code, admitted) in [(old, false), (new, true)] {
            let (id, now) = (EnrollmentId::from_u128(1), school.clock.now());
            let joining = Joining { id, class: OWN_CLASS, student, code, now };
            let joined = seat::join(school.db.writer(), &joining).await.unwrap();
            assert_eq!(matches!(joined, Joined::Enrolled(_)), admitted);
            assert!(admitted || joined == Joined::NoSuchCode, "{joined:?}");
            assert_eq!(enrollments(&school, student).await, u64::from(admitted));
        }
    }
}
