//! Helpers for the sign-in tests: variations of the documented requests, and changes of accounts and apps.

use homeroom::{
    domain::{email::Email, id::AppId, origin::LoginDomain, redirect_uri::RedirectUri},
    entity::user,
    identity::{
        accounts::Accounts,
        apps::{Apps, Registration},
    },
};
use sea_orm::{ActiveModelTrait, IntoActiveModel};
use serde_json::{Value, json};

use super::{APP, Answer, School, TEACHER, exchange_body, sign_in_body};

pub const OTHER_APP: AppId = AppId::from_u128(0x5555_5555_5555_5555_5555_5555_5555_5555);
pub const CREDENTIALS: &str = "The e-mail address or the password is wrong";
pub const NOT_REDEEMABLE: &str =
    "The code is invalid, has expired or was redeemed, or was issued for something else";
pub const NOT_REFRESHABLE: &str =
    "The refresh token is invalid, was used before, or was issued to another app, or its session has ended";

impl School {
    /// Sends the documented request for a code with these changes.
    pub async fn request_code(&self, changes: Value) -> Answer {
        // A fixed request id, so that equal responses are equal in every byte.
        let call = self.post("/api/v1/codes").header("X-Request-Id", "fixed");
        call.json(&changed(sign_in_body(TEACHER), changes)).send().await
    }

    /// Sends the documented exchange with these changes.
    pub async fn request_tokens(&self, code: &str, changes: Value) -> Answer {
        self.post("/api/v1/tokens").json(&changed(exchange_body(code), changes)).send().await
    }

    /// The account of an address.
    pub async fn account(&self, email: &str) -> user::Model {
        Accounts::new(self.db.clone()).find(Email::parse(email).unwrap()).await.unwrap().unwrap()
    }

    /// Changes the account of an address.
    pub async fn change_account(&self, email: &str, change: impl FnOnce(&mut user::Model)) {
        let mut account = self.account(email).await;
        change(&mut account);
        account.into_active_model().reset_all().update(self.db.writer()).await.unwrap();
    }

    /// Signs in, and returns the tokens.
    pub async fn tokens(&self, email: &str) -> Value {
        let answer = self.request_tokens(&self.code(email).await, json!({})).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["items"][0].take()
    }

    /// Sends the documented refresh with these changes.
    pub async fn refresh(&self, token: &Value, changes: Value) -> Answer {
        let body = json!({
            "client_id": APP, "service": "email", "grant_type": "refresh_token", "refresh_token": token,
        });
        self.post("/api/v1/tokens").json(&changed(body, changes)).send().await
    }

    /// Registers a second app, which has nothing in common with the sample app.
    pub async fn add_other_app(&self) {
        let mut app = self.registration().await.app;
        app.id = OTHER_APP;
        let registration = Registration {
            app,
            redirect_uris: vec![redirect_uri("https://other.example.net/callback")],
            login_domains: vec![login_domain("login.example.net")],
            mail_domains: Vec::new(),
        };
        Apps::new(self.db.clone()).register(&registration).await.unwrap();
    }
}

/// `body` with these changes.
pub fn changed(mut body: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("not an object: {changes}") };
    body.as_object_mut().unwrap().extend(changes);
    body
}

/// A failure of the sign-in family, with an entry for each message.
pub fn errors(status: u16, code: &str, messages: &[&str]) -> (u16, Value) {
    let entry = |message: &&str| json!({ "validation": "error", "code": code, "message": message });
    (status, json!({ "errors": messages.iter().map(entry).collect::<Vec<_>>() }))
}

/// The response to a request that the sign-in family refuses with this message.
pub fn refused(message: &str) -> (u16, Value) {
    errors(400, "[E4000]", &[message])
}

/// The properties with violations: the first word of each message.
pub fn faulty(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let messages: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert_eq!(answer.whole(), errors(400, "[E4000]", &messages));
    messages.iter().map(|message| message.split(' ').next().unwrap().to_owned()).collect()
}

pub fn redirect_uri(text: &str) -> RedirectUri {
    RedirectUri::register(text).unwrap()
}

pub fn login_domain(text: &str) -> LoginDomain {
    LoginDomain::parse(text).unwrap()
}
