//! Every list is read from an index: its costs grow with the page and with the rows of one owner or class, not with the table.

use homeroom::{
    domain::{
        id::{ClassId, UserId},
        page::PageRequest,
        sort_key::SortKey,
    },
    entity::{
        class::{self, Sort, Visible},
        class_row::{self, Selection},
        enrollment::{self, Status},
    },
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

both! {
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
