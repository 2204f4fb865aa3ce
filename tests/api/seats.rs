//! Seats of a class under concurrent requests. The database counts them.

use std::sync::Arc;

use homeroom::{
    classroom::{self, Classroom, enrollments::JoinError},
    clock::Clock,
    db::Db,
    domain::id::{ClassId, UserId},
    entity::{
        enrollment::{self, Status},
        join_code,
    },
    random::{OsRandom, RandomSource},
    rate_limit::policies::JoinLimits,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, Statement};
use url::Url;

use crate::{
    races::{AT_ONCE, at_once, count},
    support::{COLLEAGUE, Kind, OWN_CLASS, STUDENT, School, TEACHER, both},
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

/// A second node on the PostgreSQL database of a school: services with connections of their own.
async fn second_node(school: &School) -> Classroom {
    let query = Statement::from_string(DbBackend::Postgres, "SELECT current_database()::text AS name");
    let row = school.db.read().query_one_raw(query).await.unwrap().unwrap();
    let mut url = Url::parse(&std::env::var("HOMEROOM_TEST_POSTGRES_URL").unwrap()).unwrap();
    url.set_path(&row.try_get::<String>("", "name").unwrap());
    let db = Db::connect_with(&url.as_str().parse().unwrap(), 8).await.unwrap();
    let random: Arc<dyn RandomSource> = Arc::new(OsRandom);
    let settings = classroom::Settings { rate_limit: JoinLimits::NONE, ..classroom::Settings::default() };
    Classroom::new(&db, &random, &settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_by_300_students_over_two_nodes_at_once_fills_exactly_30_seats() {
    let school = Arc::new(School::start_without_limits(Kind::Postgres).await);
    let second = Arc::new(second_node(&school).await);
    let code = school.generate_join_code(&school.token(TEACHER).await).await;
    school.set_seats(OWN_CLASS, 30).await;
    let students = school.add_students(300).await;
    let joined = at_once(&school, students.len(), |school, index| {
        let (second, code, student) = (second.clone(), code.clone(), students[index]);
        async move {
            let first = &school.server.classroom.enrollments;
            let node = if index % 2 == 0 { first } else { &second.enrollments };
            for _ in 0..100 {
                match node.join(code.expose(), student, None, school.clock.now()).await {
                    Ok(_) => return true,
                    Err(JoinError::ClassFull) => return false,
                    // The node is busy.
                    Err(JoinError::Database(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            panic!("the node is always busy");
        }
    })
    .await;
    assert_eq!(joined.iter().filter(|joined| **joined).count(), 30);
    assert_eq!((school.seats(OWN_CLASS).await, joins(&school).await), (30, 30));
}
