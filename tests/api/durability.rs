//! Acknowledged changes survive every end of the server. Other programs can write to the database at the same time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use crate::support::{
    APP, OWN_CLASS, PASSWORD, TEACHER, both,
    process::{Site, send},
};

both! {
    async fn kill_9_after_response_loses_no_change(kind: Kind) {
        let site = Site::new(kind).await;
        let mut server = site.listen("demo").await;
        let app = APP.to_string();
        site.run(&["app", "set", &app, "--policy-version", "1", "--demand-policy"]).await.success();
        let code = server.code(TEACHER, PASSWORD, true).await;
        let teacher = server.token(&code).await;
        for round in 0..4 {
            let student = format!("student{round}@example.com");
            site.add_user(&student, PASSWORD).await.success();
            assert_eq!(server.try_sign_in(&student, PASSWORD, false).await.0, 400, "no consent yet");

            let code = server.code(&student, PASSWORD, true).await;
            server = server.crash(&site).await;
            assert_eq!(server.try_sign_in(&student, PASSWORD, false).await.0, 201, "a consent is lost");

            let token = server.token(&code).await;
            server = server.crash(&site).await;

            let join_code = server.generate_join_code(&teacher).await;
            server = server.crash(&site).await;
            let class = server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher);
            assert_eq!(send(class).await.1["data"]["joinCode"], json!(join_code), "a join code is lost");

            assert_eq!(server.join(&token, &join_code).await, 201);
            server = server.crash(&site).await;
            assert_eq!(server.join(&token, &join_code).await, 409, "an enrollment is lost");

            // The second exchange ends the session.
            assert_eq!(server.exchange(&code).await.0, 400, "a redemption is lost");
            server = server.crash(&site).await;
            assert_eq!(server.join(&token, &join_code).await, 401, "the end of a session is lost");
        }
    }

    async fn user_add_while_server_writes_succeeds(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_JOIN_CODE_RATE", "0");
        let server = Arc::new(site.listen("demo").await);
        let teacher = server.token(&server.code(TEACHER, PASSWORD, false).await).await;
        let done = Arc::new(AtomicBool::new(false));
        let load: Vec<_> = (0..8)
            .map(|_| {
                let (server, teacher, done) = (server.clone(), teacher.clone(), done.clone());
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        server.generate_join_code(&teacher).await;
                    }
                })
            })
            .collect();
        for round in 0..3 {
            let adding: Vec<_> = (0..4)
                .map(|number| format!("{number}.{round}@example.com"))
                .map(|email| site.start(&["user", "add", "--email", &email], PASSWORD))
                .collect();
            for program in adding {
                program.end().await.success();
            }
        }
        done.store(true, Ordering::Relaxed);
        for task in load {
            task.await.unwrap();
        }
        let users = site.run(&["user", "list"]).await.success();
        assert_eq!(users.lines().count(), 3 + 12, "{users}");
    }

    async fn migrate_8_times_at_once_on_empty_database_succeeds(kind: Kind) {
        let site = Site::new(kind).await;
        let first: Vec<_> = (0..8).map(|_| site.start(&["migrate"], "")).collect();
        for program in first {
            program.end().await.success();
        }
    }

    async fn signal_to_end_completes_begun_requests_and_exits_with_0(kind: Kind) {
        let site = Site::new(kind).await;
        for (command, signal) in [("demo", "TERM"), ("serve", "INT")] {
            let server = Arc::new(site.listen(command).await);
            assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 201);
            let requests: Vec<_> = (0..16)
                .map(|_| {
                    let request = server.get("/.well-known/jwks.json");
                    tokio::spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) })
                })
                .collect();
            server.signal(signal);
            for task in requests {
                // A late request finds a closed port. No response is cut off.
                if let Ok(status) = task.await.unwrap() {
                    assert_eq!(status, 200);
                }
            }
            let ended = Arc::into_inner(server).unwrap().program.end().await;
            assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        }
    }
}
