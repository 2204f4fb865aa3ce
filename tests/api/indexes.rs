//! Every list is read from an index: its costs grow with the page and with the rows of one owner or class, not with the table.

use std::time::Instant;

use homeroom::{
    classroom::rosters::{RosterQuery, RosterRow},
    clock::Clock,
    domain::{
        email::Email,
        id::{ClassId, EnrollmentId, UserId},
        page::PageRequest,
        person::PersonName,
        sort_key::SortKey,
    },
    entity::{
        class::{self, Sort, Visible},
        class_row::{self, Selection},
        enrollment::{self, Origin, Status},
        roster_row, user,
    },
    random::OsRandom,
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryTrait, Statement, TransactionTrait};

use crate::support::{Kind, STUDENT, School, TEACHER, both};

/// The plan of a query, as text.
async fn plan(school: &School, query: &Statement) -> String {
    let backend = school.db.backend();
    let transaction = school.db.writer().begin().await.unwrap();
    let (explain, column) = match backend {
        DbBackend::Postgres => {
            transaction.execute_unprepared("SET LOCAL enable_seqscan = off").await.unwrap();
            ("EXPLAIN", "QUERY PLAN")
        }
        _ => ("EXPLAIN QUERY PLAN", "detail"),
    };
    let rows = transaction
        .query_all_raw(Statement::from_string(backend, format!("{explain} {query}")))
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", column).unwrap()).collect::<Vec<_>>().join("\n")
}

/// Asserts that no table of the query is read as a whole.
async fn assert_indexed(school: &School, kind: Kind, query: &Statement) {
    let plan = plan(school, query).await;
    let scan = match kind {
        Kind::Sqlite => "SCAN ",
        Kind::Postgres => "Seq Scan",
    };
    // SQLite names a scan of rows that a subquery made already.
    let scans: Vec<&str> = plan.lines().filter(|line| line.contains(scan)).collect();
    assert!(!plan.is_empty() && scans.is_empty(), "{query}\n{plan}");
}

/// An enrollment of the sample student.
async fn enrolled(school: &School) -> enrollment::Model {
    let code = school.generate_join_code(&school.token(TEACHER).await).await;
    let student = school.token(STUDENT).await;
    assert_eq!(school.join(&student, code.expose()).await.status, 201);
    enrollment::Entity::find().one(school.db.read()).await.unwrap().unwrap()
}

/// A class of 10,000 students with names.
async fn large_class(school: &School) -> ClassId {
    let now = school.clock.now();
    let owner = school.account(TEACHER).await;
    let class = school.add_class(owner.id, "Large").await;
    let (mut users, mut rows) = (Vec::new(), Vec::new());
    for number in 0..10_000_u32 {
        let id = UserId::new(now, &OsRandom);
        let email = Email::parse(&format!("pupil{number}@example.com")).unwrap();
        // A fixed order that differs from the order of the rows.
        let name =
            PersonName::parse(&format!("Name {}", number.wrapping_mul(2_654_435_761) % 10_000)).unwrap();
        let student_key = user::sort_key(id, Some(&name), Some(&name));
        let account = user::Model::new(id, email, owner.password_hash.clone(), now);
        users.push(user::Model { first_name: Some(name.clone()), last_name: Some(name), ..account });
        rows.push(enrollment::Model {
            id: EnrollmentId::new(now, &OsRandom),
            class_id: class,
            student_id: id,
            enrolled_at: now.date_naive(),
            status: Status::Active,
            created_at: now,
            updated_at: now,
            origin: Origin::Owner,
            student_key,
            sourced_id: None,
        });
    }
    let db = school.db.writer().begin().await.unwrap();
    roster_row::insert::<user::Entity, _>(&db, &users).await.unwrap();
    roster_row::insert::<enrollment::Entity, _>(&db, &rows).await.unwrap();
    db.commit().await.unwrap();
    school.db.writer().execute_unprepared("ANALYZE").await.unwrap();
    class
}

both! {
    async fn roster_reads_no_whole_table(kind: Kind) {
        let school = School::start(kind).await;
        let backend = school.db.backend();
        let (class, page) = (ClassId::from_u128(1), PageRequest { page: 3, size: 10 });
        for status in [Status::Active, Status::Pending, Status::Dropped, Status::Transferred, Status::Graduated] {
            let (all, ids) = (enrollment::Entity::roster(class, status), enrollment::Entity::roster_page(class, status, page));
            assert_indexed(&school, kind, &all.build(backend)).await;
            assert_indexed(&school, kind, &ids.build(backend)).await;
            if kind == Kind::Sqlite && status != Status::Graduated {
                // The index alone, in its own order.
                let plan = plan(&school, &enrollment::Entity::roster_page(class, status, page).build(backend)).await;
                assert!(plan.contains("COVERING INDEX enrollments_by_class") && !plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
        let rows = enrollment::Entity::students(vec![EnrollmentId::from_u128(1), EnrollmentId::from_u128(2)]);
        assert_indexed(&school, kind, &rows.build(backend)).await;
        let of_owner = enrollment::Entity::in_classes(UserId::from_u128(1), UserId::from_u128(2));
        assert_indexed(&school, kind, &of_owner.build(backend)).await;
    }

    async fn last_page_of_10_000_students_takes_at_most_3_times_as_long_as_the_first(kind: Kind) {
        let school = School::start(kind).await;
        let class = large_class(&school).await;
        let owner = school.account(TEACHER).await.id;
        let read = async |page: u32| {
            let query = RosterQuery { page: PageRequest { page, size: 100 }, status: Status::Active };
            let began = Instant::now();
            let (rows, info) = school.server.classroom.rosters.page(class, owner, query).await.unwrap();
            let time = began.elapsed();
            assert_eq!((rows.len(), info.items), (100, 10_000));
            (rows, time)
        };
        let (mut first, mut last) = (Vec::new(), Vec::new());
        // Side by side, so that other load of the machine meets both.
        for _ in 0..25 {
            first.push(read(1).await.1);
            last.push(read(100).await.1);
        }
        let keys = |rows: Vec<RosterRow>| -> Vec<_> {
            rows.into_iter().map(|row| (row.enrollment.student_key, row.enrollment.id)).collect()
        };
        let (head, tail) = (keys(read(1).await.0), keys(read(100).await.0));
        assert!(head.is_sorted() && tail.is_sorted() && head.last() < tail.first());
        first.sort();
        last.sort();
        assert!(last[12] <= 3 * first[12], "first page {:?}, last page {:?}", first[12], last[12]);
    }

    async fn list_of_classes_reads_no_whole_table(kind: Kind) {
        let school = School::start(kind).await;
        let backend = school.db.backend();
        for search in [None, Some(SortKey::of(&["10"]))] {
            for is_active in [None, Some(true)] {
                let filter = Visible { member: UserId::from_u128(1), search: search.clone(), is_active };
                for sort in [Sort::NameAscending, Sort::NameDescending, Sort::OldestFirst, Sort::NewestFirst] {
                    let page = PageRequest { page: 3, size: 10 };
                    assert_indexed(&school, kind, &class::Entity::page(&filter, sort, page).build(backend)).await;
                }
                assert_indexed(&school, kind, &class::Entity::visible(&filter).build(backend)).await;
            }
        }
    }
    async fn lists_of_the_class_commands_read_and_sort_no_whole_table(kind: Kind) {
        let school = School::start(kind).await;
        let backend = school.db.backend();
        let last = class::Entity::find().one(school.db.read()).await.unwrap().unwrap();
        for owner in [None, Some(last.owner_id)] {
            for search in [None, Some(SortKey::of(&["10"]))] {
                let selection = Selection { owner, search, is_active: Some(true) };
                // The first page of a search reads the index of names from its beginning. The classes of one owner are sorted.
                let first = plan(&school, &class_row::page(&selection, None, 500).build(backend)).await;
                let sorts = first.contains("TEMP B-TREE") || first.contains("Sort");
                assert!(owner.is_some() || !sorts, "{first}");
                assert_indexed(&school, kind, &class_row::page(&selection, Some(&last), 500).build(backend)).await;
            }
        }
        let enrollment = enrolled(&school).await;
        let students = class_row::students(ClassId::from_u128(1), Status::Active, Some(&enrollment), 500);
        let students = students.build(backend);
        assert_indexed(&school, kind, &students).await;
        let plan = plan(&school, &students).await;
        assert!(plan.contains("enrollments_by_class") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
