//! `homeroom backup`: copies a database while a server writes, and refuses unusable targets.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use tempfile::TempDir;

use crate::support::{
    Kind, OWN_CLASS, PASSWORD, STUDENT, TEACHER,
    process::{Ended, Site, send},
};

async fn backup(site: &Site, to: &Path) -> Ended {
    site.run(&["backup", "--to", to.to_str().unwrap()]).await
}

fn files_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A site with a copy of the database and the same keys.
fn restore(site: &Site, copy: &Path) -> Site {
    let restored = Site::bare().with("HOMEROOM_CODE_LIFE", "600");
    let keys = restored.data().join("keys");
    fs::create_dir_all(&keys).unwrap();
    for key in files_in(&site.data().join("keys")) {
        fs::copy(site.data().join("keys").join(&key), keys.join(&key)).unwrap();
    }
    fs::copy(copy, restored.data().join("homeroom.db")).unwrap();
    restored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_while_server_writes_contains_every_change_acknowledged_before() {
    let site =
        Site::new(Kind::Sqlite).await.with("HOMEROOM_CODE_LIFE", "600").with("HOMEROOM_JOIN_CODE_RATE", "0");
    let server = Arc::new(site.listen("demo").await);
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let student = server.token(&server.code(STUDENT, PASSWORD, false).await).await;
    assert_eq!(server.join(&student, &server.generate_join_code(&teacher).await).await, 201);

    let (done, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let mut load = Vec::new();
    for _ in 0..4 {
        let (a_server, is_done, codes) = (server.clone(), done.clone(), acknowledged.clone());
        load.push(tokio::spawn(async move {
            while !is_done.load(Ordering::Relaxed) {
                let code = a_server.code(TEACHER, PASSWORD, false).await;
                codes.lock().unwrap().push(code);
            }
        }));
        let (a_server, is_done, token) = (server.clone(), done.clone(), teacher.clone());
        load.push(tokio::spawn(async move {
            while !is_done.load(Ordering::Relaxed) {
                a_server.generate_join_code(&token).await;
            }
        }));
    }
    let codes = || acknowledged.lock().unwrap().clone();
    let directory = TempDir::new().unwrap();
    let mut copies = Vec::new();
    for round in 1..=3 {
        // Waits for new acknowledged changes. Others are in progress.
        while codes().len() < 4 * round {
            tokio::task::yield_now().await;
        }
        let expected = codes();
        let copy = directory.path().join(format!("{round}.db"));
        assert_eq!(backup(&site, &copy).await.success(), format!("{}\n", copy.display()));
        copies.push((copy, expected));
    }
    done.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    assert!(codes().len() > copies.last().unwrap().1.len(), "no change was made during the backups");
    assert_eq!(files_in(directory.path()), ["1.db", "2.db", "3.db"], "no other files");

    for (copy, expected) in copies {
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(integrity(&copy).await, ["ok"]);
        let elsewhere = restore(&site, &copy);
        let restored = elsewhere.listen("serve").await;
        for code in expected {
            let (status, body) = restored.exchange(&code).await;
            assert_eq!(status, 201, "a code is lost: {body} {}", restored.program.err());
        }
        let class = restored.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&student);
        assert_eq!(send(class).await.0, 200, "an enrollment is lost, or the key that signed the token");
    }
}

async fn integrity(file: &Path) -> Vec<String> {
    let database = Database::connect(format!("sqlite://{}?mode=ro", file.display())).await.unwrap();
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check");
    let rows = database.query_all_raw(check).await.unwrap();
    rows.iter().map(|row| row.try_get("", "integrity_check").unwrap()).collect()
}

#[tokio::test]
async fn backup_to_existing_path_is_refused() {
    let site = Site::new(Kind::Sqlite).await;
    site.run(&["migrate"]).await.success();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("copy.db");
    fs::write(&file, "mine").unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for taken in [&file, &link, directory.path(), &site.data().join("homeroom.db")] {
        assert!(backup(&site, taken).await.refusal().contains("exists"), "{}", taken.display());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(backup(&site, Path::new("/")).await.refusal().contains("--to"));
    assert_eq!(files_in(directory.path()), ["copy.db", "link.db"]);
}

#[tokio::test]
async fn backup_without_database_is_refused_and_creates_nothing() {
    let site = Site::bare();
    let directory = TempDir::new().unwrap();
    let ended = backup(&site, &directory.path().join("copy.db")).await;
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(ended.err.contains("there is no database"), "{ended:?}");
    assert!(files_in(directory.path()).is_empty() && !site.data().exists());
}

#[tokio::test]
async fn backup_that_is_damaged_or_cannot_be_written_leaves_no_file() {
    let site = Site::new(Kind::Sqlite).await;
    site.run(&["migrate"]).await.success();
    let directory = TempDir::new().unwrap();
    let ended = backup(&site, &directory.path().join("nowhere").join("copy.db")).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");

    let file = site.data().join("homeroom.db");
    // The last connection merges the write-ahead log into the file.
    Database::connect(format!("sqlite://{}", file.display())).await.unwrap().close().await.unwrap();
    let mut damaged = fs::read(&file).unwrap();
    // Overwrites all pages but the file header and the schema.
    damaged[8192..].fill(0x5a);
    fs::write(&file, damaged).unwrap();
    let ended = backup(&site, &directory.path().join("copy.db")).await;
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(files_in(directory.path()).is_empty(), "{ended:?}");
}

#[tokio::test]
async fn backup_of_postgresql_is_refused_and_names_pg_dump() {
    let site = Site::bare().with("HOMEROOM_DATABASE_URL", "postgres://homeroom:marked-secret@127.0.0.1:1/a");
    let line = backup(&site, Path::new("copy.db")).await.refusal();
    assert!(line.contains("pg_dump") && !line.contains("marked-secret"), "{line}");
}
