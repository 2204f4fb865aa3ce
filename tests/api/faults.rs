//! Failures of the database: no acknowledged change is lost, no change is made twice, and the status is 503, never 500.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use homeroom::{
    db::Db,
    entity::{authorization_code, enrollment, join_code, policy_acceptance},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait, TransactionTrait};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::{
    APP, COLLEAGUE, Kind, OTHER_CLASS, OWN_CLASS, PASSWORD, STUDENT, TEACHER, both, exchange_body,
    process::{Server, Site, send},
    proxy::Proxy,
    sign_in_body,
};

/// Requests a join code for the teacher's class, and returns the status.
async fn try_generate(server: &Server, token: &str) -> u16 {
    send(server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(token)).await.0
}

/// A server that reaches PostgreSQL through a [`Proxy`].
async fn server_behind_proxy() -> (Site, Proxy, Server, Db) {
    let site = Site::new(Kind::Postgres).await;
    let db = Db::connect(&site.location).await.unwrap();
    let proxy = Proxy::to(&site.location).await;
    let homeroom::db::DatabaseUrl::Postgres(url) = &proxy.location else { unreachable!() };
    let site = site.with("HOMEROOM_DATABASE_URL", url);
    let server = site.listen("demo").await;
    let app = APP.to_string();
    site.run(&["app", "set", &app, "--policy-version", "1"]).await.success();
    (site, proxy, server, db)
}

/// The stored join code of the teacher's class.
async fn stored_code(db: &Db) -> Option<String> {
    let row = join_code::Entity::find_by_id(OWN_CLASS).one(db.read()).await.unwrap();
    row.map(|row| row.code.expose().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_whose_answer_is_lost_is_503_and_is_not_repeated() {
    let (_site, proxy, server, db) = server_behind_proxy().await;
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let student = server.token(&server.code(STUDENT, PASSWORD, false).await).await;
    let codes = authorization_code::Entity::find().count(db.read()).await.unwrap();

    proxy.lose_response_to("COMMIT");
    assert_eq!(server.try_sign_in(STUDENT, PASSWORD, true).await.0, 503);
    assert_eq!(authorization_code::Entity::find().count(db.read()).await.unwrap(), codes + 1);
    assert_eq!(policy_acceptance::Entity::find().count(db.read()).await.unwrap(), 1);

    proxy.lose_response_to("INSERT INTO join_codes");
    assert_eq!(try_generate(&server, &teacher).await, 503);
    let join_code = stored_code(&db).await.unwrap();
    proxy.lose_response_to("COMMIT");
    assert_eq!(server.join(&student, &join_code).await, 503);
    // The change was made before the answer was lost.
    assert_eq!(server.join(&student, &join_code).await, 409);
    assert_eq!(enrollment::Entity::find().count(db.read()).await.unwrap(), 1);
    assert_eq!(proxy.lost(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnect_during_begin_leaves_no_transaction_open() {
    let (site, proxy, server, db) = server_behind_proxy().await;
    drop(server);
    let server = Arc::new(site.with("HOMEROOM_DATABASE_CONNECTIONS", "1").listen("serve").await);
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    for _ in 0..3 {
        let signing_in = tokio::spawn({
            let server = server.clone();
            async move { server.try_sign_in(STUDENT, PASSWORD, true).await }
        });
        proxy.slow_down("BEGIN").await;
        signing_in.abort();
        assert!(signing_in.await.unwrap_err().is_cancelled());
        // The pool has one connection.
        let join_code = server.generate_join_code(&teacher).await;
        assert_eq!(stored_code(&db).await, Some(join_code), "an acknowledged change is committed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redeem_code_whose_commit_is_lost_is_503_and_then_400() {
    let (_site, proxy, server, _store) = server_behind_proxy().await;
    let code = server.code(TEACHER, PASSWORD, false).await;
    // Without its commit the redemption is rolled back, with it the code is redeemed.
    for (lost, words) in ["UPDATE \"authorization_codes\"", "COMMIT"].into_iter().enumerate() {
        proxy.lose_response_to(words);
        let answer = server.post("/api/v1/tokens").json(&exchange_body(&code)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 503, "{words}");
        assert!(answer.headers().contains_key("Retry-After"), "{words}");
        assert_eq!(proxy.lost(), lost + 1, "{words}");
    }
    assert_eq!(server.exchange(&code).await.0, 400, "the code is redeemed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_while_idle_next_requests_succeed() {
    let site = Site::new(Kind::Postgres).await.with("HOMEROOM_DATABASE_CONNECTIONS", "1");
    let server = site.listen("demo").await;
    let db = Db::connect(&site.location).await.unwrap();
    let cut = async || {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        db.writer().execute_unprepared(cut).await.unwrap();
        // The pool tests a connection that was idle for a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    };
    cut().await;
    let code = server.code(TEACHER, PASSWORD, false).await;
    cut().await;
    let teacher = server.token(&code).await;
    cut().await;
    let join_code = server.generate_join_code(&teacher).await;
    let student = server.token(&server.code(STUDENT, PASSWORD, false).await).await;
    cut().await;
    assert_eq!(server.join(&student, &join_code).await, 201);
    cut().await;
    assert_eq!(send(server.get("/health/ready")).await.0, 200);
}

both! {
    async fn write_while_database_is_locked_is_503_and_reads_succeed(kind: Kind) {
        let site = Site::new(kind).await;
        let server = Arc::new(site.listen("demo").await);
        let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let db = Db::connect(&site.location).await.unwrap();
        server.generate_join_code(&teacher).await;
        // This locks the whole database on SQLite, and the class's join code on PostgreSQL.
        let lock = db.writer().begin().await.unwrap();
        lock.execute_unprepared("UPDATE join_codes SET code = code").await.unwrap();
        let generating: Vec<_> = (0..4)
            .map(|_| {
                let (server, teacher) = (server.clone(), teacher.clone());
                tokio::spawn(async move { try_generate(&server, &teacher).await })
            })
            .collect();
        for task in generating {
            assert_eq!(task.await.unwrap(), 503);
        }
        // Reads succeed.
        assert_eq!(send(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await.0, 200);
        // A sign-in writes its reservation before it verifies the password.
        let refused = if kind == Kind::Sqlite { 503 } else { 400 };
        assert_eq!(server.try_sign_in(TEACHER, "wrong", false).await.0, refused);
        lock.rollback().await.unwrap();
        assert_eq!(try_generate(&server, &teacher).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_runs_to_its_end_when_client_disconnects() {
    let (_site, proxy, server, db) = server_behind_proxy().await;
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let first = server.generate_join_code(&teacher).await;
    let server = Arc::new(server);
    let generating = tokio::spawn({
        let (server, teacher) = (server.clone(), teacher.clone());
        async move { try_generate(&server, &teacher).await }
    });
    proxy.slow_down("INSERT INTO join_codes").await;
    generating.abort();
    assert!(generating.await.unwrap_err().is_cancelled(), "the request was answered");
    let changed = async {
        while stored_code(&db).await.as_deref() == Some(&first) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), changed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generate_join_code_of_locked_class_is_503_and_of_other_class_succeeds() {
    let site = Site::new(Kind::Postgres).await;
    let server = Arc::new(site.listen("demo").await);
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let colleague = server.token(&server.code(COLLEAGUE, PASSWORD, false).await).await;
    let db = Db::connect(&site.location).await.unwrap();
    server.generate_join_code(&teacher).await;
    let lock = db.writer().begin().await.unwrap();
    lock.execute_unprepared("UPDATE join_codes SET code = code").await.unwrap();
    let generating: Vec<_> = (0..16)
        .map(|number| {
            let (class, token) =
                if number % 2 == 0 { (OWN_CLASS, &teacher) } else { (OTHER_CLASS, &colleague) };
            let generate = server.post(&format!("/classes/{class}/join-code")).bearer_auth(token);
            (class, tokio::spawn(send(generate)))
        })
        .collect();
    for (class, task) in generating {
        assert_eq!(task.await.unwrap().0, if class == OWN_CLASS { 503 } else { 200 });
    }
    lock.rollback().await.unwrap();
    assert_eq!(try_generate(&server, &teacher).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_to_full_disk_is_503_and_changes_nothing() {
    let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_JOIN_CODE_RATE", "0");
    drop(site.listen("demo").await);
    site.run(&["app", "set", &APP.to_string(), "--policy-version", "1"]).await.success();
    let server = site.listen_within(512, "serve").await;
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let db = Db::connect(&site.location).await.unwrap();

    let mut generated = None;
    let mut refused = 0;
    for _ in 0..1000 {
        let generate = server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(&teacher);
        match send(generate).await {
            (200, body) => generated = Some(body["data"]["joinCode"].as_str().unwrap().to_owned()),
            (503, _) => refused += 1,
            other => panic!("{other:?}"),
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "the file could grow");
    let before = authorization_code::Entity::find().count(db.read()).await.unwrap();
    let mut body = sign_in_body(STUDENT);
    body["acceptPrivacyPolicy"] = true.into();
    for _ in 0..3 {
        let answer = server.post("/api/v1/codes").json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 503);
        assert!(answer.headers().contains_key("Retry-After"));
    }
    // Reads succeed, and show the last acknowledged change.
    let class = send(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await;
    assert_eq!(class.1["data"]["joinCode"].as_str(), generated.as_deref());
    assert_eq!(send(server.get("/health/live")).await.0, 200);
    assert_eq!(authorization_code::Entity::find().count(db.read()).await.unwrap(), before);
    assert_eq!(policy_acceptance::Entity::find().count(db.read()).await.unwrap(), 0);

    server.lift();
    assert_eq!(server.try_sign_in(STUDENT, PASSWORD, true).await.0, 201);
    let generated = server.generate_join_code(&teacher).await;
    // Writes are durable again, and other processes can write.
    let server = server.crash(&site).await;
    assert_eq!(policy_acceptance::Entity::find().count(db.read()).await.unwrap(), 1);
    let class = send(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await;
    assert_eq!(class.1["data"]["joinCode"].as_str(), Some(generated.as_str()));
}

/// A named pipe without a writer blocks a reader for ever, as a network mount without its server does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_directory_that_blocks_delays_no_response_and_no_shutdown() {
    let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_JOIN_CODE_RATE", "0");
    let server = Arc::new(site.listen("demo").await);
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let [pipe, unknown] = ["01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"];
    let pipe = site.data().join("keys").join(format!("{pipe}.pem"));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": unknown }).to_string();
    let unknown_key = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header));
    let requests: Vec<_> = (0..16)
        .map(|_| {
            let (server, unknown_key) = (server.clone(), unknown_key.clone());
            tokio::spawn(async move { try_generate(&server, &unknown_key).await })
        })
        .collect();
    while !requests.iter().all(JoinHandle::is_finished) {
        assert_eq!(send(server.get("/health/live")).await.0, 200);
        assert_eq!(try_generate(&server, &teacher).await, 200);
    }
    for task in requests {
        assert_eq!(task.await.unwrap(), 401);
    }
    server.signal("TERM");
    let ended = Arc::into_inner(server).unwrap().program.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}
