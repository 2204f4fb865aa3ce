//! Requests, as bytes, and what is taken out of the answers.

use std::io::Write;

/// The app that everybody signs in to.
pub const APP: &str = "11111111-1111-1111-1111-111111111111";
/// Where it has its users sent back to.
pub const REDIRECT_URI: &str = "https://app.example.com/callback";
/// Everybody's password.
pub const PASSWORD: &str = "VeryStrongPass123!";

/// A user's address.
pub fn email(user: usize) -> String {
    format!("user{user}@school.example")
}

/// A class's id, as it was filled in.
pub fn class(number: usize) -> String {
    format!("00000000-0000-7000-9000-{number:012x}")
}

/// `createCode`
pub fn sign_in(email: &str, password: &str, request: &mut Vec<u8>) {
    let body = format!(
        r#"{{"appUuid":"{APP}","email":"{email}","password":"{password}","state":"state-from-client","redirectUri":"{REDIRECT_URI}","acceptPrivacyPolicy":false}}"#
    );
    post("/api/v1/codes", &body, request);
}

/// `createToken`
pub fn exchange(code: &str, request: &mut Vec<u8>) {
    let body = format!(
        r#"{{"client_id":"{APP}","service":"email","grant_type":"authorization_code","redirect_uri":"{REDIRECT_URI}","code":"{code}","state":"state-from-client"}}"#
    );
    post("/api/v1/tokens", &body, request);
}

/// `generateJoinCode`
pub fn draw(class: usize, token: &str, request: &mut Vec<u8>) {
    _ = write!(
        request,
        "POST /classes/00000000-0000-7000-9000-{class:012x}/join-code HTTP/1.1\r\nHost: homeroom\r\n\
         Authorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    );
}

/// `joinClassByCode`
pub fn join(code: &str, token: &str, request: &mut Vec<u8>) {
    _ = write!(
        request,
        "POST /classes/join/{code} HTTP/1.1\r\nHost: homeroom\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

/// `getClassById`
pub fn read(class: usize, token: &str, request: &mut Vec<u8>) {
    let class = self::class(class);
    _ = write!(
        request,
        "GET /classes/{class} HTTP/1.1\r\nHost: homeroom\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
}

/// Anything that needs no more than its path.
pub fn get(path: &str, request: &mut Vec<u8>) {
    _ = write!(request, "GET {path} HTTP/1.1\r\nHost: homeroom\r\n\r\n");
}

fn post(path: &str, body: &str, request: &mut Vec<u8>) {
    _ = write!(
        request,
        "POST {path} HTTP/1.1\r\nHost: homeroom\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// The text behind `before`, up to the next of `ends`.
pub fn between(body: &[u8], before: &str, ends: [char; 2]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let rest = &text[text.find(before)? + before.len()..];
    Some(rest[..rest.find(ends)?].to_owned())
}

/// The code in the answer to a sign-in.
pub fn code_in(body: &[u8]) -> Option<String> {
    between(body, "code=", ['&', '"'])
}

/// The access token in the answer to an exchange.
pub fn token_in(body: &[u8]) -> Option<String> {
    between(body, r#""accessToken":""#, ['"', '"'])
}
