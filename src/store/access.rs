//! Changes that share a commit on SQLite.
//!
//! Its one writer makes each commit durable before the next begins, so that everybody who waits at that time may as well
//! be in one transaction. PostgreSQL shares the work of commits by itself, over as many connections as there are.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    Statement, prelude::async_trait,
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
        Shared { connections, batcher: self.0.as_deref(), patience: Duration::ZERO }
    }
}

/// A change of several statements.
#[async_trait::async_trait]
pub trait Change: Send + Sync + 'static {
    /// Makes it. It may be made again, if what it was a part of could not be committed.
    async fn make(&self, transaction: &DatabaseTransaction) -> Result<(), DbErr>;
}

/// Connections for changes that neither see nor undo one another.
pub struct Shared<'a> {
    connections: &'a Retrying,
    batcher: Option<&'a Batcher<Writes>>,
    patience: Duration,
}

impl Shared<'_> {
    /// The same for changes that may wait for so long for others to share a commit with.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Makes a change of several statements: all of them or none.
    pub async fn make(&self, change: impl Change) -> Result<(), DbErr> {
        self.write(Write::Change(Box::new(change))).await.map(drop)
    }

    async fn write(&self, write: Write) -> Result<Written, DbErr> {
        let Some(batcher) = self.batcher else { return write.alone(self.connections).await };
        batcher.ask_within(self.patience, write).await.map_err(|error| match error {
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
        self.write(Write::Execute(statement)).await?.changed.ok_or_else(unanswered)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.connections.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(self.write(Write::Query(statement)).await?.rows)
    }
}

fn unanswered() -> DbErr {
    DbErr::Custom("a change was not counted".to_owned())
}

/// What is to be written.
enum Write {
    /// A statement that changes rows.
    Execute(Statement),
    /// A statement that answers rows as well.
    Query(Statement),
    /// Several statements.
    Change(Box<dyn Change>),
}

/// What a statement answered.
#[derive(Default)]
struct Written {
    changed: Option<ExecResult>,
    rows: Vec<QueryResult>,
}

impl Written {
    fn changed(changed: ExecResult) -> Self {
        Self { changed: Some(changed), rows: Vec::new() }
    }

    fn rows(rows: Vec<QueryResult>) -> Self {
        Self { changed: None, rows }
    }
}

impl Write {
    async fn alone(&self, connections: &Retrying) -> Result<Written, DbErr> {
        match self {
            Self::Execute(statement) => {
                connections.execute_raw(statement.clone()).await.map(Written::changed)
            }
            Self::Query(statement) => connections.query_all_raw(statement.clone()).await.map(Written::rows),
            Self::Change(_) => {
                connections
                    .transaction(|transaction| async move {
                        let written = self.within(&transaction).await?;
                        Ok((transaction, written))
                    })
                    .await
            }
        }
    }

    async fn within(&self, transaction: &DatabaseTransaction) -> Result<Written, DbErr> {
        match self {
            Self::Execute(statement) => {
                transaction.execute_raw(statement.clone()).await.map(Written::changed)
            }
            Self::Query(statement) => transaction.query_all_raw(statement.clone()).await.map(Written::rows),
            Self::Change(change) => change.make(transaction).await.map(|()| Written::default()),
        }
    }
}

struct Writes(Retrying);

impl batch::Statement for Writes {
    type Request = Write;
    type Answer = Written;

    async fn write(&self, batch: &[Write]) -> Result<Vec<Option<Written>>, DbErr> {
        if let [alone] = batch {
            return Ok(vec![Some(alone.alone(&self.0).await?)]);
        }
        let together = self.0.transaction(|transaction| async move {
            let mut written = Vec::with_capacity(batch.len());
            for write in batch {
                written.push(Some(write.within(&transaction).await?));
            }
            Ok::<_, DbErr>((transaction, written))
        });
        together.await
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement, prelude::async_trait};

    use super::Change;
    use crate::store::{self, Kind, Location, Store};

    /// Inserts two numbers.
    struct Two(Statement, Statement);

    #[async_trait::async_trait]
    impl Change for Two {
        async fn make(&self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
            transaction.execute_raw(self.0.clone()).await?;
            transaction.execute_raw(self.1.clone()).await.map(drop)
        }
    }

    /// A store with a table of numbers, in a directory that has to be kept.
    async fn numbers() -> (tempfile::TempDir, Store) {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::connect(&Location::in_directory(directory.path())).await.unwrap();
        store.writer().execute_unprepared("CREATE TABLE numbers (number BIGINT PRIMARY KEY)").await.unwrap();
        (directory, store)
    }

    /// Asks for each while the writer is busy, so that all of them gather behind the first.
    async fn together<A, T, F>(
        store: &Store,
        asked: impl IntoIterator<Item = A>,
        ask: fn(Store, A) -> F,
    ) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let busy = store.begin().await.unwrap();
        let tasks: Vec<_> = asked.into_iter().map(|asked| tokio::spawn(ask(store.clone(), asked))).collect();
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

    fn insert(store: &Store, number: i64) -> Statement {
        let sql = "INSERT INTO numbers (number) VALUES (?) RETURNING number";
        Statement::from_sql_and_values(store.writer().get_database_backend(), sql, [number.into()])
    }

    #[tokio::test]
    async fn statements_that_wait_together_are_all_made_but_those_that_fail() {
        let (_directory, store) = numbers().await;
        let outcomes = together(&store, [0, 1, 2, 1, 3, 2, 4], |store, number| async move {
            let written = store.shared(store.writer()).query_one_raw(insert(&store, number)).await;
            let written = written.map(|row| row.unwrap().try_get_by_index::<i64>(0).unwrap());
            written.map_err(|error| store::kind(&error))
        });
        let taken = Err(Kind::Taken);
        assert_eq!(outcomes.await, [Ok(0), Ok(1), Ok(2), taken, Ok(3), taken, Ok(4)]);
        let shared = store.shared(store.writer());
        let doubled = "UPDATE numbers SET number = 2 * number + 100";
        let doubled = Statement::from_string(shared.get_database_backend(), doubled);
        assert_eq!(shared.execute_raw(doubled).await.unwrap().rows_affected(), 5);
    }

    #[tokio::test]
    async fn a_change_of_several_statements_is_made_whole_or_not_at_all_and_fails_for_itself() {
        let (_directory, store) = numbers().await;
        let outcomes = together(&store, [(1, 2), (3, 1), (4, 5)], |store, (first, second)| async move {
            let two = Two(insert(&store, first), insert(&store, second));
            store.shared(store.writer()).make(two).await.map_err(|error| store::kind(&error))
        });
        assert_eq!(outcomes.await, [Ok(()), Err(Kind::Taken), Ok(())]);
        let all = "SELECT number FROM numbers ORDER BY number";
        let all = Statement::from_string(store.reader().get_database_backend(), all);
        let rows = store.reader().query_all_raw(all).await.unwrap();
        let numbers: Vec<i64> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
        assert_eq!(numbers, [1, 2, 4, 5]);
    }
}
