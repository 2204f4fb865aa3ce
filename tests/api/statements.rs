//! Statements about seats, with the connection alone: each decides by itself, however late it runs.

use std::{fs, path::Path};

use chrono::TimeDelta;
use homeroom::{
    clock::Clock,
    domain::{
        id::{EnrollmentId, UserId},
        join_code::JoinCode,
        sourced_id::SourcedId,
    },
    entity::{
        enrollment::{Origin, Status},
        join_code,
        seat::{self, Admission, Candidate, Joined, Joining, NoSeat},
    },
    random::OsRandom,
};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use crate::support::{COLLEAGUE, OTHER_CLASS, OWN_CLASS, STUDENT, School, TEACHER, both};

/// Joins the teacher's class, in a transaction.
async fn join(school: &School, student: UserId, code: &JoinCode) -> Joined {
    let now = school.clock.now();
    let id = EnrollmentId::new(now, &OsRandom);
    let joining = Joining { id, class: OWN_CLASS, student, code: code.clone(), now };
    school.db.transaction(joining, |db, joining| Box::pin(seat::join(db, joining))).await.unwrap()
}

/// A student of the teacher's class, whom the teacher makes an active one.
async fn candidate(school: &School, student: UserId) -> Candidate {
    let owner = school.account(TEACHER).await.id;
    Candidate { class: OWN_CLASS, owner, student, now: school.clock.now() }
}

async fn admit(school: &School, candidate: Candidate) -> Admission {
    let admit = school.db.transaction(candidate, |db, candidate| Box::pin(seat::admit(db, *candidate)));
    admit.await.unwrap()
}

async fn readmit(school: &School, candidate: Candidate) -> Option<NoSeat> {
    let readmit = school.db.transaction(candidate, |db, candidate| Box::pin(seat::readmit(db, *candidate)));
    readmit.await.unwrap()
}

async fn end(school: &School, student: UserId, owner: Option<UserId>) -> bool {
    seat::end(school.db.writer(), OWN_CLASS, student, owner, school.clock.now()).await.unwrap()
}

both! {
    async fn join_decides_by_code_owner_class_and_account(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let (owner, student) = (school.account(TEACHER).await.id, school.account(STUDENT).await.id);
        let old = school.generate_join_code(&token).await;
        let code = school.generate_join_code(&token).await;
        assert_eq!(join(&school, student, &old).await, Joined::NoSuchCode);
        assert_eq!(join(&school, owner, &code).await, Joined::OwnClass);
        assert_eq!(join(&school, UserId::from_u128(7), &code).await, Joined::NoSuchUser);
        let active = |is_active| homeroom::entity::class::ActiveModel { is_active: Set(is_active), ..Default::default() };
        school.set_class(OWN_CLASS, active(false)).await;
        assert_eq!(join(&school, student, &code).await, Joined::NoSuchCode);
        school.set_class(OWN_CLASS, active(true)).await;
        school.clock.advance(TimeDelta::days(7));
        assert_eq!(join(&school, student, &code).await, Joined::NoSuchCode);
        school.clock.advance(TimeDelta::milliseconds(-1_000));
        assert_eq!(school.enrollment(OWN_CLASS, student).await, None);
        let Joined::Enrolled(row) = join(&school, student, &code).await else { panic!("not enrolled") };
        assert_eq!(Some(row), school.enrollment(OWN_CLASS, student).await);
        assert_eq!(join(&school, student, &code).await, Joined::AlreadyEnrolled);
        let joins = join_code::Entity::find_by_id(OWN_CLASS).one(school.db.writer()).await.unwrap().unwrap().joins;
        assert_eq!(joins, 1);
    }

    async fn join_of_a_former_student_keeps_the_row_and_ends_the_power_of_an_import(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        let code = school.generate_join_code(&token).await;
        let student = school.account(STUDENT).await.id;
        school.enroll(OWN_CLASS, student, Status::Transferred).await;
        let mut row = school.enrollment(OWN_CLASS, student).await.unwrap().into_active_model();
        row.origin = Set(Origin::Roster);
        row.sourced_id = Set(Some(SourcedId::parse("e-1").unwrap()));
        let before = homeroom::entity::enrollment::Entity::update(row).exec(school.db.writer()).await.unwrap();
        school.clock.advance(TimeDelta::days(2));
        let Joined::Enrolled(row) = join(&school, student, &code).await else { panic!("not enrolled") };
        let now = school.clock.now();
        let expected = homeroom::entity::enrollment::Model {
            status: Status::Active,
            enrolled_at: now.date_naive(),
            updated_at: now,
            origin: Origin::JoinCode,
            ..before
        };
        assert_eq!(row, expected);
        // A student whom the owner added and removed is the owner's student again.
        let mut own = row.into_active_model();
        (own.origin, own.sourced_id, own.status) = (Set(Origin::Owner), Set(None), Set(Status::Dropped));
        homeroom::entity::enrollment::Entity::update(own).exec(school.db.writer()).await.unwrap();
        let Joined::Enrolled(row) = join(&school, student, &code).await else { panic!("not enrolled") };
        assert_eq!(row.origin, Origin::Owner);
        school.require_approval(OWN_CLASS, true).await;
        assert!(end(&school, student, None).await);
        let Joined::Enrolled(row) = join(&school, student, &code).await else { panic!("not enrolled") };
        assert_eq!((row.id, row.status), (expected.id, Status::Pending));
    }

    async fn end_frees_active_and_pending_students_of_the_owner_once(kind: Kind) {
        let school = School::start(kind).await;
        let (owner, other) = (school.account(TEACHER).await.id, school.account(COLLEAGUE).await.id);
        let student = school.account(STUDENT).await.id;
        assert!(!end(&school, student, None).await);
        school.enroll(OWN_CLASS, student, Status::Pending).await;
        for (status, by, done) in [
            (Status::Pending, Some(other), false),
            (Status::Pending, Some(owner), true),
            (Status::Active, Some(owner), true),
            (Status::Active, None, true),
            (Status::Dropped, None, false),
            (Status::Completed, Some(owner), false),
            (Status::Graduated, None, false),
        ] {
            school.set_status(OWN_CLASS, student, status).await;
            assert_eq!(end(&school, student, by).await, done, "{status:?}");
            let after = if done { Status::Dropped } else { status };
            assert_eq!(school.status(OWN_CLASS, student).await, Some(after), "{status:?}");
        }
    }

    async fn admit_takes_a_seat_for_a_pending_student_of_the_owner(kind: Kind) {
        let school = School::start(kind).await;
        let (student, other) = (school.account(STUDENT).await.id, school.account(COLLEAGUE).await.id);
        let mut candidate = candidate(&school, student).await;
        assert_eq!(admit(&school, candidate).await, Admission::NoSuchStudent);
        school.enroll(OWN_CLASS, student, Status::Pending).await;
        let owner = std::mem::replace(&mut candidate.owner, other);
        assert_eq!(admit(&school, candidate).await, Admission::Refused(NoSeat::NotOwned));
        candidate.owner = owner;
        school.set_seats(OWN_CLASS, 1).await;
        school.enroll(OWN_CLASS, other, Status::Active).await;
        assert_eq!(admit(&school, candidate).await, Admission::Refused(NoSeat::Full));
        school.set_status(OWN_CLASS, other, Status::Pending).await;
        assert_eq!(admit(&school, candidate).await, Admission::Admitted);
        assert_eq!(admit(&school, candidate).await, Admission::AlreadyActive);
        school.set_status(OWN_CLASS, student, Status::Dropped).await;
        assert_eq!(admit(&school, candidate).await, Admission::NoSuchStudent);
        assert_eq!(school.status(OWN_CLASS, student).await, Some(Status::Dropped));
    }

    async fn readmit_takes_a_seat_of_an_active_class_of_the_owner(kind: Kind) {
        let school = School::start(kind).await;
        let (student, other) = (school.account(STUDENT).await.id, school.account(COLLEAGUE).await.id);
        let here = candidate(&school, student).await;
        school.enroll(OWN_CLASS, student, Status::Dropped).await;
        school.enroll(OTHER_CLASS, student, Status::Dropped).await;
        school.enroll(OWN_CLASS, other, Status::Active).await;
        school.set_seats(OWN_CLASS, 1).await;
        let foreign = Candidate { class: OTHER_CLASS, ..here };
        for (candidate, reason) in [(here, NoSeat::Full), (foreign, NoSeat::NotOwned)] {
            assert_eq!(readmit(&school, candidate).await, Some(reason));
            assert_eq!(school.status(candidate.class, student).await, Some(Status::Dropped), "{reason:?}");
        }
        school.set_seats(OWN_CLASS, 2).await;
        assert_eq!(readmit(&school, here).await, None);
        assert_eq!(school.status(OWN_CLASS, student).await, Some(Status::Active));
        // A pending student stays pending.
        school.set_status(OWN_CLASS, student, Status::Pending).await;
        assert_eq!(readmit(&school, here).await, None);
        assert_eq!(school.status(OWN_CLASS, student).await, Some(Status::Pending));
    }
}

/// The Rust files below a directory, with their text.
fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn file_that_makes_a_student_active_locks_the_class() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let ways = [
        "INSERT INTO enrollments",
        "SET status = 'active'",
        "insert::<enrollment::Entity",
        "enrollment::Entity::insert",
        "roster_row::keep_enrollment(",
    ];
    let mut count = 0;
    for (path, text) in files {
        if ways.iter().any(|way| text.contains(way)) {
            assert!(text.contains("lock_class("), "{path}");
            count += 1;
        }
    }
    assert!(count >= 2, "{count}");
}
