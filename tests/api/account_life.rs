//! The life of an account over HTTP, from the registration to its end.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{
    APP, Answer, School,
    accounts::{NEW_PASSWORD, NEW_USER, OTHER_PASSWORD, secret_in},
    both, code_in, exchange_body, sign_in_body,
    signing_in::{CREDENTIALS, changed, refused},
};

/// The claims of a JWT.
fn claims(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// Signs in to the new account, and exchanges the code with this scope.
async fn tokens(school: &School, password: &str, scope: &str) -> Value {
    let answer =
        school.post("/api/v1/codes").json(&changed(sign_in_body(NEW_USER), json!({ "password": password })));
    let answer = answer.send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let url = answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap().parse().unwrap();
    let body = changed(exchange_body(&code_in(&url)), json!({ "scope": scope }));
    let answer = school.post("/api/v1/tokens").json(&body).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["items"][0].clone()
}

async fn refresh(school: &School, token: &Value) -> Answer {
    let body = json!({
        "client_id": APP,
        "service": "email",
        "grant_type": "refresh_token",
        "refresh_token": token,
    });
    school.post("/api/v1/tokens").json(&body).send().await
}

fn access(tokens: &Value) -> &str {
    tokens["accessToken"].as_str().unwrap()
}

both! {
    async fn register_confirm_sign_in_refresh_replay_reset_change_and_leave(kind: Kind) {
        let school = School::start(kind).await;
        school.open_registration().await;
        let me = async |tokens: &Value| school.get("/api/v1/users/me").bearer(access(tokens)).send().await.status;

        // Register, and use the link of the mail.
        assert_eq!(school.request_user(json!({})).await.status, 201);
        let secret = secret_in(&school.take_mail(NEW_USER, "confirm").await);
        assert_eq!(school.confirm_address(&secret).await.status, 200);

        // Sign in, and refresh.
        let first = tokens(&school, NEW_PASSWORD, "openid email profile").await;
        assert_eq!(me(&first).await, 200);
        school.clock.advance(TimeDelta::minutes(50));
        let refreshed = refresh(&school, &first["refreshToken"]).await;
        assert_eq!(refreshed.status, 201, "{}", refreshed.text);
        let second = refreshed.json()["items"][0].clone();
        assert_eq!(me(&second).await, 200);

        // The old refresh token is refused. Its late use ends the session.
        school.clock.advance(TimeDelta::minutes(1));
        assert_eq!(refresh(&school, &first["refreshToken"]).await.status, 400);
        assert_eq!(me(&second).await, 401);
        assert_eq!(refresh(&school, &second["refreshToken"]).await.status, 400);

        // A reset ends the next session too.
        let third = tokens(&school, NEW_PASSWORD, "openid").await;
        let secret = school.reset_link(NEW_USER).await;
        let new = json!({ "password": OTHER_PASSWORD, "passwordConfirmation": OTHER_PASSWORD });
        assert_eq!(school.reset_password(&secret, new).await.status, 200);
        school.take_mail(NEW_USER, "password-changed").await;
        assert_eq!(me(&third).await, 401);
        assert_eq!(refresh(&school, &third["refreshToken"]).await.status, 400);
        let old = school.request_code(json!({ "email": NEW_USER, "password": NEW_PASSWORD })).await;
        assert_eq!(old.whole(), refused(CREDENTIALS));

        // The profile appears in the next id token.
        let fourth = tokens(&school, OTHER_PASSWORD, "openid").await;
        let names = json!({ "firstName": "Linh", "lastName": "Nguyễn" });
        let profile = school.call("PATCH", "/user/me").bearer(access(&fourth)).json(&names).send().await;
        assert_eq!(profile.status, 200, "{}", profile.text);
        let fifth = tokens(&school, OTHER_PASSWORD, "openid profile").await;
        let id = claims(fifth["idToken"].as_str().unwrap());
        assert_eq!((&id["name"], &id["given_name"], &id["family_name"]), (&json!("Linh Nguyễn"), &json!("Linh"), &json!("Nguyễn")));

        // Leave.
        let left = school.call("DELETE", "/api/v1/users/me").bearer(access(&fifth)).send().await;
        assert_eq!(left.status, 200, "{}", left.text);
        school.take_mail(NEW_USER, "account-deleted").await;
        for tokens in [&fourth, &fifth] {
            assert_eq!(me(tokens).await, 401);
            assert_eq!(refresh(&school, &tokens["refreshToken"]).await.status, 400);
        }
        let gone = school.request_code(json!({ "email": NEW_USER, "password": OTHER_PASSWORD })).await;
        assert_eq!(gone.whole(), refused(CREDENTIALS));
    }
}
