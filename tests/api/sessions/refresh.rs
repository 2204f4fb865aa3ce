//! The refresh of a session, and the reuse of its secrets.

use super::*;

both! {
    async fn refresh_returns_new_tokens_of_the_same_session(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let scope = json!({ "scope": "openid email profile", "nonce": "first" });
        let first = school.request_tokens(&code, scope).await.json()["items"][0].take();
        school.clock.advance(TimeDelta::minutes(59));
        let changes = json!({ "nonce": "second", "client_id": format!("app_{APP}") });
        let answer = school.refresh(&first["refreshToken"], changes).await;
        assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")), "{}", answer.text);
        let mut body = answer.json();
        let second = body["items"][0].take();
        assert_eq!(body, json!({ "kind": "tokens", "totalItems": 1, "itemsLength": 1, "items": [null] }));
        assert_ne!(first["refreshToken"], second["refreshToken"]);
        assert_eq!((&second["tokenType"], &second["redirectUri"]), (&json!("Bearer"), &json!(REDIRECT_URI)));

        let [old, new] = [&first, &second].map(|tokens| claims(&tokens["accessToken"]));
        for same in ["iss", "aud", "sub", "client_id", "sid", "auth_time", "scope"] {
            assert_eq!(old[same], new[same], "{same}");
        }
        let seconds = |claims: &Value, name: &str| claims[name].as_i64().unwrap();
        for name in ["iat", "exp"] {
            assert_eq!(seconds(&new, name) - seconds(&old, name), 59 * 60, "{name}");
        }
        assert_eq!(second["expiresIn"], new["exp"].to_string());
        let id = claims(&second["idToken"]);
        assert_eq!((&id["nonce"], &id["aud"]), (&json!("second"), &json!(format!("app_{APP}"))));
        assert_eq!((&id["email"], &id["auth_time"]), (&json!(TEACHER), &old["auth_time"]));
        assert_eq!(status(&school, &second).await, 200);
        // The access token from before stays valid until it expires.
        assert_eq!(status(&school, &first).await, 200);
        assert_eq!(events(&school).await, [began()]);
    }

    async fn refresh_as_the_browser_sdk_sends_it_is_accepted(kind: Kind) {
        let school = School::start(kind).await;
        let mut tokens = school.tokens(TEACHER).await;
        // The code is that of the page's URL. After a reload there is none.
        for code in ["an-old-code", ""] {
            let changes = json!({
                "grant_type": "authorization_code", "code": code, "state": "an-old-state", "prompt": "none",
                "redirect_uri": "https://elsewhere.example.com/", "nonce": "n", "auth_time": "1", "scope": "",
                "language": "en", "code_verifier": "A".repeat(43),
            });
            let answer = school.refresh(&tokens["refreshToken"], changes).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            tokens = answer.json()["items"][0].take();
            assert_eq!(tokens["redirectUri"], REDIRECT_URI);
        }
    }

    async fn empty_refresh_token_counts_as_absent(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let missing = school.refresh(&json!(""), json!({})).await;
        assert_eq!(missing.whole(), errors(400, "[E4000]", &["refresh_token is required"]));
        let code_missing = school.refresh(&json!(""), json!({ "grant_type": "authorization_code" })).await;
        assert_eq!(faulty(&code_missing), ["redirect_uri", "code", "state"]);
        let exchange = json!({ "refresh_token": "", "prompt": "none" });
        assert_eq!(school.request_tokens(&code, exchange).await.status, 201);
    }

    async fn refresh_scope_is_narrowed_and_never_widened(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let mut tokens =
            school.request_tokens(&code, json!({ "scope": "openid email" })).await.json()["items"][0].take();
        for (requested, granted) in [
            ("email profile", json!("email")),
            ("profile", Value::Null),
            ("", json!("openid email")),
            ("openid", json!("openid")),
        ] {
            let answer = school.refresh(&tokens["refreshToken"], json!({ "scope": requested })).await;
            tokens = answer.json()["items"][0].take();
            assert_eq!(claims(&tokens["accessToken"])["scope"], granted, "{requested}");
            assert_eq!(claims(&tokens["idToken"]).get("name"), None);
        }
    }

    async fn refresh_with_anything_wrong_gets_one_message_and_does_not_use_the_token(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        let tokens = school.tokens(TEACHER).await;
        let token = tokens["refreshToken"].as_str().unwrap();
        for (token, changes) in [
            (token, json!({ "client_id": OTHER_APP })),
            (token, json!({ "client_id": "44444444-4444-4444-4444-444444444444" })),
            (&token.to_lowercase(), json!({})),
            (&format!("{token}A"), json!({})),
            (&format!("{token} "), json!({})),
            (tokens["accessToken"].as_str().unwrap().get(..512).unwrap(), json!({})),
        ] {
            let answer = school.refresh(&json!(token), changes.clone()).await;
            assert_eq!(answer.whole(), refused(NOT_REFRESHABLE), "{token} {changes}");
        }
        school.change_account(TEACHER, |account| account.enabled = false).await;
        assert_not_refreshable(&school, &tokens).await;
        school.change_account(TEACHER, |account| account.enabled = true).await;
        refreshed(&school, &tokens).await;
    }

    async fn rotated_token_within_the_interval_is_refused_and_the_session_stays(kind: Kind) {
        let school = School::start(kind).await;
        let first = school.tokens(TEACHER).await;
        let second = refreshed(&school, &first).await;
        for _ in 0..2 {
            assert_not_refreshable(&school, &first).await;
            school.clock.advance(TimeDelta::seconds(5));
        }
        assert_eq!(status(&school, &second).await, 200);
        refreshed(&school, &second).await;
        assert_eq!(events(&school).await, [began()]);
    }

    async fn rotated_token_after_the_interval_ends_the_session(kind: Kind) {
        let school = School::start(kind).await;
        let others = school.tokens(TEACHER).await;
        let first = school.tokens(TEACHER).await;
        let second = refreshed(&school, &first).await;
        let third = refreshed(&school, &second).await;
        school.clock.advance(TimeDelta::milliseconds(10_001));
        assert_eq!(status(&school, &third).await, 200);
        assert_not_refreshable(&school, &first).await;
        // This node refuses the access token at once.
        assert_eq!(status(&school, &third).await, 401);
        for tokens in [&first, &second, &third] {
            assert_not_refreshable(&school, tokens).await;
        }
        assert_eq!(events(&school).await, [began(), began(), reused("refresh_token_reused")]);
        // The user's other session stays.
        refreshed(&school, &others).await;
        assert_eq!(refresh_token::Entity::find().count(school.db.read()).await.unwrap(), 2);
    }

    async fn reuse_interval_of_zero_ends_the_session_a_moment_later(kind: Kind) {
        let mut school = School::start(kind).await;
        school.restart(|parts| parts.identity.refresh_reuse_interval = TimeDelta::zero());
        let first = school.tokens(TEACHER).await;
        let second = refreshed(&school, &first).await;
        assert_not_refreshable(&school, &first).await;
        assert_eq!(status(&school, &second).await, 200);
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_not_refreshable(&school, &first).await;
        assert_ended(&school, &second).await;
    }

    async fn code_used_twice_ends_its_session(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let tokens = school.request_tokens(&code, json!({})).await.json()["items"][0].take();
        let newest = refreshed(&school, &tokens).await;
        // A mismatch changes nothing, even with a redeemed code.
        let mismatch = school.request_tokens(&code, json!({ "state": "another-state" })).await;
        assert_eq!(mismatch.whole(), refused(NOT_REDEEMABLE));
        assert_eq!(status(&school, &newest).await, 200);
        for _ in 0..2 {
            assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        }
        assert_eq!(status(&school, &newest).await, 401);
        assert_ended(&school, &newest).await;
        assert_eq!(events(&school).await, [began(), reused("code_reused")]);
    }

    async fn code_used_again_a_day_later_ends_its_session(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let tokens = school.request_tokens(&code, json!({})).await.json()["items"][0].take();
        school.clock.advance(TimeDelta::hours(23));
        let tokens = refreshed(&school, &tokens).await;
        delete_expired(&school.db, school.clock.now()).await.unwrap();
        assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        assert_ended(&school, &tokens).await;
    }

    async fn reuse_of_a_rotated_token_is_detected_for_the_newest_hundred(kind: Kind) {
        let school = School::start(kind).await;
        let mut issued = vec![school.tokens(TEACHER).await];
        for _ in 0..102 {
            school.clock.advance(TimeDelta::milliseconds(1));
            issued.push(refreshed(&school, issued.last().unwrap()).await);
        }
        assert_eq!(refresh_token::Entity::find().count(school.db.read()).await.unwrap(), 101);
        school.clock.advance(TimeDelta::seconds(11));
        for older in &issued[..2] {
            assert_not_refreshable(&school, older).await;
        }
        assert_eq!(status(&school, &issued[102]).await, 200);
        assert_not_refreshable(&school, &issued[2]).await;
        assert_ended(&school, &issued[102]).await;
        assert_eq!(events(&school).await, [began(), reused("refresh_token_reused")]);
    }

    async fn refresh_of_a_native_app_keeps_its_redirect_uri(kind: Kind) {
        let school = School::start(kind).await;
        school
            .register(|registration| registration.redirect_uris = vec![redirect_uri("http://127.0.0.1/cb")])
            .await;
        let requested = json!({ "redirectUri": "http://127.0.0.1:49152/cb" });
        let url = school.request_code(requested).await.json()["items"][0]["nextAction"]["url"].clone();
        let code = crate::support::code_in(&url.as_str().unwrap().parse().unwrap());
        let exchange = json!({ "redirect_uri": "http://127.0.0.1:49152/cb" });
        let tokens = school.request_tokens(&code, exchange).await.json()["items"][0].take();
        assert_eq!(refreshed(&school, &tokens).await["redirectUri"], "http://127.0.0.1:49152/cb");
    }
}
