//! Seats of a class under concurrent requests. The database counts them.

use std::sync::Arc;

use homeroom::{
    domain::id::{ClassId, UserId},
    entity::{
        enrollment::{self, Status},
        join_code,
    },
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::{
    races::{AT_ONCE, at_once, count},
    support::{COLLEAGUE, OWN_CLASS, STUDENT, School, TEACHER, both},
};

/// Joins until the answer is not 503, as a client does. Only transactions of PostgreSQL that conflict too often answer it.
async fn join(school: &School, token: &str, code: &str) -> u16 {
    for _ in 0..100 {
        match school.join(token, code).await.status {
            503 => {}
            status => return status,
        }
    }
    panic!("the server is always busy");
}

/// How many enrollments the join code of the teacher's class counts.
async fn joins(school: &School) -> usize {
    let code = join_code::Entity::find_by_id(OWN_CLASS).one(school.db.writer()).await.unwrap().unwrap();
    code.joins.try_into().unwrap()
}

async fn rows(school: &School, class: ClassId) -> u64 {
    let rows = enrollment::Entity::find().filter(enrollment::Column::ClassId.eq(class));
    rows.count(school.db.writer()).await.unwrap()
}

/// A student in the rounds below, with the successes of this student's joins and of the ends of the enrollment.
struct Pupil {
    id: UserId,
    token: String,
}

both! {
    async fn join_by_500_students_at_once_fills_exactly_30_seats(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let teacher = school.token(TEACHER).await;
        let code = school.generate_join_code(&teacher).await;
        school.set_seats(OWN_CLASS, 30).await;
        let tokens = school.tokens_of(&school.add_students(500).await).await;
        let statuses = at_once(&school, tokens.len(), |school, index| {
            let (token, code) = (tokens[index].clone(), code.clone());
            async move { join(&school, &token, code.expose()).await }
        })
        .await;
        assert_eq!((count(&statuses, 201), count(&statuses, 409)), (30, 470), "{statuses:?}");
        assert_eq!((school.seats(OWN_CLASS).await, rows(&school, OWN_CLASS).await), (30, 30));
        assert_eq!(joins(&school).await, 30);
        let roster = school.roster(&teacher, OWN_CLASS, "").await.json();
        assert_eq!(roster["pagination"]["totalItems"], 30);
    }

    async fn join_again_64_times_at_once_gives_one_201_and_the_same_row(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let teacher = school.token(TEACHER).await;
        let code = school.generate_join_code(&teacher).await;
        let (student, id) = (school.token(STUDENT).await, school.account(STUDENT).await.id);
        let mut row = None;
        for round in 1..=4 {
            let statuses = at_once(&school, AT_ONCE, |school, _| {
                let (token, code) = (student.clone(), code.clone());
                async move { join(&school, &token, code.expose()).await }
            })
            .await;
            assert_eq!((count(&statuses, 201), count(&statuses, 409)), (1, AT_ONCE - 1), "{round}: {statuses:?}");
            let enrollment = school.enrollment(OWN_CLASS, id).await.unwrap();
            assert_eq!(*row.get_or_insert(enrollment.id), enrollment.id, "{round}");
            assert_eq!((joins(&school).await, rows(&school, OWN_CLASS).await), (round, 1));
            assert_eq!(school.leave(&student, OWN_CLASS).await.status, 204);
        }
    }

    async fn leave_join_and_remove_at_once_end_in_a_legal_state_in_each_of_200_rounds(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let teacher = school.token(TEACHER).await;
        let code = school.generate_join_code(&teacher).await;
        // Two students and one seat.
        school.set_seats(OWN_CLASS, 1).await;
        let mut pupils = Vec::new();
        for email in [STUDENT, COLLEAGUE] {
            pupils.push(Arc::new(Pupil { id: school.account(email).await.id, token: school.token(email).await }));
        }
        let (mut within, mut joined, mut moves) = ([0, 0], 0, 0);
        for round in 0..200 {
            let answers = at_once(&school, 6, |school, index| {
                let (pupil, teacher, code) = (pupils[index % 2].clone(), teacher.clone(), code.clone());
                async move {
                    match index / 2 {
                        0 => join(&school, &pupil.token, code.expose()).await,
                        1 => school.leave(&pupil.token, OWN_CLASS).await.status,
                        _ => school.remove_student(&teacher, OWN_CLASS, pupil.id).await.status,
                    }
                }
            })
            .await;
            for (number, pupil) in pupils.iter().enumerate() {
                let [join, leave, remove] = [answers[number], answers[number + 2], answers[number + 4]];
                assert!([201, 409].contains(&join), "{round}: {answers:?}");
                assert!([204, 403].contains(&leave), "{round}: {answers:?}");
                assert!([204, 404].contains(&remove), "{round}: {answers:?}");
                // Each success changed the state once.
                let ends = i32::from(leave == 204) + i32::from(remove == 204);
                within[number] += i32::from(join == 201) - ends;
                joined += usize::from(join == 201);
                moves += ends;
                let found = (within[number], school.status(OWN_CLASS, pupil.id).await);
                let is_legal = matches!(found, (1, Some(Status::Active)) | (0, None | Some(Status::Dropped)));
                assert!(is_legal, "{round}: {found:?} {answers:?}");
            }
            assert!(school.seats(OWN_CLASS).await <= 1, "{round}");
        }
        assert_eq!(joins(&school).await, joined);
        assert!(joined > 20 && moves > 20, "{joined} {moves}");
    }

    async fn admit_and_join_at_once_give_the_last_seat_once_in_each_of_100_rounds(kind: Kind) {
        let school = Arc::new(School::start_without_limits(kind).await);
        let teacher = school.token(TEACHER).await;
        let code = school.generate_join_code(&teacher).await;
        school.set_seats(OWN_CLASS, 1).await;
        let (waiting, joining) = (school.account(STUDENT).await.id, school.account(COLLEAGUE).await.id);
        let token = school.token(COLLEAGUE).await;
        for student in [waiting, joining] {
            school.enroll(OWN_CLASS, student, Status::Dropped).await;
        }
        for round in 0..100 {
            school.set_status(OWN_CLASS, waiting, Status::Pending).await;
            school.set_status(OWN_CLASS, joining, Status::Dropped).await;
            let answers = at_once(&school, 2, |school, index| {
                let (teacher, token, code) = (teacher.clone(), token.clone(), code.clone());
                async move {
                    // Each is first in every other round.
                    if index == round % 2 {
                        school.admit(&teacher, OWN_CLASS, waiting).await.status
                    } else {
                        join(&school, &token, code.expose()).await
                    }
                }
            })
            .await;
            let (admit, join) = (answers[round % 2], answers[1 - round % 2]);
            assert!([(200, 409), (409, 201)].contains(&(admit, join)), "{round}: {answers:?}");
            assert_eq!(school.seats(OWN_CLASS).await, 1, "{round}");
        }
    }
}
