//! Single statements that share a commit on SQLite.
//!
//! Its one writer makes each commit durable before the next begins, so that everybody who waits at that time may as well
//! be in one transaction. PostgreSQL shares the work of commits by itself, over as many connections as there are.

use std::sync::Arc;

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    prelude::async_trait,
};

use super::{
    batch::{self, BatchError, Batcher},
    retry::Retrying,
};

/// How many may wait to be written, beside those that are: each is a request, of which there are not many more.
const WAITING: usize = 1024;

/// Commits that are shared: on SQLite alone.
#[derive(Clone)]
pub(super) struct Commits(Option<Arc<Batcher<Writes>>>);

impl Commits {
    /// Shares the commits of a writer, on the runtime that this is called on.
    pub(super) fn new(writer: &Retrying) -> Self {
        let sqlite = writer.get_database_backend() == DbBackend::Sqlite;
        Self(sqlite.then(|| Arc::new(Batcher::start(Writes(writer.clone()), WAITING))))
    }

    pub(super) fn shared<'a>(&'a self, connections: &'a Retrying) -> Shared<'a> {
        Shared { connections, batcher: self.0.as_deref() }
    }
}

/// Connections for changes of one statement, which neither see nor undo one another.
pub struct Shared<'a> {
    connections: &'a Retrying,
    batcher: Option<&'a Batcher<Writes>>,
}

impl Shared<'_> {
    async fn write(&self, write: Write) -> Result<Written, DbErr> {
        let Some(batcher) = self.batcher else { return write.on(self.connections).await };
        batcher.ask(write).await.map_err(|error| match error {
            BatchError::Failed(error) => error,
            BatchError::Busy { .. } | BatchError::Ended => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        })
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Shared<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.connections.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.write(Write { statement, rows: false }).await?.changed.ok_or_else(unanswered)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.connections.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(self.write(Write { statement, rows: true }).await?.rows)
    }
}

fn unanswered() -> DbErr {
    DbErr::Custom("a change was not counted".to_owned())
}

/// A statement, and whether it answers rows.
struct Write {
    statement: Statement,
    rows: bool,
}

/// What a statement answered.
#[derive(Default)]
struct Written {
    changed: Option<ExecResult>,
    rows: Vec<QueryResult>,
}

impl Write {
    async fn on(&self, db: &impl ConnectionTrait) -> Result<Written, DbErr> {
        let statement = self.statement.clone();
        Ok(if self.rows {
            Written { rows: db.query_all_raw(statement).await?, ..Written::default() }
        } else {
            Written { changed: Some(db.execute_raw(statement).await?), ..Written::default() }
        })
    }
}

struct Writes(Retrying);

impl batch::Statement for Writes {
    type Request = Write;
    type Answer = Written;

    async fn write(&self, batch: &[Write]) -> Result<Vec<Option<Written>>, DbErr> {
        if let [alone] = batch {
            return Ok(vec![Some(alone.on(&self.0).await?)]);
        }
        let together = self.0.transaction(|transaction| async move {
            let mut written = Vec::with_capacity(batch.len());
            for write in batch {
                written.push(Some(write.on(&transaction).await?));
            }
            Ok::<_, DbErr>((transaction, written))
        });
        together.await
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, Statement};

    use crate::store::{self, Kind, Location, Store};

    fn insert(store: &Store, number: i64) -> Statement {
        let sql = "INSERT INTO numbers (number) VALUES (?) RETURNING number";
        Statement::from_sql_and_values(store.writer().get_database_backend(), sql, [number.into()])
    }

    #[tokio::test]
    async fn statements_that_wait_together_are_all_made_but_those_that_fail() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::connect(&Location::in_directory(directory.path())).await.unwrap();
        store.writer().execute_unprepared("CREATE TABLE numbers (number BIGINT PRIMARY KEY)").await.unwrap();
        // While the writer is busy all of them gather behind the first.
        let busy = store.begin().await.unwrap();
        let numbers = [0, 1, 2, 1, 3, 2, 4];
        let tasks = numbers.map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let shared = store.shared(store.writer());
                let written = shared.query_one_raw(insert(&store, number)).await;
                written.map(|row| row.unwrap().try_get_by_index::<i64>(0).unwrap())
            })
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        busy.commit().await.unwrap();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap().map_err(|error| store::kind(&error)));
        }
        let taken = Err(Kind::Taken);
        assert_eq!(outcomes, [Ok(0), Ok(1), Ok(2), taken, Ok(3), taken, Ok(4)]);
        let shared = store.shared(store.writer());
        let doubled = "UPDATE numbers SET number = 2 * number + 100";
        let doubled = Statement::from_string(shared.get_database_backend(), doubled);
        assert_eq!(shared.execute_raw(doubled).await.unwrap().rows_affected(), 5);
    }
}
