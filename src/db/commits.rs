//! SQLite's one writer.
//!
//! It makes each commit durable before the next begins, so that everybody who waits at that time may as well be in one
//! transaction.

use std::sync::Arc;

use sea_orm::DbErr;
use sqlx::SqliteConnection;

use super::{
    ErrorKind, batch,
    failure::{self, Failure},
    request::{self, Answer, BEGIN, COMMIT, ROLLBACK, Request},
    retry::Retrying,
    sqlite::Connected,
};

/// Whatever waits is committed together.
pub(super) struct Commits {
    connected: Arc<Connected>,
    retrying: Retrying,
}

impl Commits {
    /// Writes over a connection, and again as `retrying` has it.
    pub(super) fn over(connected: Arc<Connected>, retrying: Retrying) -> Self {
        Self { connected, retrying }
    }

    async fn commit(&self, batch: &[Request]) -> Result<Vec<Option<Answer>>, DbErr> {
        let committed = self.connected.writer.ask(async |connection| match commit(batch, connection).await {
            // What was refused for its values leaves the connection as it was, and others need not wait for a new one.
            Err(error)
                if matches!(
                    failure::kind(&error),
                    ErrorKind::UniqueViolation | ErrorKind::ForeignKeyViolation
                ) =>
            {
                if batch.len() > 1 || batch.iter().any(Request::is_several) {
                    request::say(ROLLBACK, connection).await?;
                }
                Ok(Err(error))
            }
            committed => committed.map(Ok),
        });
        committed.await?
    }
}

async fn commit(batch: &[Request], connection: &mut SqliteConnection) -> Result<Vec<Option<Answer>>, DbErr> {
    if let [alone] = batch {
        return Ok(vec![Some(alone.commit(connection).await?)]);
    }
    let mut answers = Vec::with_capacity(batch.len());
    request::say(BEGIN, connection).await?;
    for request in batch {
        answers.push(Some(request.make(connection).await?));
    }
    request::say(COMMIT, connection).await?;
    Ok(answers)
}

impl batch::Statement for Commits {
    type Request = Request;
    type Answer = Answer;

    async fn write(&self, batch: &[Request]) -> Result<Vec<Option<Answer>>, DbErr> {
        let commit = async || self.commit(batch).await.map_err(|error| (Failure::of(&error), error));
        self.retrying.retry(commit).await
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, DbErr, Statement};

    use crate::db::{self, DatabaseUrl, Db, ErrorKind};

    /// A db with a table of numbers, in a directory that has to be kept.
    async fn numbers() -> (tempfile::TempDir, Db) {
        let directory = tempfile::TempDir::new().unwrap();
        let db = Db::connect(&DatabaseUrl::in_directory(directory.path())).await.unwrap();
        db.writer().execute_unprepared("CREATE TABLE numbers (number BIGINT PRIMARY KEY)").await.unwrap();
        (directory, db)
    }

    /// Asks for each while somebody else writes, so that all of them gather behind the first.
    async fn together<A, T, F>(db: &Db, asked: impl IntoIterator<Item = A>, ask: fn(Db, A) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let busy = db.begin().await.unwrap();
        let tasks: Vec<_> = asked.into_iter().map(|asked| tokio::spawn(ask(db.clone(), asked))).collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        busy.commit().await.unwrap();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    }

    fn insert(db: &Db, number: i64) -> Statement {
        let sql = "INSERT INTO numbers (number) VALUES (?) RETURNING number";
        Statement::from_sql_and_values(db.writer().get_database_backend(), sql, [number.into()])
    }

    async fn all(db: &Db) -> Vec<i64> {
        let all = "SELECT number FROM numbers ORDER BY number";
        let all = Statement::from_string(db.read().get_database_backend(), all);
        let rows = db.read().query_all_raw(all).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    async fn both(db: Db, (first, second): (i64, i64)) -> Result<(), ErrorKind> {
        let both = vec![insert(&db, first), insert(&db, second)];
        db.writer().make(both).await.map_err(|error: DbErr| db::kind(&error))
    }

    #[tokio::test]
    async fn statements_that_wait_together_are_all_made_but_those_that_fail() {
        let (_directory, db) = numbers().await;
        let outcomes = together(&db, [0, 1, 2, 1, 3, 2, 4], |db, number| async move {
            let written = db.writer().query_one_raw(insert(&db, number)).await;
            let written = written.map(|row| row.unwrap().try_get_by_index::<i64>(0).unwrap());
            written.map_err(|error| db::kind(&error))
        });
        let taken = Err(ErrorKind::UniqueViolation);
        assert_eq!(outcomes.await, [Ok(0), Ok(1), Ok(2), taken, Ok(3), taken, Ok(4)]);
        let doubled = "UPDATE numbers SET number = 2 * number + 100";
        assert_eq!(db.writer().execute_unprepared(doubled).await.unwrap().rows_affected(), 5);
    }

    #[tokio::test]
    async fn a_change_of_several_statements_is_made_whole_or_not_at_all_and_fails_for_itself() {
        let (_directory, db) = numbers().await;
        let outcomes = together(&db, [(1, 2), (3, 1), (4, 5)], both);
        assert_eq!(outcomes.await, [Ok(()), Err(ErrorKind::UniqueViolation), Ok(())]);
        assert_eq!(all(&db).await, [1, 2, 4, 5]);
    }

    #[tokio::test]
    async fn a_change_that_is_refused_costs_nobody_the_connection() {
        let (_directory, db) = numbers().await;
        let write = async |sql| db.writer().execute_unprepared(sql).await.map(drop);
        // What is temporary goes with its connection.
        write("CREATE TEMPORARY TABLE here (number BIGINT)").await.unwrap();
        let insert = "INSERT INTO numbers VALUES (1)";
        write(insert).await.unwrap();
        assert_eq!(write(insert).await.map_err(|error| db::kind(&error)), Err(ErrorKind::UniqueViolation));
        assert_eq!(both(db.clone(), (2, 1)).await, Err(ErrorKind::UniqueViolation));
        write("INSERT INTO here VALUES (1)").await.unwrap();
        write("nonsense").await.unwrap_err();
        write("INSERT INTO here VALUES (1)").await.unwrap_err();
    }

    #[tokio::test]
    async fn a_change_that_fails_alone_leaves_nothing_and_the_next_one_is_kept() {
        let (_directory, db) = numbers().await;
        for (change, outcome) in
            [((1, 2), Ok(())), ((3, 1), Err(ErrorKind::UniqueViolation)), ((4, 5), Ok(()))]
        {
            assert_eq!(both(db.clone(), change).await, outcome);
        }
        assert_eq!(
            db.writer().execute_unprepared("nonsense").await.map_err(|error| db::kind(&error)).map(drop),
            Err(ErrorKind::Other)
        );
        assert_eq!(both(db.clone(), (6, 7)).await, Ok(()));
        // A reader sees what is committed, and nothing else.
        assert_eq!(all(&db).await, [1, 2, 4, 5, 6, 7]);
    }
}
