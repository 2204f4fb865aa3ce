//! The list of sessions, and sign-out.

use super::*;

both! {
    async fn revoke_ends_the_session_of_any_of_its_tokens(kind: Kind) {
        let school = School::start(kind).await;
        for name in ["rotated", "refreshToken", "accessToken"] {
            let first = school.tokens(TEACHER).await;
            let tokens = refreshed(&school, &first).await;
            assert_eq!(status(&school, &tokens).await, 200);
            let token = if name == "rotated" { &first["refreshToken"] } else { &tokens[name] };
            for hint in [json!("refresh_token"), json!("unknown"), Value::Null] {
                let answer = revoke(&school, token, json!({ "token_type_hint": hint })).await;
                let empty = json!({ "kind": "tokens", "totalItems": 0, "itemsLength": 0, "items": [] });
                assert_eq!(answer.whole(), (200, empty), "{name}");
                assert_eq!(answer.header("cache-control"), Some("no-store"));
            }
            // This node refuses the access token at once.
            assert_eq!(status(&school, &tokens).await, 401, "{name}");
            assert_ended(&school, &tokens).await;
        }
        assert_eq!(count_sessions(&school).await, 0);
        let each = [began(), ended("signed_out")];
        assert_eq!(events(&school).await, [each.clone(), each.clone(), each].concat());
    }

    async fn revoke_unknown_token_succeeds_and_of_another_app_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        let tokens = school.tokens(TEACHER).await;
        for unknown in [json!("unknown"), json!("a.b.c"), tokens["idToken"].clone(), json!("x".repeat(12_288))] {
            assert_eq!(revoke(&school, &unknown, json!({})).await.status, 200);
        }
        for name in ["refreshToken", "accessToken"] {
            let answer = revoke(&school, &tokens[name], json!({ "client_id": OTHER_APP })).await;
            assert_eq!(answer.whole(), refused("token was not issued to the app of client_id"), "{name}");
        }
        assert_eq!(status(&school, &tokens).await, 200);
        for (name, value) in [
            ("client_id", json!("x")),
            ("token", Value::Null),
            ("token", json!("")),
            ("token", json!("a b")),
            ("token", json!("x".repeat(12_289))),
            ("token_type_hint", json!(7)),
            ("token_type_hint", json!("x".repeat(65))),
        ] {
            assert_eq!(faulty(&revoke(&school, &json!("t"), json!({ name: value })).await), [name], "{name}");
        }
    }

    async fn revoke_with_an_expired_access_token_leaves_the_session(kind: Kind) {
        let school = School::start(kind).await;
        let tokens = school.tokens(TEACHER).await;
        school.clock.advance(TimeDelta::hours(1));
        assert_eq!(revoke(&school, &tokens["accessToken"], json!({})).await.status, 200);
        refreshed(&school, &tokens).await;
    }

    async fn list_shows_the_sessions_of_the_user_newest_first(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        school.tokens(COLLEAGUE).await;
        let first = school.tokens(TEACHER).await;
        school.clock.advance(TimeDelta::minutes(30));
        let first = refreshed(&school, &first).await;
        let code = school.code(TEACHER).await;
        let exchange = crate::support::exchange_body(&code);
        let exchange = school.post("/api/v1/tokens").json(&exchange).header("User-Agent", "a\tbrowser ".repeat(40));
        let second = exchange.from("::ffff:198.51.100.9".parse().unwrap()).send().await.json()["items"][0].take();
        let sid = |tokens: &Value| claims(&tokens["accessToken"])["sid"].clone();
        let agent = "abrowser ".repeat(29);
        let (newest, oldest) = (
            json!({
                "uuid": sid(&second), "appUuid": APP, "appName": "Sample app", "isCurrent": false,
                "createdAt": "2026-05-04T10:12:00.250Z", "lastUsedAt": "2026-05-04T10:12:00.250Z",
                "expiresAt": "2026-05-05T10:12:00.250Z", "address": "198.51.100.9", "userAgent": agent[..256].trim(),
            }),
            json!({
                "uuid": sid(&first), "appUuid": APP, "appName": "Sample app", "isCurrent": true,
                "createdAt": "2026-05-04T09:42:00.250Z", "lastUsedAt": "2026-05-04T10:12:00.250Z",
                "expiresAt": "2026-05-05T10:12:00.250Z", "address": "192.0.2.7", "userAgent": null,
            }),
        );
        assert_eq!(list(&school, &first).await, [newest, oldest]);
    }

    async fn delete_session_ends_it_and_no_other(kind: Kind) {
        let school = School::start(kind).await;
        let (mine, lost, colleagues) =
            (school.tokens(TEACHER).await, school.tokens(TEACHER).await, school.tokens(COLLEAGUE).await);
        let sid = |tokens: &Value| claims(&tokens["accessToken"])["sid"].as_str().unwrap().to_owned();
        let missing = errors(404, "[E4040]", &["There is no such session"]);
        for unknown in [sid(&colleagues), "44444444-4444-4444-4444-444444444444".to_owned(), "1".to_owned()] {
            assert_eq!(end(&school, &mine, &unknown).await.whole(), missing, "{unknown}");
        }
        assert_eq!(status(&school, &lost).await, 200);
        let answer = end(&school, &mine, &sid(&lost)).await;
        assert_eq!((answer.status, &answer.json()["items"][0]["uuid"]), (200, &json!(sid(&lost))));
        assert_eq!(end(&school, &mine, &sid(&lost)).await.whole(), missing);
        assert_eq!(status(&school, &lost).await, 401);
        assert_ended(&school, &lost).await;
        for others in [&mine, &colleagues] {
            assert_eq!(list(&school, others).await.len(), 1);
        }
        // The current session can be ended too.
        assert_eq!(end(&school, &mine, &sid(&mine)).await.json()["items"][0]["isCurrent"], true);
        assert_eq!(status(&school, &mine).await, 401);
        assert_eq!(events(&school).await[3..], [ended("ended_by_user"), ended("ended_by_user")]);
    }
}
