//! The log: it shows no secret at any level.

use std::{sync::Arc, time::Duration};

use homeroom::{db::Db, entity::class};
use reqwest::{
    Client,
    header::{HeaderName, HeaderValue},
};
use sea_orm::{ConnectionTrait, EntityTrait, TransactionTrait, sea_query::Expr};
use serde_json::{Value, json};

use crate::support::{
    APP, COLLEAGUE, Kind, OWN_CLASS, REDIRECT_URI, TEACHER, both,
    process::{Server, Site, send},
};

const PASSWORD: &str = "marked-password-of-the-owner";
const STUDENT: &str = "marked.student@example.com";

/// Sends requests with secrets that are refused.
async fn be_refused(server: &Server, token: &str, code: &str, join_code: &str) {
    let malformed = format!(r#"{{"email":"{TEACHER}","password":"marked-malformed-password"#);
    let mistyped = format!(
        r#"{{"appUuid":"{APP}","email":"{TEACHER}","password":["marked-mistyped-password"],"state":"s","redirectUri":"{REDIRECT_URI}"}}"#
    );
    for body in [malformed, mistyped] {
        let sign_in = server.post("/api/v1/codes").header("Content-Type", "application/json").body(body);
        assert_eq!(send(sign_in).await.0, 400);
    }
    assert_eq!(server.try_sign_in(STUDENT, "marked-wrong-password", false).await.0, 400);
    assert_eq!(server.exchange("marked-code-that-was-never-issued").await.0, 400);
    let generate =
        server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(format!("{token}marked"));
    assert_eq!(send(generate).await.0, 401);
    assert_eq!(server.join(token, "MARKEDCODE").await, 400);
    // An unknown path and an unknown method, with a code in path and query.
    for path in [format!("/classes/joins/{join_code}"), format!("/api/v1/codes/{code}?code={code}")] {
        assert_eq!(send(server.post(&path)).await.0, 404, "{path}");
    }
    assert_eq!(send(server.get(&format!("/classes/join/{join_code}?token={token}"))).await.0, 405);
    let method = reqwest::Method::from_bytes(b"MARKED").unwrap();
    assert_eq!(send(server.client.request(method, format!("{}/{code}", server.url))).await.0, 404);
    for path in
        ["/health/live", "/health/ready", "/.well-known/jwks.json", "/openapi.yaml", "/openapi.json", "/docs"]
    {
        let request =
            server.get(&format!("{path}?code={code}")).bearer_auth(token).header("If-None-Match", code);
        assert_eq!(send(request).await.0, 200, "{path}");
    }
    // Last, because it ends the session.
    assert_eq!(server.exchange(code).await.0, 400, "it was redeemed");
}

/// Refreshes with a token, signs out with it, and refreshes with it again. Returns the next refresh token.
async fn refresh(server: &Server, token: &str) -> String {
    let refresh = async || {
        let body = json!({
            "client_id": APP, "service": "email", "grant_type": "refresh_token", "refresh_token": token,
        });
        send(server.post("/api/v1/tokens").json(&body)).await
    };
    let (status, tokens) = refresh().await;
    assert_eq!(status, 201, "{tokens}");
    let revoke = server.post("/api/v1/tokens/revoke").json(&json!({ "client_id": APP, "token": token }));
    assert_eq!(send(revoke).await.0, 200);
    assert_eq!(refresh().await.0, 400);
    tokens["items"][0]["refreshToken"].as_str().unwrap().to_owned()
}

/// Calls every operation with and without success, and searches the log for secrets. Returns the log.
async fn log_everything(kind: Kind, format: &str) -> String {
    let site = Site::new(kind).await.with("HOMEROOM_LOG", "trace").with("HOMEROOM_LOG_FORMAT", format);
    let mut server = site.listen("demo").await;
    // These ids have an invalid form and are ignored.
    let headers = [("x-request-id", "marked id"), ("traceparent", "00-marked-marked-01")];
    let headers =
        headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    server.client =
        Client::builder().no_proxy().default_headers(headers.into_iter().collect()).build().unwrap();
    let added = site.add_user(STUDENT, PASSWORD).await;
    let listed = site.run(&["user", "list"]).await;

    let teacher_code = server.code(TEACHER, "VeryStrongPass123!", true).await;
    let teacher = server.token(&teacher_code).await;
    let join_code = server.generate_join_code(&teacher).await;
    let code = server.code(STUDENT, PASSWORD, true).await;
    let (status, tokens) = server.exchange(&code).await;
    assert_eq!(status, 201);
    let of = |name: &str| tokens["items"][0][name].as_str().unwrap().to_owned();
    let (token, id_token) = (of("accessToken"), of("idToken"));
    assert_eq!(server.join(&token, &join_code).await, 201);
    let class = send(server.get(&format!("/classes/{OWN_CLASS}")).bearer_auth(&teacher)).await;
    assert_eq!(class.1["data"]["joinCode"], Value::from(join_code.as_str()));
    be_refused(&server, &token, &code, &join_code).await;
    let (_, others) = server.exchange(&server.code(STUDENT, PASSWORD, true).await).await;
    let refresh_token = others["items"][0]["refreshToken"].as_str().unwrap().to_owned();
    let next_refresh_token = refresh(&server, &refresh_token).await;

    // The log is complete after the server has ended.
    server.signal("TERM");
    let ended = server.program.end().await;
    assert!(ended.err.contains("stopped"), "{}", ended.err);
    let server_log = ended.err;
    let log = [added.err, listed.err, server_log.clone()].concat().to_lowercase();
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
        of("refreshToken"),
        refresh_token,
        next_refresh_token,
        format!("join/{join_code}"),
        join_code,
    ];
    for secret in secrets {
        if let Some(line) = log.lines().find(|line| line.contains(&secret.to_lowercase())) {
            panic!("{secret} is in the log: {}", line.chars().take(600).collect::<String>());
        }
    }
    server_log
}

both! {
    async fn slow_statement_in_the_log_shows_no_values(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_LOG", "trace,sea_orm::driver=trace,sqlx=trace");
        let server = Arc::new(site.listen("demo").await);
        let teacher = server.token(&server.code(TEACHER, "VeryStrongPass123!", true).await).await;

        // Another transaction locks the class. The requests wait for the lock, or for a connection.
        let db = Db::connect(&site.location).await.unwrap();
        let lock = db.writer().begin().await.unwrap();
        let touch = class::Entity::update_many().col_expr(class::Column::IsActive, Expr::value(true));
        touch.exec(&lock).await.unwrap();
        let generating: Vec<_> = (0..20)
            .map(|_| {
                let (server, teacher) = (server.clone(), teacher.clone());
                tokio::spawn(async move {
                    let generate = server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(&teacher);
                    send(generate).await.1["data"]["joinCode"].as_str().map(ToOwned::to_owned)
                })
            })
            .collect();
        // The driver logs statements that take two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        lock.rollback().await.unwrap();
        let mut generated = Vec::new();
        for task in generating {
            generated.extend(task.await.unwrap());
        }
        assert!(!generated.is_empty());
        let log = server.program.err();
        for code in generated {
            assert!(!log.contains(&code), "{log}");
        }
    }

    async fn log_at_trace_level_shows_no_secret(kind: Kind) {
        log_everything(kind, "human").await;
    }

    async fn log_at_trace_level_as_json_shows_no_secret(kind: Kind) {
        let log = log_everything(kind, "json").await;
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().any(|line| line["level"] == "DEBUG"), "there is more to see than what is usual");
    }

    async fn failed_request_has_one_log_line_with_its_cause(kind: Kind) {
        let site = Site::new(kind)
            .await
            .with("HOMEROOM_LOG_FORMAT", "json")
            .with("HOMEROOM_HASH_WORKERS", "1")
            .with("HOMEROOM_HASH_QUEUE", "1");
        let server = Arc::new(site.listen("demo").await);
        let attempts = (0..24).map(|number| {
            let server = server.clone();
            tokio::spawn(async move { server.try_sign_in(&format!("{number}@example.com"), "wrong", false).await.0 })
        });
        let mut statuses = Vec::new();
        for attempt in attempts.collect::<Vec<_>>() {
            statuses.push(attempt.await.unwrap());
        }
        let refused = statuses.iter().filter(|status| **status == 503).count();
        assert!(refused > 0, "{statuses:?}");

        let db = Db::connect(&site.location).await.unwrap();
        db.writer().execute_unprepared("ALTER TABLE users RENAME TO gone_users").await.unwrap();
        assert_eq!(server.try_sign_in(TEACHER, PASSWORD, false).await.0, 500);

        server.signal("TERM");
        let log = Arc::into_inner(server).unwrap().program.end().await.err;
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_status = |status: u16| {
            let with = move |span: &Value| span["name"] == "request" && span["status"] == status;
            move |line: &Value| line["spans"].as_array().is_some_and(|spans| spans.iter().any(with))
        };
        let lines: Vec<Value> = lines.filter(|line| line["fields"]["message"] != "the client disconnected before the response").collect();
        let shed: Vec<&Value> = lines.iter().filter(|line| of_status(503)(line)).collect();
        assert_eq!(shed.len(), refused, "{shed:#?}");
        let failed: Vec<&Value> = lines.iter().filter(|line| of_status(500)(line) || line["level"] == "ERROR").collect();
        assert_eq!(failed.len(), 1, "{failed:#?}");
        assert_eq!(failed[0]["level"], "ERROR");
        assert!(failed[0]["fields"]["cause"].as_str().unwrap().contains("users"), "{failed:#?}");
    }

    async fn failed_sign_in_is_logged_with_its_reason_and_client(kind: Kind) {
        let site = Site::new(kind).await.with("HOMEROOM_LOG_FORMAT", "json");
        let server = site.listen("demo").await;
        assert_eq!(server.try_sign_in(TEACHER, "marked-wrong-password", false).await.0, 400);
        assert_eq!(server.try_sign_in("marked@example.com", "marked-wrong-password", false).await.0, 400);
        site.run(&["user", "set", "--email", TEACHER, "--enabled", "false"]).await;
        for _ in 0..4 {
            assert_eq!(server.try_sign_in(TEACHER, "VeryStrongPass123!", false).await.0, 400);
        }
        assert_eq!(server.try_sign_in(TEACHER, "VeryStrongPass123!", false).await.0, 429);
        let token = server.token(&server.code(COLLEAGUE, "VeryStrongPass123!", false).await).await;
        let change = server.client.put(format!("{}/api/v1/users/me/password", server.url)).bearer_auth(token);
        let wrong = json!({
            "currentPassword": "marked-wrong-password",
            "password": "violet-Kayak-39-lantern",
            "passwordConfirmation": "violet-Kayak-39-lantern",
        });
        assert_eq!(send(change.json(&wrong)).await.0, 400);
        server.signal("TERM");
        let log = server.program.end().await.err;
        assert_eq!(log.matches("password change failed").count(), 1, "{log}");
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let failed: Vec<_> = lines.filter(|line| line["fields"]["message"] == "sign-in failed").collect();
        let reasons: Vec<_> = failed.iter().map(|line| line["fields"]["reason"].as_str().unwrap()).collect();
        let disabled = ["account_disabled"; 4];
        assert_eq!(reasons, [&["password_wrong", "account_unknown"], &disabled[..], &["rate_limited"]].concat());
        assert!(failed.iter().all(|line| line["fields"]["client"] == "127.0.0.1" && line["level"] == "INFO"));
        assert!(!log.contains("marked") && !log.contains(TEACHER), "{log}");
    }

    async fn every_log_line_of_a_request_has_its_id(kind: Kind) {
        let site = Site::new(kind).await;
        let site = site.with("HOMEROOM_LOG", "trace").with("HOMEROOM_LOG_FORMAT", "json");
        let server = site.listen("demo").await;
        let generate = |id: &str, traceparent: &str| {
            let generate = server.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth("x");
            send(generate.header("X-Request-Id", id).header("traceparent", traceparent))
        };
        assert_eq!(generate("first", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").await.0, 401);
        assert_eq!(generate("second", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").await.0, 401);
        assert_eq!(generate("not an id", "").await.0, 401);
        assert_eq!(send(server.get("/health/ready").header("X-Request-Id", "health")).await.0, 200);
        assert_eq!(send(server.get("/health/ready?a=b").header("Origin", "https://app.example.com")).await.0, 200);
        server.signal("TERM");
        let log = server.program.end().await.err;
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let request = |line: &Value| {
            let mut spans = line["spans"].as_array().into_iter().flatten();
            spans.find(|span| span["name"] == "request").cloned()
        };
        let answered: Vec<(Value, Value)> = lines
            .iter()
            .filter(|line| line["fields"]["message"] == "response sent")
            .map(|line| (line["level"].clone(), request(line).unwrap()))
            .collect();
        let generating = json!({
            "name": "request",
            "request_id": "first",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "method": "POST",
            "route": "/classes/{classId}/join-code",
            "status": 401,
        });
        assert_eq!(answered.len(), 5, "{answered:#?}");
        assert_eq!(answered[0], (json!("INFO"), generating.clone()));
        let mut untraced = generating;
        untraced["request_id"] = json!("second");
        untraced.as_object_mut().unwrap().remove("trace_id");
        assert_eq!(answered[1].1, untraced);
        let id: uuid::Uuid = answered[2].1["request_id"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let health = json!({
            "name": "request", "request_id": "health", "method": "GET", "route": "/health/ready", "status": 200,
        });
        assert_eq!(answered[3], (json!("DEBUG"), health));
        // Log lines of the database driver have the id of the request as well.
        let of_driver: Vec<&Value> = lines
            .iter()
            .filter(|line| request(line).is_some_and(|request| request["request_id"] == "health"))
            .collect();
        assert!(of_driver.iter().all(|line| request(line).unwrap()["route"] == "/health/ready"));
    }
}
