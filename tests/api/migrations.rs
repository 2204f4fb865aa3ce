//! Migrations only add to the schema, so that nodes of the previous version go on working.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::DateTime;
use homeroom::db::Db;
use migration::{Migrator, MigratorTrait, SchemaManager};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{Kind, PASSWORD, STUDENT, TEACHER, both, process::Site};

/// The part of a schema on which a node relies.
#[derive(Debug, Default)]
struct Schema {
    /// By table and column.
    columns: BTreeMap<(String, String), Column>,
    constraints: Vec<Constraint>,
}

#[derive(Debug, PartialEq, Eq)]
struct Column {
    /// The database's id of the column, which a renamed column keeps. Empty on SQLite.
    identity: String,
    kind: String,
    required: bool,
    /// Whether an `INSERT` may omit the column.
    has_default: bool,
}

/// A constraint or a unique index.
#[derive(Debug)]
struct Constraint {
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

const POSTGRES_CONSTRAINTS: &str = "
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

const SQLITE_CONSTRAINTS: &str = "
    SELECT m.name AS a, l.name AS b, (SELECT coalesce(group_concat(i.name), '') FROM pragma_index_info(l.name) i) AS c
    FROM sqlite_master m JOIN pragma_index_list(m.name) l WHERE m.type = 'table' AND l.\"unique\"
    UNION ALL
    SELECT m.name, 'of ' || f.\"table\", f.\"from\"
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'";

impl Schema {
    async fn of(db: &DatabaseTransaction) -> Self {
        let (columns, constraints) = match db.get_database_backend() {
            DbBackend::Sqlite => (SQLITE_COLUMNS, SQLITE_CONSTRAINTS),
            _ => (POSTGRES_COLUMNS, POSTGRES_CONSTRAINTS),
        };
        let mut schema = Self::default();
        for [table, name, identity, kind, required, default] in
            texts(db, columns, ["a", "b", "c", "d", "e", "f"]).await
        {
            let (required, has_default) = (!required.is_empty(), !default.is_empty());
            schema.columns.insert((table, name), Column { identity, kind, required, has_default });
        }
        for [table, text, columns] in texts(db, constraints, ["a", "b", "c"]).await {
            let columns = columns.split(',').map(str::to_owned).collect();
            schema.constraints.push(Constraint { table, text, columns });
        }
        schema
    }

    /// The reasons why a node that knows this schema cannot work with `after`.
    fn conflicts_with(&self, after: &Self) -> Vec<String> {
        let mut conflicts = Vec::new();
        for ((table, name), column) in &self.columns {
            match after.columns.get(&(table.clone(), name.clone())) {
                None => conflicts.push(format!("{table}.{name} is gone")),
                Some(now) if now != column => conflicts.push(format!("{table}.{name} is changed")),
                Some(_) => {}
            }
        }
        let knows = |table: &str| self.columns.keys().any(|(known, _)| known == table);
        for ((table, name), column) in &after.columns {
            let new = !self.columns.contains_key(&(table.clone(), name.clone()));
            if new && knows(table) && column.required && !column.has_default {
                conflicts.push(format!("{table}.{name} has no default"));
            }
        }
        for Constraint { table, text, columns } in &after.constraints {
            let old = self.constraints.iter().any(|known| known.table == *table && known.text == *text);
            // A statement that omits the new columns cannot violate a constraint on new columns alone.
            let new_columns = |column: &String| {
                let column = (table.clone(), column.clone());
                after.columns.contains_key(&column) && !self.columns.contains_key(&column)
            };
            if !old && knows(table) && !columns.iter().all(new_columns) {
                conflicts.push(format!("{table} has a new constraint"));
            }
        }
        conflicts
    }
}

/// The rows of a query whose columns are all text.
async fn texts<const N: usize>(db: &DatabaseTransaction, query: &str, names: [&str; N]) -> Vec<[String; N]> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    rows.iter().map(|row| names.map(|name| row.try_get("", name).unwrap())).collect()
}

/// An empty database, and the directory of its file.
async fn empty_database(kind: Kind) -> (TempDir, Db) {
    let directory = TempDir::new().unwrap();
    let db = Db::connect(&kind.location(directory.path()).await).await.unwrap();
    (directory, db)
}

/// The conflicts of a migration that consists of this statement.
async fn conflicts_of(db: &Db, statement: &str) -> Vec<String> {
    let db = db.writer().begin().await.unwrap();
    let before = Schema::of(&db).await;
    db.execute_unprepared(statement).await.unwrap();
    let conflicts = before.conflicts_with(&Schema::of(&db).await);
    db.rollback().await.unwrap();
    conflicts
}

both! {
    async fn migrations_have_no_conflict_with_previous_version(kind: Kind) {
        let (_directory, db) = empty_database(kind).await;
        let db = db.writer().begin().await.unwrap();
        let mut before = Schema::of(&db).await;
        for (number, migration) in Migrator::migrations().into_iter().enumerate() {
            migration.up(&SchemaManager::new(&db)).await.unwrap();
            let after = Schema::of(&db).await;
            assert!(after.columns.len() > before.columns.len(), "migration {number} changes nothing");
            assert_eq!(before.conflicts_with(&after), Vec::<String>::new(), "migration {number}");
            before = after;
        }
    }

    async fn migration_gives_earlier_rows_the_same_sort_keys_on_both_databases(kind: Kind) {
        let (_directory, db) = empty_database(kind).await;
        let db = db.writer().begin().await.unwrap();
        let mut migrations = Migrator::migrations();
        let rosters = migrations.pop().unwrap();
        assert_eq!(rosters.name(), "m20261129_000001_rosters");
        for migration in migrations {
            migration.up(&SchemaManager::new(&db)).await.unwrap();
        }
        let id = |number: u128| Uuid::from_u128(0xABCD_EF01_2345_6789_ABCD_EF01_2345_6789 + number);
        let now = DateTime::UNIX_EPOCH.fixed_offset();
        let execute = async |sql: &str, values: Vec<sea_orm::Value>| {
            let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
            db.execute_raw(statement).await.unwrap();
        };
        let people = [(1, None, None), (2, Some("ÄNNE"), Some("Le VAN")), (3, Some("Đào"), None)];
        for (number, first, last) in people {
            let (first, last) = (first.map(str::to_owned), last.map(str::to_owned));
            let sql = "INSERT INTO users (id, email, password_hash, enabled, created_at, first_name, last_name) \
                       VALUES ($1, $2, '', $3, $4, $5, $6)";
            let email = format!("{number}@example.com");
            execute(sql, vec![id(number).into(), email.into(), true.into(), now.into(), first.into(), last.into()]).await;
        }
        let sql = "INSERT INTO classes (id, owner_id, name, is_active, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)";
        execute(sql, vec![id(9).into(), id(1).into(), "10A Größe Ä".into(), true.into(), now.into()]).await;
        for (number, ..) in people {
            let sql = "INSERT INTO enrollments (id, class_id, student_id, enrolled_at, status, created_at, updated_at) \
                       VALUES ($1, $2, $3, $4, 'active', $5, $5)";
            let values = vec![id(number).into(), id(9).into(), id(number).into(), now.date_naive().into(), now.into()];
            execute(sql, values).await;
        }
        rosters.up(&SchemaManager::new(&db)).await.unwrap();
        let keys = texts(&db, "SELECT student_key AS a, name_key AS b FROM enrollments JOIN classes \
            ON classes.id = class_id ORDER BY student_key", ["a", "b"]).await;
        let key = |last: &str, first: &str, number: u128| {
            [format!("{last}\u{1F}{first}\u{1F}{}", id(number)), "10a größe Ä".to_owned()]
        };
        assert_eq!(keys, [key("", "", 1), key("", "Đào", 3), key("le van", "Änne", 2)]);
    }

    async fn conflicts_of_removing_or_restricting_statement_are_found(kind: Kind) {
        let (_directory, db) = empty_database(kind).await;
        db.migrate().await.unwrap();
        let for_both: &[(&str, &[&str])] = &[
            ("DROP TABLE enrollments", &[
                "enrollments.class_id is gone", "enrollments.created_at is gone", "enrollments.enrolled_at is gone",
                "enrollments.id is gone", "enrollments.origin is gone", "enrollments.sourced_id is gone",
                "enrollments.status is gone", "enrollments.student_id is gone", "enrollments.student_key is gone",
                "enrollments.updated_at is gone",
            ]),
            ("ALTER TABLE users DROP COLUMN email_verified_at", &["users.email_verified_at is gone"]),
            ("ALTER TABLE users RENAME COLUMN email TO address", &[
                "users.email is gone", "users.address has no default",
            ]),
            ("CREATE UNIQUE INDEX one_class_each ON classes (owner_id)", &["classes has a new constraint"]),
            ("CREATE UNIQUE INDEX one_class_each ON classes (lower(name))", &["classes has a new constraint"]),
        ];
        let for_postgres: &[(&str, &[&str])] = &[
            ("ALTER TABLE users ADD COLUMN nickname text NOT NULL", &["users.nickname has no default"]),
            ("ALTER TABLE users ALTER COLUMN email TYPE varchar(100)", &["users.email is changed"]),
            ("ALTER TABLE users ALTER COLUMN email_verified_at SET NOT NULL", &["users.email_verified_at is changed"]),
            ("ALTER TABLE users ALTER COLUMN email DROP NOT NULL", &["users.email is changed"]),
            ("ALTER TABLE users DROP COLUMN email_verified_at, ADD COLUMN email_verified_at timestamptz",
                &["users.email_verified_at is changed"]),
            ("ALTER TABLE users ADD CONSTRAINT short CHECK (length(email) < 100)", &["users has a new constraint"]),
            ("ALTER TABLE policy_acceptances ADD FOREIGN KEY (app_id, address) REFERENCES app_redirect_uris",
                &["policy_acceptances has a new constraint"]),
        ];
        let for_this_database = if kind == Kind::Postgres { for_postgres } else { &[] };
        for (statement, conflicts) in for_both.iter().chain(for_this_database) {
            let mut found = conflicts_of(&db, statement).await;
            // PostgreSQL lists a unique constraint and its index.
            found.dedup();
            assert_eq!(found, *conflicts, "{statement}");
        }
    }

    async fn conflicts_of_adding_statement_are_none(kind: Kind) {
        let (_directory, db) = empty_database(kind).await;
        db.migrate().await.unwrap();
        for statement in [
            "CREATE TABLE badges (id integer NOT NULL PRIMARY KEY, holder text NOT NULL UNIQUE)",
            "CREATE INDEX classes_by_creation ON classes (created_at)",
            "ALTER TABLE users ADD COLUMN nickname text",
            "ALTER TABLE users ADD COLUMN visits integer NOT NULL DEFAULT 0",
            "ALTER TABLE users ADD COLUMN home text REFERENCES app_login_domains (domain)",
        ] {
            assert_eq!(conflicts_of(&db, statement).await, Vec::<String>::new(), "{statement}");
        }
    }

    async fn server_on_newer_schema_starts_and_works(kind: Kind) {
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
async fn migration_that_waits_for_locked_table_delays_other_statements_less_than_3_s() {
    let (_directory, db) = empty_database(Kind::Postgres).await;
    db.migrate().await.unwrap();
    // Undoes a migration that locks the table `users`, because it adds references to it.
    for statement in [
        "DROP TABLE enrollments, join_codes, classes",
        "DELETE FROM seaql_migrations WHERE version = 'm20261127_000002_classroom'",
    ] {
        db.writer().execute_unprepared(statement).await.unwrap();
    }
    let lock = db.writer().begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE users IN ROW EXCLUSIVE MODE").await.unwrap();
    let nodes: Vec<_> = (0..3)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move { db.migrate().await })
        })
        .collect();
    // One node holds the advisory lock until it is done. Other statements use the table between its attempts.
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
            // Fails after a wait of 3 s, as every statement of a server does.
            db.writer().execute_unprepared("UPDATE users SET enabled = enabled").await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let migrating: BTreeSet<_> = attempts.iter().map(|(node, _)| node).collect();
    assert_eq!(migrating.len(), 1, "{attempts:?}");
    assert!(nodes.iter().all(|node| !node.is_finished()));
    lock.rollback().await.unwrap();
    for node in nodes {
        node.await.unwrap().unwrap();
    }
    let there = Statement::from_string(DbBackend::Postgres, "SELECT id FROM classes");
    db.read().query_all_raw(there).await.unwrap();
}
