//! What happens when the database fails: nothing that was acknowledged is lost, nothing is done twice, and nobody is told
//! that it is a fault of ours.

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
    process::{Server, Site, heard},
    proxy::Proxy,
    sign_in_body,
};

/// Tries to draw a join code for the teacher's class.
async fn try_draw(server: &Server, token: &str) -> u16 {
    heard(server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(token)).await.0
}

/// A server over PostgreSQL by a way that loses answers, with a database of its own.
async fn lossy() -> (Site, Proxy, Server, Db) {
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

/// The join code of the teacher's class, as it is stored.
async fn stored_code(db: &Db) -> Option<String> {
    let row = join_code::Entity::find_by_id(OWN_CLASS).one(db.read()).await.unwrap();
    row.map(|row| row.code.expose().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_whose_answer_is_lost_is_a_503_and_is_not_made_twice() {
    let (_site, proxy, server, db) = lossy().await;
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let student = server.token(&server.code(STUDENT, PASSWORD, false).await).await;
    let codes = authorization_code::Entity::find().count(db.read()).await.unwrap();

    proxy.lose_answer_to("COMMIT");
    assert_eq!(server.try_sign_in(STUDENT, PASSWORD, true).await.0, 503);
    assert_eq!(authorization_code::Entity::find().count(db.read()).await.unwrap(), codes + 1);
    assert_eq!(policy_acceptance::Entity::find().count(db.read()).await.unwrap(), 1);

    proxy.lose_answer_to("INSERT INTO join_codes");
    assert_eq!(try_draw(&server, &teacher).await, 503);
    let join_code = stored_code(&db).await.unwrap();
    proxy.lose_answer_to("INSERT INTO \"enrollments\"");
    assert_eq!(server.join(&student, &join_code).await, 503);
    // The join had succeeded.
    assert_eq!(server.join(&student, &join_code).await, 409);
    assert_eq!(enrollment::Entity::find().count(db.read()).await.unwrap(), 1);
    assert_eq!(proxy.lost(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_while_a_transaction_begins_leaves_none_open_for_others() {
    let (site, proxy, server, db) = lossy().await;
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
        // Whoever asks next has the same connection.
        let join_code = server.generate_join_code(&teacher).await;
        assert_eq!(stored_code(&db).await, Some(join_code), "what was answered is committed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redemption_whose_answer_is_lost_gives_no_tokens_then_or_later() {
    let (_site, proxy, server, _store) = lossy().await;
    let code = server.code(TEACHER, PASSWORD, false).await;
    proxy.lose_answer_to("UPDATE \"authorization_codes\"");
    let answer = server.post("/api/v1/tokens").json(&exchange_body(&code)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    assert!(answer.headers().contains_key("Retry-After"));
    assert_eq!(proxy.lost(), 1);
    assert_eq!(server.exchange(&code).await.0, 400, "it was redeemed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_the_connections_were_cut_while_nothing_was_asked() {
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
    assert_eq!(heard(server.get("/health/ready")).await.0, 200);
}

both! {
    async fn who_finds_the_database_held_by_somebody_else_is_told_to_come_back(kind: Kind) {
        let site = Site::new(kind).await;
        let server = Arc::new(site.listen("demo").await);
        let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let db = Db::connect(&site.location).await.unwrap();
        server.generate_join_code(&teacher).await;
        // On SQLite nobody else writes meanwhile, on PostgreSQL nobody else to the class's code.
        let holder = db.writer().begin().await.unwrap();
        holder.execute_unprepared("UPDATE join_codes SET code = code").await.unwrap();
        let drawing: Vec<_> = (0..4)
            .map(|_| {
                let (server, teacher) = (server.clone(), teacher.clone());
                tokio::spawn(async move { try_draw(&server, &teacher).await })
            })
            .collect();
        for task in drawing {
            assert_eq!(task.await.unwrap(), 503);
        }
        // What only reads goes on.
        assert_eq!(heard(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await.0, 200);
        // An attempt at a password is written down before anything else is done for it.
        let refused = if kind == Kind::Sqlite { 503 } else { 400 };
        assert_eq!(server.try_sign_in(TEACHER, "wrong", false).await.0, refused);
        holder.rollback().await.unwrap();
        assert_eq!(try_draw(&server, &teacher).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_runs_to_its_end_when_its_client_hangs_up() {
    let (_site, proxy, server, db) = lossy().await;
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let first = server.generate_join_code(&teacher).await;
    let server = Arc::new(server);
    let generating = tokio::spawn({
        let (server, teacher) = (server.clone(), teacher.clone());
        async move { try_draw(&server, &teacher).await }
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
async fn class_whose_code_is_locked_keeps_no_other_class_waiting() {
    let site = Site::new(Kind::Postgres).await;
    let server = Arc::new(site.listen("demo").await);
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let colleague = server.token(&server.code(COLLEAGUE, PASSWORD, false).await).await;
    let db = Db::connect(&site.location).await.unwrap();
    server.generate_join_code(&teacher).await;
    let holder = db.writer().begin().await.unwrap();
    holder.execute_unprepared("UPDATE join_codes SET code = code").await.unwrap();
    let drawing: Vec<_> = (0..16)
        .map(|number| {
            let (class, token) =
                if number % 2 == 0 { (OWN_CLASS, &teacher) } else { (OTHER_CLASS, &colleague) };
            let draw = server.post(&format!("/classes/{class}/join-code")).bearer_auth(token);
            (class, tokio::spawn(heard(draw)))
        })
        .collect();
    for (class, task) in drawing {
        assert_eq!(task.await.unwrap().0, if class == OWN_CLASS { 503 } else { 200 });
    }
    holder.rollback().await.unwrap();
    assert_eq!(try_draw(&server, &teacher).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_file_cannot_grow_writers_are_told_to_come_back_and_nothing_is_written_by_halves() {
    let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_JOIN_CODE_RATE", "0");
    drop(site.listen("demo").await);
    site.run(&["app", "set", &APP.to_string(), "--policy-version", "1"]).await.success();
    let server = site.listen_within(512, "serve").await;
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let db = Db::connect(&site.location).await.unwrap();

    let mut drawn = None;
    let mut refused = 0;
    for _ in 0..1000 {
        let draw = server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(&teacher);
        match heard(draw).await {
            (200, body) => drawn = Some(body["data"]["joinCode"].as_str().unwrap().to_owned()),
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
    // What only reads goes on, and shows what was acknowledged last.
    let class = heard(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await;
    assert_eq!(class.1["data"]["joinCode"].as_str(), drawn.as_deref());
    assert_eq!(heard(server.get("/health/live")).await.0, 200);
    assert_eq!(authorization_code::Entity::find().count(db.read()).await.unwrap(), before);
    assert_eq!(policy_acceptance::Entity::find().count(db.read()).await.unwrap(), 0);

    server.lift();
    assert_eq!(server.try_sign_in(STUDENT, PASSWORD, true).await.0, 201);
    let drawn = server.generate_join_code(&teacher).await;
    // What is answered again is on disk again, and others may write.
    let server = server.crash(&site).await;
    assert_eq!(policy_acceptance::Entity::find().count(db.read()).await.unwrap(), 1);
    let class = heard(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await;
    assert_eq!(class.1["data"]["joinCode"].as_str(), Some(drawn.as_str()));
}

/// A pipe among the keys, which nobody writes, is as a mount that stands still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_directory_that_stands_still_keeps_nobody_from_being_answered_nor_the_server_from_its_end() {
    let site = Site::new(Kind::Sqlite).await.with("HOMEROOM_JOIN_CODE_RATE", "0");
    let server = Arc::new(site.listen("demo").await);
    let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
    let [pipe, unknown] = ["01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"];
    let pipe = site.data().join("keys").join(format!("{pipe}.pem"));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": unknown }).to_string();
    let strange = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header));
    let asking: Vec<_> = (0..16)
        .map(|_| {
            let (server, strange) = (server.clone(), strange.clone());
            tokio::spawn(async move { try_draw(&server, &strange).await })
        })
        .collect();
    while !asking.iter().all(JoinHandle::is_finished) {
        assert_eq!(heard(server.get("/health/live")).await.0, 200);
        assert_eq!(try_draw(&server, &teacher).await, 200);
    }
    for task in asking {
        assert_eq!(task.await.unwrap(), 401);
    }
    server.signal("TERM");
    let ended = Arc::into_inner(server).unwrap().program.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}
