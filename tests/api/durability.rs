//! What the server acknowledged outlives it, however it ends; and other programs may write beside it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use crate::support::{
    APP, OWN_CLASS, PASSWORD, TEACHER, both,
    process::{Site, heard},
};

both! {
    async fn what_was_answered_a_moment_before_kill_9_is_there_after_the_restart(kind: Kind) {
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
            assert_eq!(server.exchange(&code).await.0, 400, "a redemption is lost");

            let join_code = server.generate_join_code(&teacher).await;
            server = server.crash(&site).await;
            let class = server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher);
            assert_eq!(heard(class).await.1["data"]["joinCode"], json!(join_code), "a draw is lost");

            assert_eq!(server.join(&token, &join_code).await, 201);
            server = server.crash(&site).await;
            assert_eq!(server.join(&token, &join_code).await, 409, "an enrollment is lost");
        }
    }

    async fn an_operator_adds_accounts_while_the_server_writes(kind: Kind) {
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

    async fn several_programs_may_be_the_first_on_a_database(kind: Kind) {
        let site = Site::new(kind).await;
        let first: Vec<_> = (0..8).map(|_| site.start(&["migrate"], "")).collect();
        for program in first {
            program.end().await.success();
        }
    }

    async fn a_server_that_is_told_to_end_answers_what_it_has_begun_and_exits_with_0(kind: Kind) {
        let site = Site::new(kind).await;
        for (command, signal) in [("demo", "TERM"), ("serve", "INT")] {
            let server = Arc::new(site.listen(command).await);
            assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 201);
            let asking: Vec<_> = (0..16)
                .map(|_| {
                    let ask = server.get("/.well-known/jwks.json");
                    tokio::spawn(async move { ask.send().await.map(|answer| answer.status().as_u16()) })
                })
                .collect();
            server.signal(signal);
            for task in asking {
                // Who came too late meets a closed door; nobody is answered half.
                if let Ok(status) = task.await.unwrap() {
                    assert_eq!(status, 200);
                }
            }
            let ended = Arc::into_inner(server).unwrap().program.end().await;
            assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        }
    }
}
