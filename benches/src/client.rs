//! A blocking HTTP client for requests whose body depends on an earlier response, which oha cannot send.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use ureq::Agent;

use crate::{Outcome, data, failed};

/// The app of all users.
pub const APP: &str = "11111111-1111-1111-1111-111111111111";
/// The redirect URI of the app.
pub const REDIRECT_URI: &str = "https://app.example.com/callback";
/// The password of all users.
pub const PASSWORD: &str = "VeryStrongPass123!";

/// A password that a registration accepts.
const NEW_PASSWORD: &str = "four unrelated words, lined up";

/// A client with its own connection.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    url: String,
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The body. Null if it is not JSON.
    pub body: Value,
    /// The time from the request to the end of the response, in milliseconds.
    pub latency: f64,
}

impl Client {
    /// A client of this server.
    pub fn new(server: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            // The server closes a connection after ten idle seconds. An older connection may close during a request.
            .max_idle_age(Duration::from_secs(5));
        Self { agent: config.build().new_agent(), url: format!("http://{server}") }
    }

    /// Sends a GET request.
    pub fn get(&self, path: &str, token: &str) -> Outcome<Response> {
        let begin = Instant::now();
        let request = self.agent.get(format!("{}{path}", self.url));
        read(begin, request.header("Authorization", format!("Bearer {token}")).call()?)
    }

    /// Sends a POST request without a body.
    pub fn post(&self, path: &str, token: &str) -> Outcome<Response> {
        let begin = Instant::now();
        let request = self.agent.post(format!("{}{path}", self.url));
        read(begin, request.header("Authorization", format!("Bearer {token}")).send_empty()?)
    }

    fn post_json(&self, path: &str, body: &str) -> Outcome<Response> {
        let begin = Instant::now();
        let request = self.agent.post(format!("{}{path}", self.url));
        read(begin, request.header("Content-Type", "application/json").send(body)?)
    }

    fn put_json(&self, path: &str, body: &str) -> Outcome<Response> {
        let begin = Instant::now();
        let request = self.agent.put(format!("{}{path}", self.url));
        read(begin, request.header("Content-Type", "application/json").send(body)?)
    }

    /// `createUser`
    pub fn create_user(&self, email: &str) -> Outcome<Response> {
        let body = json!({
            "appUuid": APP, "email": email, "password": NEW_PASSWORD, "passwordConfirmation": NEW_PASSWORD,
            "acceptedTermsAndConditions": true, "acceptedDataPrivacy": true,
        });
        self.post_json("/api/v1/users?language=en", &body.to_string())
    }

    /// `updateUser`, which asks for a mail with a link to set a new password
    pub fn forget_password(&self, email: &str) -> Outcome<Response> {
        let body = json!({ "appUuid": APP, "email": email });
        self.put_json("/api/v1/users?language=en", &body.to_string())
    }

    /// `createCode`
    pub fn create_code(&self, user: usize, password: &str) -> Outcome<Response> {
        self.post_json("/api/v1/codes", &create_code_body(user, password))
    }

    /// `createToken` with the code of a response of `createCode`
    pub fn create_token(&self, code: &Response) -> Outcome<Response> {
        let url = code.body["items"][0]["nextAction"]["url"].as_str().unwrap_or_default();
        let code = url.split(['?', '&']).find_map(|parameter| parameter.strip_prefix("code="));
        let body = json!({
            "client_id": APP, "service": "email", "grant_type": "authorization_code", "redirect_uri": REDIRECT_URI,
            "code": code.ok_or("createCode returned no code")?, "state": "state-from-client",
        });
        self.post_json("/api/v1/tokens", &body.to_string())
    }

    /// `createToken` with a refresh token
    pub fn refresh(&self, token: &str) -> Outcome<Response> {
        let body = json!({
            "client_id": APP, "service": "email", "grant_type": "refresh_token", "refresh_token": token,
        });
        self.post_json("/api/v1/tokens", &body.to_string())
    }

    /// The access token of a user.
    pub fn sign_in(&self, user: usize) -> Outcome<String> {
        let code = self.create_code(user, PASSWORD)?;
        access_token(&self.create_token(&code)?)
    }

    /// `joinClassByCode`
    pub fn join(&self, code: &str, token: &str) -> Outcome<Response> {
        self.post(&format!("/classes/join/{code}"), token)
    }
}

/// The request body of `createCode`.
pub fn create_code_body(user: usize, password: &str) -> String {
    let body = json!({
        "appUuid": APP, "email": data::email(user), "password": password, "state": "state-from-client",
        "redirectUri": REDIRECT_URI, "acceptPrivacyPolicy": false,
    });
    body.to_string()
}

/// The access token of a response of `createToken`.
pub fn access_token(response: &Response) -> Outcome<String> {
    token(response, "accessToken")
}

/// The refresh token of a response of `createToken`.
pub fn refresh_token(response: &Response) -> Outcome<String> {
    token(response, "refreshToken")
}

fn token(response: &Response, name: &str) -> Outcome<String> {
    match response.body["items"][0][name].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => failed(format!("createToken returned {}: {}", response.status, response.body)),
    }
}

fn read(begin: Instant, mut response: ureq::http::Response<ureq::Body>) -> Outcome<Response> {
    let body = response.body_mut().read_to_string()?;
    let retry_after = response.headers().get("retry-after");
    Ok(Response {
        status: response.status().as_u16(),
        retry_after: retry_after.and_then(|value| value.to_str().ok()?.parse().ok()),
        body: serde_json::from_str(&body).unwrap_or_default(),
        latency: begin.elapsed().as_secs_f64() * 1000.0,
    })
}

/// Arrivals of a Poisson process: independent of each other, `rate` per second on average.
pub fn poisson(rate: f64, random: &mut fastrand::Rng) -> impl Iterator<Item = Duration> {
    let mut at = 0.0;
    std::iter::repeat_with(move || {
        at -= (1.0 - random.f64()).ln() / rate;
        Duration::from_secs_f64(at)
    })
}

/// Runs `work` once per arrival, in a thread of its own, whether or not the earlier ones have ended.
pub fn at_arrivals<T: Send>(
    arrivals: &[Duration],
    work: impl Fn(usize) -> Outcome<T> + Sync,
) -> Outcome<Vec<T>> {
    let (begin, work) = (Instant::now(), &work);
    thread::scope(|scope| {
        let spawn = |(index, arrival): (usize, &Duration)| {
            thread::sleep((begin + *arrival).saturating_duration_since(Instant::now()));
            scope.spawn(move || work(index))
        };
        let threads: Vec<_> = arrivals.iter().enumerate().map(spawn).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| failed("a thread panicked")))
            .collect()
    })
}
