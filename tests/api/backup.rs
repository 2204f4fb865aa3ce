//! `homeroom backup`: what it copies beside a server that writes, and what it refuses.

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
    process::{Ended, Site, heard},
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

/// Another site on a copy of the database, with the same keys.
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
async fn everything_acknowledged_before_a_backup_began_is_in_it_while_the_server_goes_on_writing() {
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
        // Something new is acknowledged, and more is on its way.
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
    assert!(codes().len() > copies.last().unwrap().1.len(), "nothing was written meanwhile");
    assert_eq!(files_in(directory.path()), ["1.db", "2.db", "3.db"], "and nothing beside them");

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
        assert_eq!(heard(class).await.0, 200, "an enrollment is lost, or the key that signed the token");
    }
}

async fn integrity(file: &Path) -> Vec<String> {
    let database = Database::connect(format!("sqlite://{}?mode=ro", file.display())).await.unwrap();
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check");
    let rows = database.query_all_raw(check).await.unwrap();
    rows.iter().map(|row| row.try_get("", "integrity_check").unwrap()).collect()
}

#[tokio::test]
async fn what_is_there_already_is_not_overwritten() {
    let site = Site::new(Kind::Sqlite).await;
    site.run(&["migrate"]).await.success();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("copy.db");
    fs::write(&file, "mine").unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for taken in [&file, &link, directory.path(), &site.data().join("homeroom.db")] {
        assert!(backup(&site, taken).await.refusal().contains("there already"), "{}", taken.display());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(backup(&site, Path::new("/")).await.refusal().contains("--to"));
    assert_eq!(files_in(directory.path()), ["copy.db", "link.db"]);
}

#[tokio::test]
async fn where_there_is_nothing_to_copy_nothing_is_made() {
    let site = Site::bare();
    let directory = TempDir::new().unwrap();
    let ended = backup(&site, &directory.path().join("copy.db")).await;
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(ended.err.contains("there is no database"), "{ended:?}");
    assert!(files_in(directory.path()).is_empty() && !site.data().exists());
}

#[tokio::test]
async fn a_copy_that_would_be_damaged_or_cannot_be_written_is_none() {
    let site = Site::new(Kind::Sqlite).await;
    site.run(&["migrate"]).await.success();
    let directory = TempDir::new().unwrap();
    let ended = backup(&site, &directory.path().join("nowhere").join("copy.db")).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");

    let file = site.data().join("homeroom.db");
    // The last connection to be closed takes the log into the file.
    Database::connect(format!("sqlite://{}", file.display())).await.unwrap().close().await.unwrap();
    let mut damaged = fs::read(&file).unwrap();
    // All pages but the first, which says that this is a database, and the schema.
    damaged[8192..].fill(0x5a);
    fs::write(&file, damaged).unwrap();
    let ended = backup(&site, &directory.path().join("copy.db")).await;
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(files_in(directory.path()).is_empty(), "{ended:?}");
}

#[tokio::test]
async fn postgresql_has_a_program_of_its_own_for_it() {
    let site = Site::bare().with("HOMEROOM_DATABASE_URL", "postgres://homeroom:marked-secret@127.0.0.1:1/a");
    let line = backup(&site, Path::new("copy.db")).await.refusal();
    assert!(line.contains("pg_dump") && !line.contains("marked-secret"), "{line}");
}
