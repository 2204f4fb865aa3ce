//! The schema's steps: each only adds, so that a node of the version before runs on beside a new one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use homeroom::db::Db;
use migration::{Migrator, MigratorTrait, SchemaManager};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use tempfile::TempDir;

use crate::support::{Kind, PASSWORD, STUDENT, TEACHER, both, process::Site};

/// What a node relies on: the tables with their columns, and the rules that rows must keep to.
#[derive(Debug, Default)]
struct Schema {
    /// By table and name.
    columns: BTreeMap<(String, String), Column>,
    rules: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq)]
struct Column {
    /// The same for as long as it holds the same values, whatever it is called; empty where the database tells none.
    identity: String,
    kind: String,
    required: bool,
    /// A row that does not name it gets a value all the same.
    filled: bool,
}

/// A constraint or a unique index.
#[derive(Debug)]
struct Rule {
    table: String,
    text: String,
    columns: Vec<String>,
}

const POSTGRES_COLUMNS: &str = "
    SELECT c.relname AS a, a.attname AS b, c.oid || '.' || a.attnum AS c, format_type(a.atttypid, a.atttypmod) AS d,
        CASE WHEN a.attnotnull THEN 'yes' ELSE '' END AS e,
        CASE WHEN a.atthasdef OR a.attidentity <> '' THEN 'yes' ELSE '' END AS f
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped";

const POSTGRES_RULES: &str = "
    SELECT conrelid::regclass::text AS a, conname || ': ' || pg_get_constraintdef(oid) AS b, coalesce((SELECT
        string_agg(attname, ',') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)), '') AS c
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid), coalesce((SELECT string_agg(attname, ',') FROM
        pg_attribute WHERE attrelid = indrelid AND attnum = ANY(indkey::int2[])), '')
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace AND indisunique";

const SQLITE_COLUMNS: &str = "
    SELECT m.name AS a, p.name AS b, '' AS c, p.type AS d, iif(p.\"notnull\", 'yes', '') AS e,
        iif(p.dflt_value IS NULL, '', 'yes') AS f
    FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'";

const SQLITE_RULES: &str = "
    SELECT m.name AS a, l.name AS b, (SELECT coalesce(group_concat(i.name), '') FROM pragma_index_info(l.name) i) AS c
    FROM sqlite_master m JOIN pragma_index_list(m.name) l WHERE m.type = 'table' AND l.\"unique\"
    UNION ALL
    SELECT m.name, 'of ' || f.\"table\", f.\"from\"
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'";

impl Schema {
    async fn of(db: &DatabaseTransaction) -> Self {
        let (columns, rules) = match db.get_database_backend() {
            DbBackend::Sqlite => (SQLITE_COLUMNS, SQLITE_RULES),
            _ => (POSTGRES_COLUMNS, POSTGRES_RULES),
        };
        let mut schema = Self::default();
        for [table, name, identity, kind, required, filled] in
            texts(db, columns, ["a", "b", "c", "d", "e", "f"]).await
        {
            let (required, filled) = (!required.is_empty(), !filled.is_empty());
            schema.columns.insert((table, name), Column { identity, kind, required, filled });
        }
        for [table, text, columns] in texts(db, rules, ["a", "b", "c"]).await {
            let columns = columns.split(',').map(str::to_owned).collect();
            schema.rules.push(Rule { table, text, columns });
        }
        schema
    }

    /// What keeps a node that knows this schema from working with `after`.
    fn broken_by(&self, after: &Self) -> Vec<String> {
        let mut faults = Vec::new();
        for ((table, name), column) in &self.columns {
            match after.columns.get(&(table.clone(), name.clone())) {
                None => faults.push(format!("{table}.{name} is gone")),
                Some(now) if now != column => faults.push(format!("{table}.{name} is another")),
                Some(_) => {}
            }
        }
        let knows = |table: &str| self.columns.keys().any(|(known, _)| known == table);
        for ((table, name), column) in &after.columns {
            let new = !self.columns.contains_key(&(table.clone(), name.clone()));
            if new && knows(table) && column.required && !column.filled {
                faults.push(format!("{table}.{name} has no default"));
            }
        }
        for Rule { table, text, columns } in &after.rules {
            let old = self.rules.iter().any(|rule| rule.table == *table && rule.text == *text);
            // A rule that is about new columns alone is kept by who does not name them.
            let new_columns = |column: &String| {
                let column = (table.clone(), column.clone());
                after.columns.contains_key(&column) && !self.columns.contains_key(&column)
            };
            if !old && knows(table) && !columns.iter().all(new_columns) {
                faults.push(format!("{table} has a new rule"));
            }
        }
        faults
    }
}

/// The rows that a query finds, whose columns are all text.
async fn texts<const N: usize>(db: &DatabaseTransaction, query: &str, names: [&str; N]) -> Vec<[String; N]> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    rows.iter().map(|row| names.map(|name| row.try_get("", name).unwrap())).collect()
}

/// A database that is connected to, and where it is kept.
async fn fresh(kind: Kind) -> (TempDir, Db) {
    let directory = TempDir::new().unwrap();
    let db = Db::connect(&kind.location(directory.path()).await).await.unwrap();
    (directory, db)
}

/// What a step consisting of this statement breaks.
async fn broken_by(db: &Db, statement: &str) -> Vec<String> {
    let db = db.writer().begin().await.unwrap();
    let before = Schema::of(&db).await;
    db.execute_unprepared(statement).await.unwrap();
    let faults = before.broken_by(&Schema::of(&db).await);
    db.rollback().await.unwrap();
    faults
}

both! {
    async fn no_step_takes_anything_from_a_node_of_the_version_before(kind: Kind) {
        let (_directory, db) = fresh(kind).await;
        let db = db.writer().begin().await.unwrap();
        let mut before = Schema::of(&db).await;
        for (number, step) in Migrator::migrations().into_iter().enumerate() {
            step.up(&SchemaManager::new(&db)).await.unwrap();
            let after = Schema::of(&db).await;
            assert!(after.columns.len() > before.columns.len(), "step {number} is not seen");
            assert_eq!(before.broken_by(&after), Vec::<String>::new(), "step {number}");
            before = after;
        }
    }

    async fn a_step_that_takes_something_is_refused(kind: Kind) {
        let (_directory, db) = fresh(kind).await;
        db.migrate().await.unwrap();
        let anywhere: &[(&str, &[&str])] = &[
            ("DROP TABLE enrollments", &[
                "enrollments.class_id is gone", "enrollments.created_at is gone", "enrollments.enrolled_at is gone",
                "enrollments.id is gone", "enrollments.status is gone", "enrollments.student_id is gone",
                "enrollments.updated_at is gone",
            ]),
            ("ALTER TABLE users DROP COLUMN email_verified_at", &["users.email_verified_at is gone"]),
            ("ALTER TABLE users RENAME COLUMN email TO address", &[
                "users.email is gone", "users.address has no default",
            ]),
            ("CREATE UNIQUE INDEX one_class_each ON classes (owner_id)", &["classes has a new rule"]),
            ("CREATE UNIQUE INDEX one_class_each ON classes (lower(name))", &["classes has a new rule"]),
        ];
        let on_postgres: &[(&str, &[&str])] = &[
            ("ALTER TABLE users ADD COLUMN nickname text NOT NULL", &["users.nickname has no default"]),
            ("ALTER TABLE users ALTER COLUMN email TYPE varchar(100)", &["users.email is another"]),
            ("ALTER TABLE users ALTER COLUMN email_verified_at SET NOT NULL", &["users.email_verified_at is another"]),
            ("ALTER TABLE users ALTER COLUMN email DROP NOT NULL", &["users.email is another"]),
            ("ALTER TABLE users DROP COLUMN email_verified_at, ADD COLUMN email_verified_at timestamptz",
                &["users.email_verified_at is another"]),
            ("ALTER TABLE users ADD CONSTRAINT short CHECK (length(email) < 100)", &["users has a new rule"]),
            ("ALTER TABLE policy_acceptances ADD FOREIGN KEY (app_id, address) REFERENCES app_redirect_uris",
                &["policy_acceptances has a new rule"]),
        ];
        let of_this_kind = if kind == Kind::Postgres { on_postgres } else { &[] };
        for (statement, faults) in anywhere.iter().chain(of_this_kind) {
            let mut found = broken_by(&db, statement).await;
            // PostgreSQL keeps a unique constraint and the index below it.
            found.dedup();
            assert_eq!(found, *faults, "{statement}");
        }
    }

    async fn a_step_that_adds_is_taken(kind: Kind) {
        let (_directory, db) = fresh(kind).await;
        db.migrate().await.unwrap();
        for statement in [
            "CREATE TABLE badges (id integer NOT NULL PRIMARY KEY, holder text NOT NULL UNIQUE)",
            "CREATE INDEX classes_by_name ON classes (name)",
            "ALTER TABLE users ADD COLUMN nickname text",
            "ALTER TABLE users ADD COLUMN visits integer NOT NULL DEFAULT 0",
            "ALTER TABLE users ADD COLUMN home text REFERENCES app_login_domains (domain)",
        ] {
            assert_eq!(broken_by(&db, statement).await, Vec::<String>::new(), "{statement}");
        }
    }

    async fn a_node_starts_and_works_on_the_schema_of_a_newer_one(kind: Kind) {
        let site = Site::new(kind).await;
        site.run(&["migrate"]).await.success();
        let db = Db::connect(&site.location).await.unwrap();
        for statement in [
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_newer', 0)",
            "ALTER TABLE users ADD COLUMN visits integer NOT NULL DEFAULT 0",
            "ALTER TABLE authorization_codes ADD COLUMN seen integer NOT NULL DEFAULT 0",
            "ALTER TABLE enrollments ADD COLUMN note text",
            "CREATE TABLE badges (id integer NOT NULL PRIMARY KEY)",
        ] {
            db.writer().execute_unprepared(statement).await.unwrap();
        }
        let server = site.listen("demo").await;
        let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let student = server.token(&server.code(STUDENT, PASSWORD, false).await).await;
        let code = server.generate_join_code(&teacher).await;
        assert_eq!(server.join(&student, &code).await, 201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_waits_for_a_table_keeps_nobody_else_from_it_for_long() {
    let (_directory, db) = fresh(Kind::Postgres).await;
    db.migrate().await.unwrap();
    // Undoes a migration that locks the table `users`, because it adds references to it.
    for statement in [
        "DROP TABLE enrollments, join_codes, classes",
        "DELETE FROM seaql_migrations WHERE version = 'm20261127_000002_classroom'",
    ] {
        db.writer().execute_unprepared(statement).await.unwrap();
    }
    let dump = db.writer().begin().await.unwrap();
    dump.execute_unprepared("LOCK TABLE users IN ROW EXCLUSIVE MODE").await.unwrap();
    let nodes: Vec<_> = (0..3)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move { db.migrate().await })
        })
        .collect();
    // One of them has its turn until it is done, and lets others at the table between its attempts.
    let waits = "SELECT pid, query_start::text FROM pg_locks JOIN pg_stat_activity USING (pid) \
                 WHERE relation = 'users'::regclass AND NOT granted";
    let waits = Statement::from_string(DbBackend::Postgres, waits);
    let mut attempts = BTreeSet::new();
    while attempts.len() < 3 {
        for row in db.read().query_all_raw(waits.clone()).await.unwrap() {
            attempts.insert((
                row.try_get_by_index::<i32>(0).unwrap(),
                row.try_get_by_index::<String>(1).unwrap(),
            ));
            // A node of the version before gives up after three seconds.
            db.writer().execute_unprepared("UPDATE users SET enabled = enabled").await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let turns: BTreeSet<_> = attempts.iter().map(|(node, _)| node).collect();
    assert_eq!(turns.len(), 1, "{attempts:?}");
    assert!(nodes.iter().all(|node| !node.is_finished()));
    dump.rollback().await.unwrap();
    for node in nodes {
        node.await.unwrap().unwrap();
    }
    let there = Statement::from_string(DbBackend::Postgres, "SELECT id FROM classes");
    db.read().query_all_raw(there).await.unwrap();
}
