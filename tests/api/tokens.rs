//! `createToken`: the exchange of a code for tokens.

use chrono::TimeDelta;
use homeroom::{
    clock::{Clock, SystemClock},
    entity::authorization_code,
    jobs::sweep::{KEEP_CODES, KEEP_REDEEMED_CODES, delete_expired, delete_expired_if_clocks_agree},
};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::json;

use crate::support::{
    APP, OWN_CLASS, REDIRECT_URI, STATE, STUDENT, School, TEACHER, both, code_in, exchange_body,
    signing_in::{NOT_REDEEMABLE, OTHER_APP, errors, faulty, redirect_uri, refused},
};

both! {
    async fn exchange_code_returns_tokens_valid_for_an_hour(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let answer = school.post("/api/v1/tokens").json(&exchange_body(&code)).send().await;
        let (status, mut body) = answer.whole();
        // Other tests check the content of the tokens.
        for token in ["accessToken", "idToken"] {
            assert_eq!(body["items"][0][token].take().as_str().unwrap().split('.').count(), 3);
        }
        // 256 random bits in base64url.
        assert_eq!(body["items"][0]["refreshToken"].take().as_str().unwrap().len(), 43);
        let expected = json!({
            "kind": "tokens",
            "totalItems": 1,
            "itemsLength": 1,
            "items": [{
                "accessToken": null,
                "idToken": null,
                "expiresIn": "1777891320",
                "tokenType": "Bearer",
                "redirectUri": REDIRECT_URI,
                "refreshToken": null,
            }],
        });
        assert_eq!((status, body), (201, expected));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }

    async fn exchange_mismatch_is_refused_and_does_not_redeem_the_code(kind: Kind) {
        let school = School::start(kind).await;
        school.add_other_app().await;
        school
            .register(|registration| {
                registration.redirect_uris.push(redirect_uri("https://app.example.com/elsewhere"));
            })
            .await;
        let code = school.code(TEACHER).await;
        for mismatch in [
            json!({ "client_id": OTHER_APP }),
            json!({ "client_id": "44444444-4444-4444-4444-444444444444" }),
            json!({ "redirect_uri": "https://app.example.com/elsewhere" }),
            json!({ "redirect_uri": format!("{REDIRECT_URI}/") }),
            json!({ "state": "another-state" }),
            json!({ "state": STATE.to_uppercase() }),
            json!({ "code": format!("{code}A") }),
            json!({ "code": code.to_lowercase() }),
            json!({ "code": " " }),
            json!({ "code": "x".repeat(512) }),
            json!({ "code_verifier": "A".repeat(43) }),
        ] {
            let answer = school.request_tokens(&code, mismatch.clone()).await;
            assert_eq!(answer.whole(), refused(NOT_REDEEMABLE), "{mismatch}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 201);
    }

    async fn redeem_code_twice_second_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 201);
        for _ in 0..2 {
            assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        }
    }

    async fn redeem_code_concurrently_one_request_gets_tokens(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        let swaps = (0..16).map(|_| school.request_tokens(&code, json!({})));
        let answers = futures_util::future::join_all(swaps).await;
        let (swapped, turned_away): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 201);
        assert_eq!(swapped.len(), 1);
        for answer in turned_away {
            assert_eq!(answer.whole(), refused(NOT_REDEEMABLE));
        }
    }

    async fn exchange_with_prefixed_client_id_is_accepted(kind: Kind) {
        let school = School::start(kind).await;
        for client_id in [format!("app_{APP}"), APP.to_string().to_uppercase()] {
            let code = school.code(TEACHER).await;
            let answer = school.request_tokens(&code, json!({ "client_id": client_id })).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
        }
    }

    async fn exchange_loopback_redirect_uri_requires_the_requested_port(kind: Kind) {
        let school = School::start(kind).await;
        school
            .register(|registration| registration.redirect_uris = vec![redirect_uri("http://127.0.0.1/cb")])
            .await;
        let changes = json!({ "redirectUri": "http://127.0.0.1:49152/cb" });
        let url = school.request_code(changes).await.json()["items"][0]["nextAction"]["url"].clone();
        let code = code_in(&url.as_str().unwrap().parse().unwrap());
        for other in ["http://127.0.0.1/cb", "http://127.0.0.1:49153/cb"] {
            let answer = school.request_tokens(&code, json!({ "redirect_uri": other })).await;
            assert_eq!(answer.whole(), refused(NOT_REDEEMABLE), "{other}");
        }
        let answer = school.request_tokens(&code, json!({ "redirect_uri": "http://127.0.0.1:49152/cb" })).await;
        assert_eq!(answer.json()["items"][0]["redirectUri"], "http://127.0.0.1:49152/cb");
    }

    async fn redeem_code_at_its_expiry_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let (in_time, late) = (school.code(TEACHER).await, school.code(TEACHER).await);
        school.clock.advance(TimeDelta::milliseconds(59_999));
        assert_eq!(school.request_tokens(&in_time, json!({})).await.status, 201);
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(school.request_tokens(&late, json!({})).await.whole(), refused(NOT_REDEEMABLE));
    }

    async fn code_or_token_that_expires_during_the_request_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let late = |body: Vec<u8>, by: TimeDelta| {
            let clock = school.clock.clone();
            let halves = body.split_at(body.len() / 2);
            let halves = [(halves.0.to_vec(), TimeDelta::zero()), (halves.1.to_vec(), by)];
            halves.into_iter().map(move |(half, later)| {
                clock.advance(later);
                half
            })
        };
        let swap = async |code: &str, by: TimeDelta| {
            let body = late(exchange_body(code).to_string().into_bytes(), by);
            school.post("/api/v1/tokens").header("Content-Type", "application/json").chunks(body).send().await
        };
        let (in_time, too_late) = (school.code(TEACHER).await, school.code(TEACHER).await);
        let swapped = swap(&in_time, TimeDelta::milliseconds(59_999)).await;
        assert_eq!(swapped.status, 201, "{}", swapped.text);
        assert_eq!(swap(&too_late, TimeDelta::milliseconds(1)).await.whole(), refused(NOT_REDEEMABLE));

        let token = swapped.json()["items"][0]["accessToken"].as_str().unwrap().to_owned();
        let generate = school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(&token);
        let answer = generate.chunks(late(vec![b' '; 2], TimeDelta::hours(1))).send().await;
        assert_eq!(answer.status, 401, "{}", answer.text);
        // The response contains the same instant.
        assert_eq!(answer.json()["timestamp"], "2026-05-04T10:43:00Z");
    }

    async fn sweep_keeps_an_unredeemed_code_for_five_minutes_and_a_redeemed_one_for_a_day(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        delete_expired(&school.db, school.clock.now() + TimeDelta::minutes(5)).await.unwrap();
        let _abandoned = school.code(STUDENT).await;
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 201);
        let left = async |after: TimeDelta| {
            delete_expired(&school.db, school.clock.now() + TimeDelta::seconds(60) + after).await.unwrap();
            authorization_code::Entity::find().count(school.db.read()).await.unwrap()
        };
        assert_eq!(left(KEEP_CODES - TimeDelta::milliseconds(1)).await, 2);
        assert_eq!(left(KEEP_CODES).await, 1, "the redeemed code stays, so that its reuse is detected");
        assert_eq!(left(KEEP_REDEEMED_CODES - TimeDelta::milliseconds(1)).await, 1);
        assert_eq!(left(KEEP_REDEEMED_CODES).await, 0);
    }

    async fn sweep_with_wrong_clock_deletes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        school.clock.advance(TimeDelta::hours(-1));
        school.code(TEACHER).await;
        let left = async |ahead: TimeDelta| {
            delete_expired_if_clocks_agree(&school.db, SystemClock.now() + ahead, None).await.unwrap();
            authorization_code::Entity::find().count(school.db.read()).await.unwrap()
        };
        assert_eq!(left(TimeDelta::minutes(2)).await, 1);
        assert_eq!(left(TimeDelta::minutes(-2)).await, 1);
        assert_eq!(left(TimeDelta::days(365)).await, 1);
        assert_eq!(left(TimeDelta::zero()).await, 0);
    }

    async fn issue_code_beyond_the_bound_deletes_the_oldest_of_its_account(kind: Kind) {
        let school = School::start(kind).await;
        let others = school.code(STUDENT).await;
        let mut codes = Vec::new();
        for _ in 0..102 {
            school.clock.advance(TimeDelta::milliseconds(1));
            codes.push(school.code(TEACHER).await);
        }
        for replaced in &codes[..2] {
            assert_eq!(school.request_tokens(replaced, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        }
        for kept in [&codes[2], &codes[101], &others] {
            assert_eq!(school.request_tokens(kept, json!({})).await.status, 201);
        }
        // Redeemed codes do not count. They stay, so that a second use is recognized.
        school.code(TEACHER).await;
        assert_eq!(school.request_tokens(&codes[3], json!({})).await.status, 201);
        assert_eq!(authorization_code::Entity::find().count(school.db.read()).await.unwrap(), 102);
    }

    async fn exchange_for_disabled_or_unconfirmed_account_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let (teachers, students) = (school.code(TEACHER).await, school.code(STUDENT).await);
        school.change_account(TEACHER, |account| account.enabled = false).await;
        assert_eq!(school.request_tokens(&teachers, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        school.change_account(STUDENT, |account| account.email_verified_at = None).await;
        assert_eq!(school.request_tokens(&students, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        // The code itself was not redeemed.
        school.change_account(TEACHER, |account| account.enabled = true).await;
        assert_eq!(school.request_tokens(&teachers, json!({})).await.status, 201);
    }

    async fn exchange_for_disabled_app_is_refused_and_its_codes_stay_useless(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        for enabled in [false, true] {
            school.register(|registration| registration.app.enabled = enabled).await;
            assert_eq!(school.request_tokens(&code, json!({})).await.whole(), refused(NOT_REDEEMABLE));
        }
        let code = school.code(TEACHER).await;
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 201);
    }

    async fn exchange_without_properties_lists_all_in_documented_order(kind: Kind) {
        let school = School::start(kind).await;
        let answer = school.post("/api/v1/tokens").json(&json!({})).send().await;
        let messages = ["client_id", "service", "grant_type", "redirect_uri", "code", "state"]
            .map(|name| format!("{name} is required"));
        assert_eq!(answer.whole(), errors(400, "[E4000]", &messages.each_ref().map(String::as_str)));
        let answer = school.request_tokens("code", json!({ "grant_type": "refresh_token", "code": null })).await;
        assert_eq!(answer.whole(), errors(400, "[E4000]", &["refresh_token is required"]));
    }

    async fn exchange_null_optional_property_counts_as_absent(kind: Kind) {
        let school = School::start(kind).await;
        let code = school.code(TEACHER).await;
        for name in ["client_id", "service", "grant_type", "redirect_uri", "code", "state"] {
            assert_eq!(faulty(&school.request_tokens(&code, json!({ name: null })).await), [name]);
        }
        let optional = json!({
            "code_verifier": null, "nonce": null, "auth_time": null, "scope": null, "refresh_token": null, "prompt": null,
        });
        let answer = school.request_tokens(&code, optional).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    async fn exchange_value_out_of_bounds_is_a_violation(kind: Kind) {
        let school = School::start(kind).await;
        for (name, value) in [
            ("client_id", json!("app_")),
            ("client_id", json!(format!("App_{APP}"))),
            ("client_id", json!(format!("{{{APP}}}"))),
            ("client_id", json!(uuid::Uuid::from(APP).simple().to_string())),
            ("service", json!("google")),
            ("grant_type", json!("password")),
            ("redirect_uri", json!("")),
            ("redirect_uri", json!("callback")),
            ("code", json!("")),
            ("code", json!("x".repeat(513))),
            ("code", json!(null)),
            ("state", json!("a\n")),
            ("state", json!("a".repeat(1025))),
            ("nonce", json!("")),
            ("nonce", json!("a".repeat(1025))),
            ("nonce", json!(7)),
            ("nonce", json!("\u{1F511}")),
            ("code", json!("é")),
            ("auth_time", json!(1_777_887_720)),
            ("auth_time", json!(1.5)),
            ("auth_time", json!("")),
            ("auth_time", json!("-1")),
            ("auth_time", json!("1777887720.5")),
            ("auth_time", json!(" 1777887720")),
            ("auth_time", json!("\u{661}")),
            ("auth_time", json!("1".repeat(21))),
            ("auth_time", json!([])),
            ("state", json!("a\u{85}")),
            ("scope", json!("openid  email")),
            ("scope", json!(" ")),
            ("scope", json!("e\"mail")),
            ("scope", json!("a".repeat(1025))),
            ("refresh_token", json!(7)),
            ("refresh_token", json!("a".repeat(513))),
            ("refresh_token", json!("é")),
            ("prompt", json!(7)),
            ("prompt", json!("None")),
        ] {
            let answer = school.request_tokens("code", json!({ name: value })).await;
            assert_eq!(faulty(&answer), [name], "{name} = {value}");
        }
        // An unknown code is not a violation: the request is valid.
        for (name, value) in [
            ("nonce", json!("~".repeat(1024))),
            ("auth_time", json!("0")),
            ("auth_time", json!("1777887720")),
            ("auth_time", json!("9".repeat(20))),
            ("scope", json!("")),
            ("scope", json!("a".repeat(1024))),
            ("refresh_token", json!("")),
            ("prompt", json!("none")),
        ] {
            let answer = school.request_tokens("code", json!({ name: value })).await;
            assert_eq!(answer.whole(), refused(NOT_REDEEMABLE), "{name} = {value}");
        }
    }
}
