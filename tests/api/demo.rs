//! `homeroom demo` with the documented requests.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use crate::support::{
    PUBLIC_URL, both,
    process::{Server, Site, send},
};

/// The exact body of the documented sign-in request.
const SIGN_IN: &str = r#"{"appUuid":"11111111-1111-1111-1111-111111111111","email":"user@example.com","password":"VeryStrongPass123!","state":"state-from-client","redirectUri":"https://app.example.com/callback","acceptPrivacyPolicy":false}"#;

/// The URL in the documented response, before and after the code.
const CALLBACK: [&str; 2] = [
    "https://app.example.com/callback?code=",
    "&state=state-from-client&client_id=app_11111111-1111-1111-1111-111111111111\
     &redirect_uri=https://app.example.com/callback&service=email&grant_type=authorization_code",
];

/// Sends the documented sign-in request, compares the response, and exchanges the code.
async fn sign_in(server: &Server) -> String {
    let request = server.post("/api/v1/codes").header(CONTENT_TYPE, "application/json").body(SIGN_IN);
    let (status, body) = send(request).await;
    let action = &body["items"][0]["nextAction"];
    let url = action["url"].as_str().unwrap();
    let code = url.strip_prefix(CALLBACK[0]).and_then(|rest| rest.strip_suffix(CALLBACK[1])).unwrap();
    let expected = serde_json::json!({
        "kind": "codes",
        "totalItems": 1,
        "itemsLength": 1,
        "items": [{ "nextAction": { "action": "httpRequest", "url": url, "method": "GET" } }],
    });
    assert_eq!((status, &body), (201, &expected));
    server.token(code).await
}

/// Sends the documented request for a join code to the documented base path, and returns the code.
async fn generate_join_code(server: &Server, token: &str) -> String {
    let path = "/api/classes/22222222-2222-2222-2222-222222222222/join-code";
    let (status, body) = send(server.post(path).header(AUTHORIZATION, format!("Bearer {token}"))).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["success"], &body["code"]), (&Value::Bool(true), &200.into()));
    assert_eq!(body["message"], "Join code generated successfully");
    assert!(body["data"]["expiresAt"].is_string(), "{body}");
    body["data"]["joinCode"].as_str().unwrap().to_owned()
}

both! {
    async fn demo_twice_documented_requests_succeed(kind: Kind) {
        let site = Site::new(kind).await;
        let mut listings = Vec::new();
        for _ in 0..2 {
            let server = site.listen("demo").await;
            let token = sign_in(&server).await;
            assert_ne!(generate_join_code(&server, &token).await, generate_join_code(&server, &token).await);
            let mut listing = String::new();
            for subject in ["app", "user", "class"] {
                listing += &site.run(&[subject, "list"]).await.success();
            }
            listings.push(listing);
        }
        assert_eq!(listings[0], listings[1], "the second time makes nothing anew");
        assert_eq!(listings[0].matches("@example.com\tactive").count(), 3, "{}", listings[0]);
    }
}

#[tokio::test]
async fn demo_prints_requests_for_its_address() {
    let site = Site::bare();
    let server = site.listen("demo").await;
    sign_in(&server).await;
    let output = server.program.out();
    for path in [
        "/api/v1/codes",
        "/api/v1/tokens",
        "/classes/22222222-2222-2222-2222-222222222222/join-code",
        "/classes/join/",
        "/classes/22222222-2222-2222-2222-222222222222/students",
    ] {
        assert!(output.contains(&format!("{}{path}", server.url)), "{path} is not in {output}");
    }
    assert!(output.contains(PUBLIC_URL), "{output}");
    // The documented body with another address.
    let (before, after) = SIGN_IN.split_once("user@example.com").unwrap();
    assert!(output.contains(before) && output.contains(after), "{output}");
}

#[tokio::test]
async fn demo_below_a_path_printed_requests_succeed() {
    let site = Site::bare();
    let server = site.listen_as("demo", "https://school.example/homeroom").await;
    let printed = server.program.out();
    let (_, commands) = printed.split_once("/docs\n").unwrap();
    let commands = commands.lines().filter(|line| !line.starts_with("Its public URL"));
    let script = commands.collect::<Vec<_>>().join("\n");
    let ran = std::process::Command::new("bash").args(["-euc", &script]).output().unwrap();
    let [out, err] = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(ran.status.success(), "{out}{err}");
    let answers = serde_json::Deserializer::from_str(&out).into_iter::<Value>();
    let answers: Vec<Value> = answers.collect::<Result<_, _>>().unwrap_or_else(|_| panic!("{out}{err}"));
    let [joined, added, roster] = &answers[..] else { panic!("{out}{err}") };
    assert_eq!((&joined["success"], &joined["code"]), (&true.into(), &201.into()));
    assert_eq!(added["data"]["username"], "linh.nguyen@students.demo.invalid", "{added}");
    assert_eq!(roster["pagination"]["totalItems"], 2, "{roster}");
}
