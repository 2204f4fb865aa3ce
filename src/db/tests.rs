//! Tests of the writer task.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseExecutor, DbErr, Statement, Value};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{DatabaseUrl, Db, ErrorKind, kind};

/// A SQLite database with an empty table of unique numbers.
async fn database() -> (TempDir, Db) {
    let directory = TempDir::new().unwrap();
    let db = Db::connect(&DatabaseUrl::in_directory(directory.path())).await.unwrap();
    let create = "CREATE TABLE numbers (number BIGINT NOT NULL PRIMARY KEY)";
    db.writer().execute_unprepared(create).await.unwrap();
    (directory, db)
}

async fn insert(db: &DatabaseExecutor<'_>, numbers: &[i64]) -> Result<(), DbErr> {
    for &number in numbers {
        let sql = "INSERT INTO numbers VALUES (?)";
        let values: [Value; 1] = [number.into()];
        db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    }
    Ok(())
}

async fn numbers(db: &Db) -> Vec<i64> {
    let select = Statement::from_string(db.backend(), "SELECT number FROM numbers ORDER BY number");
    let rows = db.read().query_all_raw(select).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn transaction_that_fails_changes_nothing_and_leaves_jobs_of_its_batch() {
    let (_directory, db) = database().await;
    let (first, failed, last) = tokio::join!(
        db.write(vec![1], |db, numbers| Box::pin(insert(db, numbers))),
        db.transaction(vec![2, 1], |db, numbers| Box::pin(insert(db, numbers))),
        db.transaction(vec![3, 4], |db, numbers| Box::pin(insert(db, numbers))),
    );
    first.unwrap();
    assert_eq!(kind(&failed.unwrap_err()), ErrorKind::UniqueViolation);
    last.unwrap();
    assert_eq!(numbers(&db).await, [1, 3, 4]);
}

#[tokio::test]
async fn write_whose_caller_is_cancelled_runs_to_its_end() {
    let (_directory, db) = database().await;
    let slow = db.write(vec![1], |db, numbers| {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            insert(db, numbers).await
        })
    });
    timeout(Duration::from_millis(10), slow).await.unwrap_err();
    db.write(vec![2], |db, numbers| Box::pin(insert(db, numbers))).await.unwrap();
    assert_eq!(numbers(&db).await, [1, 2]);
}

#[tokio::test]
async fn write_that_panics_is_unavailable_and_later_writes_succeed() {
    let (_directory, db) = database().await;
    let panicked: Result<(), _> = db
        .write(vec![1], |db, numbers| {
            Box::pin(async move {
                insert(db, numbers).await?;
                panic!("a job panics")
            })
        })
        .await;
    assert_eq!(kind(&panicked.unwrap_err()), ErrorKind::Unavailable);
    db.write(vec![2], |db, numbers| Box::pin(insert(db, numbers))).await.unwrap();
    assert_eq!(numbers(&db).await, [2]);
}

#[tokio::test]
async fn write_beyond_a_full_queue_is_unavailable() {
    let (_directory, db) = database().await;
    let jobs = (0..2_000).map(|number| db.write(vec![number], |db, numbers| Box::pin(insert(db, numbers))));
    let results = futures_util::future::join_all(jobs).await;
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(!refused.is_empty() && refused.iter().all(|error| kind(error) == ErrorKind::Unavailable));
    assert_eq!(numbers(&db).await.len(), results.len() - refused.len());
}

#[tokio::test]
async fn close_runs_queued_writes_and_refuses_later_ones() {
    let (directory, db) = database().await;
    let write = |number| db.write(vec![number], |db, numbers| Box::pin(insert(db, numbers)));
    let (first, second, closed) = tokio::join!(write(1), write(2), db.close());
    for result in [first, second, closed] {
        result.unwrap();
    }
    assert_eq!(kind(&write(3).await.unwrap_err()), ErrorKind::Unavailable);
    let db = Db::connect(&DatabaseUrl::in_directory(directory.path())).await.unwrap();
    assert_eq!(numbers(&db).await, [1, 2]);
}

#[tokio::test]
async fn write_after_failed_batch_uses_a_new_connection() {
    let (_directory, db) = database().await;
    // Like a connection that was opened while the file was read-only.
    db.write((), |db, ()| Box::pin(async move { db.execute_unprepared("PRAGMA query_only = on").await }))
        .await
        .unwrap();
    let refused = db.write(vec![1], |db, numbers| Box::pin(insert(db, numbers))).await;
    assert_eq!(kind(&refused.unwrap_err()), ErrorKind::Unavailable);
    db.write(vec![2], |db, numbers| Box::pin(insert(db, numbers))).await.unwrap();
    assert_eq!(numbers(&db).await, [2]);
}

#[tokio::test]
async fn write_over_read_connection_fails() {
    let (_directory, db) = database().await;
    let refused = db.read().execute_unprepared("INSERT INTO numbers VALUES (1)").await;
    assert_eq!(kind(&refused.unwrap_err()), ErrorKind::Unavailable);
}
