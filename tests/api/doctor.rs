//! `homeroom doctor`.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{Datelike, TimeDelta};
use homeroom::{
    clock::{Clock, SystemClock},
    db::DatabaseUrl,
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};

use crate::support::{
    PASSWORD, PUBLIC_URL, TEACHER, both,
    process::{Ended, Site},
};

/// Flags with a valid address.
const DOCTOR: [&str; 5] = ["doctor", "--listen", "127.0.0.1:0", "--public-url", PUBLIC_URL];

async fn doctor(site: &Site) -> Ended {
    site.run(&DOCTOR).await
}

/// The verdict and the remedy of the first line that contains `what`.
fn verdict<'a>(ended: &'a Ended, what: &str) -> (&'a str, &'a str) {
    let mut lines = ended.out.lines();
    let line = lines.find(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what}: {ended:?}"));
    let remedy = lines.next().and_then(|line| line.trim().strip_prefix("-> "));
    (line.split(' ').next().unwrap(), remedy.unwrap_or_default())
}

/// The remedy of a problem that makes the command fail.
fn wrong<'a>(ended: &'a Ended, what: &str) -> &'a str {
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    let (verdict, remedy) = verdict(ended, what);
    assert!(verdict == "WRONG" && !remedy.is_empty(), "{ended:?}");
    remedy
}

/// The remedy of a warning.
fn warning<'a>(ended: &'a Ended, what: &str) -> &'a str {
    let (verdict, remedy) = verdict(ended, what);
    assert!(verdict == "warning" && !remedy.is_empty(), "{ended:?}");
    remedy
}

fn well(ended: &Ended, what: &str) {
    assert_eq!(verdict(ended, what).0, "ok", "{ended:?}");
}

/// All entries of a directory: mode, time of modification, and content.
fn everything_in(directory: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.metadata().unwrap();
        let content = if path.is_dir() {
            found.extend(everything_in(&path));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(path, (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
    }
    found
}

/// Executes a statement on the database of the server.
async fn execute(site: &Site, sql: &str) {
    let url = match &site.location {
        DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        DatabaseUrl::Postgres(url) => url.clone(),
    };
    let database = Database::connect(url).await.unwrap();
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
}

fn database_file(site: &Site) -> PathBuf {
    site.data().join("homeroom.db")
}

fn key_file(site: &Site) -> PathBuf {
    fs::read_dir(site.data().join("keys")).unwrap().next().unwrap().unwrap().path()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A site without problems.
async fn sound(kind: crate::support::Kind) -> Site {
    let site = Site::new(kind).await;
    set_mode(site.data(), 0o700);
    set_mode(&site.data().join("keys"), 0o700);
    set_mode(&key_file(&site), 0o600);
    site.run(&["migrate"]).await.success();
    site
}

both! {
    async fn doctor_of_a_sound_server_finds_nothing_wrong(kind: Kind) {
        let site = sound(kind).await;
        let at_rest = doctor(&site).await;
        let server = site.listen("demo").await;
        let running = doctor(&site).await;
        server.try_sign_in(TEACHER, PASSWORD, false).await;
        drop(server);
        let after_a_crash = doctor(&site).await;
        for ended in [at_rest, running, after_a_crash] {
            assert_eq!(ended.status.code(), Some(0), "{ended:?}");
            assert!(!ended.out.contains("\nWRONG") && !ended.out.contains("\nskipped"), "{ended:?}");
            for what in ["public URL", "listen", "clock", "data directory", "disk", " signs, and is", "database",
                "up to date", "known answers", "memory", "open files"] {
                // The test key is old, and the test machine may be small.
                assert!(["ok", "warning"].contains(&verdict(&ended, what).0), "{what}: {ended:?}");
            }
            for what in ["public URL", "data directory", "up to date", "known answers"] {
                well(&ended, what);
            }
        }
    }

    async fn doctor_changes_nothing(kind: Kind) {
        let site = sound(kind).await;
        // A reader creates an empty write-ahead log (`-wal`) and its index (`-shm`), which contain no data.
        let files = || {
            let mut files = everything_in(site.data());
            files.remove(&site.data().join("homeroom.db-shm"));
            files.retain(|path, (.., content)| !(path.ends_with("homeroom.db-wal") && content.is_empty()));
            files
        };
        let before = files();
        doctor(&site).await.success();
        assert!(files() == before, "at rest");

        let server = site.listen("demo").await;
        server.try_sign_in(TEACHER, PASSWORD, false).await;
        drop(server);
        let before = files();
        // A killed server leaves its write-ahead log.
        assert_eq!(before.contains_key(&site.data().join("homeroom.db-wal")), kind == crate::support::Kind::Sqlite);
        doctor(&site).await.success();
        assert!(files() == before, "after a crash");
    }

    async fn doctor_schema_behind_or_ahead_is_a_warning(kind: Kind) {
        let site = sound(kind).await;
        execute(&site, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2099_later', 0)").await;
        let ended = doctor(&site).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(warning(&ended, "newer than this binary, by m2099_later").contains("goes on working"));
        execute(&site, "DELETE FROM seaql_migrations WHERE version LIKE '%_classroom' OR version LIKE 'm2099%'").await;
        let ended = doctor(&site).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(warning(&ended, "these migrations are missing: m").contains("homeroom migrate"));
        execute(&site, "DROP TABLE seaql_migrations").await;
        well(&doctor(&site).await, "the first start creates it");
    }
}

#[tokio::test]
async fn doctor_of_a_new_server_creates_nothing() {
    let site = Site::bare();
    let ended = doctor(&site).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(warning(&ended, "data directory").contains("--data-dir"));
    assert_eq!(verdict(&ended, "signing keys").0, "skipped");
    warning(&ended, "homeroom.db");
    assert_eq!(verdict(&ended, "schema").0, "skipped");
    assert!(!site.data().exists());
}

#[tokio::test]
async fn doctor_invalid_certificate_or_readable_key_is_wrong() {
    let site = Site::bare();
    let (certificate, key) = (site.data().with_file_name("tls.pem"), site.data().with_file_name("tls.key"));
    // Midnight, `days` from today.
    let on = |days| {
        let day = SystemClock.now().date_naive() + TimeDelta::days(days);
        date_time_ymd(day.year(), day.month().try_into().unwrap(), day.day().try_into().unwrap())
    };
    let doctor = async |from: i64, until: i64| {
        let mut wanted = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (wanted.not_before, wanted.not_after) = (on(from), on(until));
        let pair = KeyPair::generate().unwrap();
        fs::write(&certificate, wanted.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        set_mode(&key, 0o600);
        site.run(&["doctor", "--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()])
            .await
    };
    well(&doctor(0, 16).await, "is valid from");
    assert_eq!(warning(&doctor(0, 13).await, "is valid from"), "renew it");
    for (from, until) in [(-2, -1), (2, 3)] {
        wrong(&doctor(from, until).await, "is valid from");
    }
    set_mode(&key, 0o644);
    let arguments =
        ["doctor", "--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    assert_eq!(
        wrong(&site.run(&arguments).await, "tls.key (mode 644)"),
        format!("chmod 600 {}", key.display())
    );
}

#[tokio::test]
async fn doctor_unusable_address_is_wrong_and_public_one_is_a_warning() {
    let site = Site::bare();
    let ended = site.run(&["doctor", "--listen", "0.0.0.0:0"]).await;
    assert!(wrong(&ended, "public URL").contains("--public-url"));
    // An address for documentation (RFC 5737), which no machine has.
    let ended = site.run(&["doctor", "--listen", "192.0.2.1:0"]).await;
    wrong(&ended, "192.0.2.1:0: ");
    warning(&ended, "http://192.0.2.1:0/ is not https");

    let server = site.listen("serve").await;
    let taken = server.url.strip_prefix("http://").unwrap();
    let ended = site.run(&["doctor", "--listen", taken]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    warning(&ended, &format!("{taken} is taken"));
    well(&ended, &format!("http://{taken}/, for this machine alone"));

    let ended =
        site.run(&["doctor", "--listen", "127.0.0.1:65000", "--metrics-listen", "127.0.0.1:65000"]).await;
    assert!(wrong(&ended, "the server's own").contains("--metrics-listen"));
    let everywhere = ["--public-url", "https://a.example", "--listen", "0.0.0.0:65000"];
    let ended =
        site.run(&[&["doctor", "--metrics-listen", "127.0.0.1:65000"], &everywhere[..]].concat()).await;
    assert!(wrong(&ended, "the server's own").contains("--metrics-listen"));
    let ended = site.run(&["doctor", "--metrics-listen", "0.0.0.0:0"]).await;
    assert!(warning(&ended, "needs no password").contains("an inner address"));
    well(&site.run(&["doctor", "--metrics-listen", "127.0.0.1:0"]).await, "127.0.0.1:0 is free");

    assert!(site.run(&["doctor", "--listen", "nowhere"]).await.refusal().contains("--listen"));
}

#[tokio::test]
async fn doctor_open_permissions_are_reported_with_the_remedy() {
    let site = sound(crate::support::Kind::Sqlite).await;
    let (data, keys) = (site.data().to_owned(), site.data().join("keys"));
    for (path, mode, right, is_wrong) in [
        (database_file(&site), 0o644, 0o600, true),
        (database_file(&site), 0o660, 0o600, true),
        (database_file(&site), 0o640, 0o600, false),
        (key_file(&site), 0o604, 0o600, true),
        (key_file(&site), 0o640, 0o600, false),
        (keys.clone(), 0o777, 0o700, true),
        (keys.clone(), 0o770, 0o700, true),
        (keys, 0o755, 0o700, false),
        (data.clone(), 0o702, 0o700, true),
        (data.clone(), 0o770, 0o700, true),
        (data, 0o750, 0o700, false),
    ] {
        set_mode(&path, mode);
        let ended = doctor(&site).await;
        let what = format!("{} (mode {mode:o})", path.display());
        let remedy = if is_wrong { wrong(&ended, &what) } else { warning(&ended, &what) };
        assert_eq!(remedy, format!("chmod {right:o} {}", path.display()));
        set_mode(&path, right);
        // If no server runs, SQLite creates the log with the mode that the database file has then.
        for file in ["homeroom.db-wal", "homeroom.db-shm"].map(|name| site.data().join(name)) {
            if file.exists() {
                set_mode(&file, 0o600);
            }
        }
    }
    doctor(&site).await.success();
}

#[tokio::test]
async fn doctor_unusable_data_directory_is_wrong() {
    let site = Site::bare();
    let file = site.data().parent().unwrap().join("file");
    fs::write(&file, "").unwrap();
    for (directory, what) in [(file.clone(), "is a file"), (file.join("below"), "below: ")] {
        let ended = site.run(&[&DOCTOR[..], &["--data-dir", directory.to_str().unwrap()]].concat()).await;
        wrong(&ended, what);
    }
}

/// The root page of a table in a SQLite file with pages of 4096 bytes.
async fn root_page(file: &Path, table: &str) -> i64 {
    let database = Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    let query = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'");
    let row =
        database.query_one_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap().unwrap();
    database.close().await.unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn doctor_damaged_database_is_wrong() {
    let site = sound(crate::support::Kind::Sqlite).await;
    let file = database_file(&site);
    // The last connection that closes copies the log into the file.
    execute(&site, "PRAGMA user_version").await;
    let sound = fs::read(&file).unwrap();
    let mut damaged = sound.clone();
    // Only the page of a table is damaged.
    let page = usize::try_from(root_page(&file, "users").await).unwrap() * 4096;
    damaged[page - 4096..page].fill(0x5a);
    fs::write(&file, &damaged).unwrap();
    let ended = doctor(&site).await;
    assert!(wrong(&ended, "SQLite").contains("backup"), "{ended:?}");

    fs::write(&file, "This is no database, and it is long enough to be looked at as one. ".repeat(64))
        .unwrap();
    let ended = doctor(&site).await;
    wrong(&ended, "SQLite");
    assert!(!ended.out.contains("long enough"), "{ended:?}");

    fs::write(&file, &sound).unwrap();
    well(&doctor(&site).await, "undamaged");
}

#[tokio::test]
async fn doctor_pipe_among_the_keys_is_wrong_and_does_not_block() {
    let site = sound(crate::support::Kind::Sqlite).await;
    let pipe = site.data().join("keys/pipe.pem");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let what = "pipe.pem is no file";
    assert_eq!(wrong(&doctor(&site).await, what), "remove it");
}

#[tokio::test]
async fn doctor_missing_old_or_future_keys_are_reported_without_content() {
    let site = sound(crate::support::Kind::Sqlite).await;
    // The test key was created in 1970.
    assert!(warning(&doctor(&site).await, " signs, and is ").contains("keys rotate"));

    let keys = site.data().join("keys");
    fs::write(keys.join("notes.txt"), "marked-secret").unwrap();
    fs::write(keys.join("01a00000-0000-7000-8000-000000000000.pem"), "marked-secret").unwrap();
    let ended = doctor(&site).await;
    warning(&ended, "01a00000-0000-7000-8000-000000000000.pem, notes.txt");
    assert!(!format!("{ended:?}").contains("marked-secret"), "{ended:?}");

    let file = key_file_named(&keys, "00000000");
    let future = keys.join("ff000000-0000-7000-8000-000000000000.pem");
    fs::copy(&file, &future).unwrap();
    warning(&doctor(&site).await, "was made in the future");
    fs::remove_file(&future).unwrap();

    let written = file.metadata().unwrap().modified().unwrap();
    File::open(&file).unwrap().set_modified(written + Duration::from_hours(2)).unwrap();
    assert!(warning(&doctor(&site).await, "was written at").contains("clock"));

    fs::remove_file(file).unwrap();
    assert!(wrong(&doctor(&site).await, "none in").contains("it would create another key"));
    fs::remove_file(keys.join("01a00000-0000-7000-8000-000000000000.pem")).unwrap();
    assert!(warning(&doctor(&site).await, "there is none in").contains("restore"));
    fs::remove_dir_all(keys).unwrap();
    assert!(warning(&doctor(&site).await, "there is no").contains("restore"));
}

fn key_file_named(keys: &Path, prefix: &str) -> PathBuf {
    let mut paths = fs::read_dir(keys).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).unwrap()
}

#[tokio::test]
async fn doctor_unreachable_database_is_wrong_without_its_password() {
    let url = |port| format!("postgres://homeroom:marked-secret@127.0.0.1:{port}/homeroom");
    let reachable = crate::support::Kind::Postgres.location(Path::new("")).await;
    let DatabaseUrl::Postgres(reachable) = reachable else { unreachable!() };
    let port = url::Url::parse(&reachable).unwrap().port().unwrap();
    for (url, what) in [(url(1), "refused"), (url(port), "password authentication failed")] {
        let ended = doctor(&Site::bare().with("HOMEROOM_DATABASE_URL", &url)).await;
        wrong(&ended, what);
        assert_eq!(verdict(&ended, "schema").0, "skipped");
        assert!(!ended.out.contains(" at line "), "{ended:?}");
        assert!(!format!("{ended:?}").contains("marked-secret"), "{ended:?}");
    }
    let ended = doctor(&Site::bare().with("HOMEROOM_DATABASE_URL", "mysql://a:marked-secret@b/c")).await;
    wrong(&ended, "a database URL is");
    assert!(!format!("{ended:?}").contains("marked-secret"), "{ended:?}");
}

#[tokio::test]
async fn doctor_read_only_or_unsafe_postgresql_is_reported() {
    let site = sound(crate::support::Kind::Postgres).await;
    let DatabaseUrl::Postgres(url) = &site.location else { unreachable!() };
    let name = url.rsplit('/').next().unwrap();
    let set = |setting: &str| format!("ALTER DATABASE {name} SET {setting}");
    well(&doctor(&site).await, "read committed");
    well(&doctor(&site).await, "clocks");
    assert!(!doctor(&site).await.out.contains("not encrypted"), "it is the same machine");
    well(&doctor(&site).await, "connections are in use");

    execute(&site, &set("default_transaction_isolation = 'serializable'")).await;
    well(&doctor(&site).await, "serializable");
    execute(&site, &set("synchronous_commit = off")).await;
    assert!(warning(&doctor(&site).await, "lost in a crash").contains("synchronous_commit"));
    execute(&site, &set("default_transaction_read_only = on")).await;
    wrong(&doctor(&site).await, "refuses to write");
}
