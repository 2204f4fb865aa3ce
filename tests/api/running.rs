//! The running server, with files, users and databases that change.

use std::{
    fs::{self, Permissions},
    io::ErrorKind,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use homeroom::db::{DatabaseUrl, Db, kind};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sea_orm::ConnectionTrait;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    Kind, PASSWORD, STUDENT, TEACHER, both,
    process::{Server, Site, send},
};

/// The files that SQLite keeps next to an open database.
fn wal_files(site: &Site) -> Vec<PathBuf> {
    let files = ["homeroom.db-wal", "homeroom.db-shm"].map(|name| site.data().join(name));
    files.into_iter().filter(|file| file.exists()).collect()
}

async fn stopped(server: Server) -> String {
    server.signal("TERM");
    let ended = server.program.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    ended.err
}

#[tokio::test]
async fn sqlite_file_after_each_command_is_complete_without_wal() {
    let site = Site::new(Kind::Sqlite).await;
    let copy = site.data().with_file_name("copy.db");
    for command in [
        "migrate",
        "app add --name A",
        "app add --name A --id 11111111-1111-1111-1111-111111111111",
        "app add --name B --id 11111111-1111-1111-1111-111111111111",
        "app list",
        "user list",
        "user unlock --email nobody@example.com",
        "class add --owner nobody@example.com --name A",
        "class list",
        "keys list",
        "doctor --listen 127.0.0.1:0",
        &format!("backup --to {}", copy.display()),
        "demo --listen 192.0.2.1:1",
        "serve --listen 192.0.2.1:1",
    ] {
        site.run(&command.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(wal_files(&site), [] as [&Path; 0], "{command}");
    }
    assert!(copy.exists());
}

#[tokio::test]
async fn sqlite_file_after_sighup_is_complete() {
    let site = Site::new(Kind::Sqlite).await;
    for signal in ["HUP", "INT"] {
        let server = site.listen("demo").await;
        server.signal(signal);
        let ended = server.program.end().await;
        assert_eq!((ended.status.code(), wal_files(&site)), (Some(0), Vec::new()), "{signal}");
    }
}

#[tokio::test]
async fn sqlite_file_after_sigterm_is_complete_without_wal() {
    let site = Site::new(Kind::Sqlite).await;
    let server = site.listen("demo").await;
    let token = server.token(&server.code(STUDENT, PASSWORD, false).await).await;
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let code = server.generate_join_code(&teacher).await;
    assert_eq!(server.join(&token, &code).await, 201);
    assert_eq!(wal_files(&site).len(), 2, "it is open");
    // The connection of a client that sends half a request is closed.
    let address = server.url.strip_prefix("http://").unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"POST /api/v1/codes HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
    stopped(server).await;
    drop(slow);
    assert_eq!(wal_files(&site), [] as [&Path; 0]);

    let elsewhere = Site::bare();
    fs::create_dir(elsewhere.data()).unwrap();
    fs::copy(site.data().join("homeroom.db"), elsewhere.data().join("homeroom.db")).unwrap();
    let classes = elsewhere.run(&["class", "list"]).await.success();
    assert_eq!(classes.lines().count(), 2, "{classes}");
    let restored = elsewhere.listen("demo").await;
    let token = restored.token(&restored.code(STUDENT, PASSWORD, false).await).await;
    assert_eq!(restored.join(&token, &code).await, 409, "the student has joined");
}

both! {
    async fn new_database_is_logged_once(kind: Kind) {
        let site = Site::new(kind).await;
        let named = match &site.location {
            DatabaseUrl::Sqlite(path) => path.display().to_string(),
            DatabaseUrl::Postgres(_) => "PostgreSQL".to_owned(),
        };
        let announced = |log: &str| {
            log.lines().any(|line| line.contains("a new, empty database was created") && line.contains(&named))
        };
        let server = site.listen("serve").await;
        let log = stopped(server).await;
        assert!(announced(&log), "{log}");
        let server = site.listen("serve").await;
        let log = stopped(server).await;
        assert!(!announced(&log), "{log}");
    }

    async fn demo_with_other_accounts_fails_and_changes_nothing(kind: Kind) {
        let site = Site::new(kind).await;
        stopped(site.listen("demo").await).await;
        stopped(site.listen("demo").await).await;
        site.add_user("teacher@school.example", PASSWORD).await.success();
        let line = site.run(&["demo", "--listen", "127.0.0.1:0"]).await.refusal();
        assert!(line.contains("other accounts") && line.contains("--data-dir"), "{line}");

        let school = Site::new(kind).await;
        school.add_user("teacher@school.example", PASSWORD).await.success();
        school.run(&["demo", "--listen", "127.0.0.1:0"]).await.refusal();
        assert_eq!(school.run(&["user", "list"]).await.success().lines().count(), 1);
        assert_eq!(school.run(&["app", "list"]).await.success(), "");
    }

    async fn serve_warns_of_enabled_demo_accounts(kind: Kind) {
        let site = Site::new(kind).await;
        stopped(site.listen("demo").await).await;
        let warned = async || {
            let log = stopped(site.listen("serve").await).await;
            let doctor = site.run(&["doctor", "--listen", "127.0.0.1:0"]).await.out;
            let line = doctor.lines().find(|line| line.contains("public password")).unwrap().to_owned();
            ["user@example.com", "student@example.com", "colleague@example.com"].map(|account| {
                let logged = log.lines().any(|line| line.contains("its password is public") && line.contains(account));
                assert_eq!(line.contains(account), logged, "{account}: {log} {doctor}");
                logged
            })
        };
        assert_eq!(warned().await, [true, true, true]);
        site.run(&["user", "set", "--email", "user@example.com", "--enabled", "false"]).await.success();
        let other = ["user", "set", "--email", "student@example.com", "--password"];
        site.run_saying(&other, "another password\n").await.success();
        assert_eq!(warned().await, [false, false, true]);
        site.run(&["user", "set", "--email", "colleague@example.com", "--enabled", "false"]).await.success();
        assert_eq!(warned().await, [false, false, false]);
    }
}

#[tokio::test]
async fn demo_uses_its_own_directory_and_warns_of_a_public_address() {
    let site = Site::bare().with("HOMEROOM_DATA_DIR", "");
    let server = site.listen("demo").await;
    let own = site.data().with_file_name("data-demo");
    assert!(own.join("homeroom.db").exists() && !site.data().exists());
    assert!(server.program.out().contains("data-demo/homeroom.db"), "{}", server.program.out());
    let log = stopped(server).await;
    assert!(!log.contains("public"), "{log}");
    assert!(!log.contains("sea_orm_migration"), "{log}");

    let everywhere = ["demo", "--listen", "0.0.0.0:0", "--public-url", "http://127.0.0.1"];
    let server = Site::listening(site.start(&everywhere, "")).await;
    let log = stopped(server).await;
    assert!(log.contains("every client that reaches this address"), "{log}");
}

#[tokio::test]
async fn ready_after_the_database_file_is_deleted_or_replaced_is_503() {
    for replace in [true, false] {
        let site = Site::new(Kind::Sqlite).await;
        let server = site.listen("demo").await;
        let file = site.data().join("homeroom.db");
        assert_eq!(send(server.get("/health/ready")).await.0, 200);
        if replace {
            let copy = file.with_file_name("copy.db");
            fs::copy(&file, &copy).unwrap();
            fs::rename(copy, &file).unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }
        assert_eq!(send(server.get("/health/ready")).await.0, 503, "{replace}");
        assert_eq!(send(server.get("/health/live")).await.0, 200, "{replace}");
        let health = ["health", "--listen", server.url.strip_prefix("http://").unwrap()];
        let ended = site.run(&health).await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    }
}

#[tokio::test]
async fn health_over_http_and_tls_reports_the_server() {
    let site = Site::new(Kind::Sqlite).await;
    let server = site.listen("serve").await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(site.run(&["health", "--listen", &address]).await.success(), format!("{address} is ready\n"));
    let port = address.rsplit(':').next().unwrap();
    site.run(&["health", "--listen", &format!("0.0.0.0:{port}")]).await.success();
    stopped(server).await;
    let ended = site.run(&["health", "--listen", &address]).await;
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(ended.err.contains("refused") && ended.out.is_empty(), "{ended:?}");

    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["school.example".to_owned()]).unwrap();
    let (certificate, key) = (site.data().join("tls.pem"), site.data().join("tls.key"));
    fs::write(&certificate, cert.pem()).unwrap();
    fs::write(&key, signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
    let server = Site::listening(site.start(&serve, "")).await;
    let address = server.url.strip_prefix("https://").unwrap().to_owned();
    site.run(&["health", "--listen", &address, "--tls-cert", certificate]).await.success();
    // Plain HTTP to a TLS port fails.
    assert_eq!(site.run(&["health", "--listen", &address]).await.status.code(), Some(1));
    let asking = site.with("HOMEROOM_LISTEN", &address).with("HOMEROOM_TLS_CERT", certificate);
    asking.run(&["health"]).await.success();
}

#[tokio::test]
async fn health_of_another_program_fails_in_time() {
    let site = Site::bare();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let began = std::time::Instant::now();
    let ended = site.run(&["health", "--listen", &address]).await;
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn serve_with_files_of_other_users_fails() {
    let site = Site::new(Kind::Sqlite).await;
    let keys = site.data().join("keys");
    fs::set_permissions(&keys, Permissions::from_mode(0o700)).unwrap();
    let key = fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let database = site.data().join("homeroom.db");
    site.run(&["migrate"]).await.success();
    let refused = async |path: &Path, remedy: &str| {
        for command in ["serve", "demo"] {
            let ended = site.run(&[command, "--listen", "127.0.0.1:0"]).await;
            assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
            assert!(ended.err.contains(path.to_str().unwrap()) && ended.err.contains(remedy), "{ended:?}");
        }
        let doctor = site.run(&["doctor", "--listen", "127.0.0.1:0"]).await;
        assert!(doctor.status.code() == Some(1) && doctor.out.contains(remedy), "{doctor:?}");
    };
    let data = site.data().to_owned();
    for (path, right) in [(&data, 0o700), (&keys, 0o700), (&key, 0o600), (&database, 0o600)] {
        for mode in [right | 0o020, right | 0o002, 0o777] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            refused(path, &format!("chmod {right:o} {}", path.display())).await;
        }
        // Files that others may only read do not prevent the start.
        fs::set_permissions(path, Permissions::from_mode(right | 0o044)).unwrap();
        stopped(site.listen("serve").await).await;
        fs::set_permissions(path, Permissions::from_mode(right)).unwrap();
        let own = fs::metadata(path).unwrap();
        match chown(path, Some(12_345), None) {
            Ok(()) => {
                refused(path, "is owned by the user 12345").await;
                chown(path, Some(std::os::unix::fs::MetadataExt::uid(&own)), None).unwrap();
            }
            // Only root can change the owner of a file.
            Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
        }
    }
    stopped(site.listen("serve").await).await;
}

#[tokio::test]
async fn serve_with_non_utf_8_postgresql_fails() {
    let DatabaseUrl::Postgres(url) = Kind::Postgres.location(Path::new("")).await else { unreachable!() };
    let db = Db::connect(&url.parse().unwrap()).await.unwrap();
    let mut named = url::Url::parse(&url).unwrap();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}_{}", named.path().trim_start_matches('/'), encoding.to_lowercase());
        let create = format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        db.writer().execute_unprepared(&create).await.unwrap();
        named.set_path(&name);
        let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_DATABASE_URL", named.as_str());
        for command in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let ended = site.run(command).await;
            assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
            assert!(ended.err.contains(encoding) && ended.err.contains("UTF8"), "{ended:?}");
        }
        named.set_path(url::Url::parse(&url).unwrap().path());
    }
}

#[tokio::test]
async fn postgresql_url_in_every_form_connects() {
    let DatabaseUrl::Postgres(url) = Kind::Postgres.location(Path::new("")).await else { unreachable!() };
    let parsed = url::Url::parse(&url).unwrap();
    let (user, port, name) = (parsed.username(), parsed.port().unwrap(), parsed.path());
    let password = parsed.password().map_or_else(String::new, |password| format!(":{password}"));
    let host = parsed.host_str().unwrap();
    for form in [
        format!("postgres://{user}{password}@{name}?host={host}&port={port}"),
        format!("postgres://{user}{password}@:{port}{name}?host={host}"),
        format!(
            "postgres://db.invalid:{port}{name}?host={host}&user={user}&password={}",
            password.trim_start_matches(':')
        ),
    ] {
        let db = Db::connect(&form.parse().unwrap()).await.unwrap();
        db.ping().await.unwrap();
    }
}

#[tokio::test]
async fn postgresql_error_is_reported_without_source_line() {
    let DatabaseUrl::Postgres(url) = Kind::Postgres.location(Path::new("")).await else { unreachable!() };
    let db = Db::connect(&url.parse().unwrap()).await.unwrap();
    let error = db.writer().execute_unprepared("SELECT * FROM nowhere").await.unwrap_err();
    assert_eq!(kind(&error), homeroom::db::ErrorKind::Other);
    let causes = homeroom::db::causes(&error);
    assert!(causes.ends_with("relation \"nowhere\" does not exist"), "{causes}");
}

#[tokio::test]
async fn postgresql_job_is_repeated_only_if_the_server_says_that_it_changed_nothing() {
    let DatabaseUrl::Postgres(url) = Kind::Postgres.location(Path::new("")).await else { unreachable!() };
    let db = Db::connect(&url.parse().unwrap()).await.unwrap();
    // serialization_failure, deadlock_detected, internal_error; query_canceled, raise_exception
    for (code, attempts) in [("40001", 3), ("40P01", 3), ("XX000", 3), ("57014", 1), ("P0001", 1)] {
        let made = Arc::new(AtomicU32::new(0));
        let job = (made.clone(), format!("DO $$ BEGIN RAISE 'refused' USING ERRCODE = '{code}'; END $$"));
        let outcome = db.transaction(job, |db, (made, refused)| {
            Box::pin(async move {
                if made.fetch_add(1, Ordering::Relaxed) < 2 {
                    db.execute_unprepared(refused).await?;
                }
                Ok(())
            })
        });
        assert_eq!(outcome.await.is_ok(), attempts == 3, "{code}");
        assert_eq!(made.load(Ordering::Relaxed), attempts, "{code}");
    }
}
