//! The log: however much of it is asked for, it keeps the secrets.

use std::{sync::Arc, time::Duration};

use homeroom::{entity::class, store::Store};
use sea_orm::{EntityTrait, sea_query::Expr};
use serde_json::Value;

use crate::support::{
    APP, OWN_CLASS, REDIRECT_URI, TEACHER, both,
    process::{Server, Site, heard},
};

const PASSWORD: &str = "marked-password-of-the-owner";
const STUDENT: &str = "marked.student@example.com";

/// Whoever sends these is refused; what they hold is a secret all the same.
async fn be_refused(server: &Server, token: &str, code: &str, join_code: &str) {
    let malformed = format!(r#"{{"email":"{TEACHER}","password":"marked-malformed-password"#);
    let mistyped = format!(
        r#"{{"appUuid":"{APP}","email":"{TEACHER}","password":["marked-mistyped-password"],"state":"s","redirectUri":"{REDIRECT_URI}"}}"#
    );
    for body in [malformed, mistyped] {
        let sign_in = server.post("/api/v1/codes").header("Content-Type", "application/json").body(body);
        assert_eq!(heard(sign_in).await.0, 400);
    }
    assert_eq!(server.try_sign_in(STUDENT, "marked-wrong-password", false).await.0, 400);
    assert_eq!(server.exchange(code).await.0, 400, "it was redeemed");
    assert_eq!(server.exchange("marked-code-that-was-never-issued").await.0, 400);
    let draw = server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(format!("{token}marked"));
    assert_eq!(heard(draw).await.0, 401);
    assert_eq!(server.join(token, "MARKEDCODE").await, 400);
    // A path that is not there, and a method that is not, with a code in their path and query.
    for path in [format!("/classes/joins/{join_code}"), format!("/api/v1/codes/{code}?code={code}")] {
        assert_eq!(heard(server.post(&path)).await.0, 404, "{path}");
    }
    assert_eq!(heard(server.get(&format!("/classes/join/{join_code}?token={token}"))).await.0, 405);
}

both! {
    async fn not_even_a_statement_that_waits_long_enough_to_be_spoken_of_shows_its_values(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_LOG", "trace,sea_orm::driver=trace,sqlx=trace");
        let server = Arc::new(site.listen("demo").await);
        let teacher = server.token(&server.code(TEACHER, "VeryStrongPass123!", true).await).await;

        // Somebody else is at the class, and the pool's connections wait for it, and other requests for them.
        let store = Store::connect(&site.location).await.unwrap();
        let lock = store.begin().await.unwrap();
        let touch = class::Entity::update_many().col_expr(class::Column::IsActive, Expr::value(true));
        touch.exec(&lock).await.unwrap();
        let drawing: Vec<_> = (0..20)
            .map(|_| {
                let (server, teacher) = (server.clone(), teacher.clone());
                tokio::spawn(async move {
                    let draw = server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(&teacher);
                    heard(draw).await.1["data"]["joinCode"].as_str().map(ToOwned::to_owned)
                })
            })
            .collect();
        // The driver speaks of what waits for two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        lock.rollback().await.unwrap();
        let mut drawn = Vec::new();
        for task in drawing {
            drawn.extend(task.await.unwrap());
        }
        assert!(!drawn.is_empty());
        let log = server.program.err();
        for code in drawn {
            assert!(!log.contains(&code), "{log}");
        }
    }

    async fn no_secret_is_in_the_log_of_everything(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_LOG", "trace");
        let server = site.listen("demo").await;
        let added = site.add_user(STUDENT, PASSWORD).await;
        let listed = site.run(&["user", "list"]).await;

        let teacher_code = server.code(TEACHER, "VeryStrongPass123!", true).await;
        let teacher = server.token(&teacher_code).await;
        let join_code = server.draw(&teacher).await;
        let code = server.code(STUDENT, PASSWORD, true).await;
        let (status, tokens) = server.exchange(&code).await;
        assert_eq!(status, 201);
        let of = |name: &str| tokens["items"][0][name].as_str().unwrap().to_owned();
        let (token, id_token) = (of("accessToken"), of("idToken"));
        assert_eq!(server.join(&token, &join_code).await, 201);
        let class = heard(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await;
        assert_eq!(class.1["data"]["joinCode"], Value::from(join_code.as_str()));
        be_refused(&server, &token, &code, &join_code).await;

        // The end of the log is there when the server is not.
        server.signal("TERM");
        let ended = server.program.end().await;
        assert!(ended.err.contains("stopped"), "{}", ended.err);
        let log = [added.err, listed.err, ended.err].concat().to_lowercase();
        let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
        let secrets = [
            "marked".to_owned(),
            "VeryStrongPass123!".to_owned(),
            "argon2id".to_owned(),
            teacher_code,
            code,
            signature(&teacher),
            signature(&token),
            signature(&id_token),
            format!("join/{join_code}"),
            join_code,
        ];
        for secret in secrets {
            if let Some(line) = log.lines().find(|line| line.contains(&secret.to_lowercase())) {
                panic!("{secret} is in the log: {}", line.chars().take(600).collect::<String>());
            }
        }
    }
}
