//! Every list is read from an index: its costs grow with the page and with the rows of one owner or class, not with the table.

use homeroom::{
    domain::{id::UserId, page::PageRequest, sort_key::SortKey},
    entity::class::{self, Sort, Visible},
};
use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement, TransactionTrait};

use crate::support::{Kind, School, both};

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
}
