//! Values with several spellings: e-mail addresses, join codes, redirect URIs, and text with characters that a database
//! refuses.

use homeroom::{
    domain::origin::Origin,
    entity::app,
    identity::apps::{Apps, RegisterError},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::support::{PASSWORD, STUDENT, School, TEACHER, both, process::Site, signing_in::redirect_uri};

/// Spellings of one address, as keyboards, mail programs and documents write it.
const SPELLINGS: [&str; 7] = [
    "user@münchen.example",
    "User@MÜNCHEN.Example",
    "user@mu\u{308}nchen.example",
    "user@xn--mnchen-3ya.example",
    "USER@XN--MNCHEN-3YA.EXAMPLE",
    "user@münchen。example",
    "user@ｍünchen．example",
];
const ASCII: &str = "user@xn--mnchen-3ya.example";

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

both! {
    async fn address_in_every_spelling_is_one_account_and_its_token_has_the_ascii_form(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        school.add_account(SPELLINGS[0]).await;
        for spelling in SPELLINGS {
            let answer = school.request_code(json!({ "email": spelling })).await;
            assert_eq!(answer.status, 201, "{spelling:?}: {}", answer.text);
            let url = answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap().parse().unwrap();
            let tokens = school.request_tokens(&crate::support::code_in(&url), json!({ "scope": "openid email" })).await;
            let token = tokens.json()["items"][0]["idToken"].as_str().unwrap().to_owned();
            assert_eq!(claims(&token)["email"], ASCII, "{spelling:?}");
        }
    }

    async fn account_of_another_spelling_is_refused_and_the_list_has_the_ascii_form(kind: Kind) {
        let site = Site::new(kind).await;
        let id = site.add_user(SPELLINGS[0], PASSWORD).await.success();
        for spelling in SPELLINGS {
            let line = site.add_user(spelling, PASSWORD).await.refusal();
            assert_eq!(line, "error: this e-mail address has an account already\n");
        }
        let listed = site.run(&["user", "list"]).await.success();
        assert_eq!(listed, format!("{}\t{ASCII}\tactive\n", id.trim()));
        let class = site.run(&["class", "add", "--owner", SPELLINGS[1], "--name", "10A1"]).await;
        class.success();
    }

    async fn text_with_a_control_character_in_any_property_is_never_a_5xx(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let controls = ['\0', '\t', '\n', '\r', '\u{1B}', '\u{7F}', '\u{85}', '\u{9F}', '\u{200B}', '\u{FEFF}'];
        let sent: [(&str, &[&str]); 8] = [
            ("email", &["{}user@example.com", "user@exa{}mple.com", "user@{}[127.0.0.1]", "{}@[::1]"]),
            ("password", &["{}VeryStrongPass123!"]),
            ("state", &["a{}b"]),
            ("redirectUri", &["https://app.example.com/callback{}", "http://127.0.0.1:{}80/cb", "a{}:/"]),
            ("codeChallenge", &["{}"]),
            ("codeChallengeMethod", &["S256{}"]),
            ("appUuid", &["11111111-1111-1111-1111-111111111111{}"]),
            ("unknown{}", &["{}"]),
        ];
        for (name, texts) in sent {
            for (text, control) in texts.iter().flat_map(|text| controls.map(|control| (text, control))) {
                let put = |text: &str| text.replace("{}", &control.to_string());
                let mut changes = json!({});
                changes[put(name)] = put(text).into();
                let answer = school.request_code(changes).await;
                let harmless = name == "unknown{}" || name == "state" && !control.is_control();
                let expected = if harmless { 201 } else { 400 };
                assert_eq!(answer.status, expected, "{name} {text} {control:?}: {}", answer.text);
            }
        }
        let code = school.code(TEACHER).await;
        for name in ["client_id", "service", "grant_type", "redirect_uri", "code", "state", "code_verifier", "nonce", "scope"] {
            for control in controls {
                let mut changes = json!({});
                changes[name] = format!("a{control}").into();
                let answer = school.request_tokens(&code, changes).await;
                assert_eq!(answer.status, 400, "{name} {control:?}: {}", answer.text);
            }
        }
        let student = school.token(STUDENT).await;
        for control in controls {
            let control = utf8_percent_encode(&control.to_string(), NON_ALPHANUMERIC).to_string();
            assert_eq!(school.join(&student, &format!("7KQ2M9X{control}")).await.status, 400, "{control}");
            let class = school.get(&format!("/classes/{control}")).bearer(&student).send().await;
            assert_eq!(class.status, 404, "{control}");
        }
    }

    async fn join_code_typed_on_any_keyboard_is_accepted(kind: Kind) {
        let school = School::start_without_limits(kind).await;
        let teacher = school.token(TEACHER).await;
        let student = school.token(STUDENT).await;
        school.random.set_next(&[7, 17, 21, 0, 1, 9, 27, 12]);
        assert_eq!(school.generate_join_code(&teacher).await.expose(), "7KQ019XD");
        for (number, typed) in [
            "7KQ019XD", "7kq0-19xd", "7KQ0–19XD", "7KQ0—19XD", "7KQ0‑19XD", "7KQ0−19XD", "7KQ0\u{AD}19XD", "7KQ0－19XD",
            "7KQO\u{3000}I9XD", "７ＫＱ０１９ＸＤ", "７ｋｑｏｌ９ｘｄ", "\u{FEFF}7KQ019XD\u{200B}", "\u{200E}7KQ0\u{2060}19XD\u{200F}",
        ].iter().enumerate() {
            let encoded = utf8_percent_encode(typed, NON_ALPHANUMERIC).to_string();
            let expected = if number == 0 { 201 } else { 409 };
            let answer = school.join(&student, &encoded).await;
            assert_eq!(answer.status, expected, "{typed:?}: {}", answer.text);
        }
    }

    async fn text_that_cannot_be_a_join_code_counts_as_a_guess(kind: Kind) {
        let school = School::start(kind).await;
        let student = school.token(STUDENT).await;
        for number in 0..11 {
            let answer = school.join(&student, ["7KQ019XA", "%00", "7KQ019X%E2%80%93"][number % 3]).await;
            assert_eq!(answer.status, if number < 10 { 400 } else { 429 }, "{number}: {}", answer.text);
        }
    }

    async fn private_use_redirect_uri_needs_an_app_that_requires_pkce_and_belongs_to_no_origin(kind: Kind) {
        let school = School::start(kind).await;
        let mut registration = school.registration().await;
        registration.redirect_uris.insert(0, redirect_uri("com.example.app:/callback"));
        let refused = Apps::new(school.db.clone()).register(&registration).await;
        assert!(matches!(&refused, Err(RegisterError::PkceNotRequired(uri)) if uri == "com.example.app:/callback"));
        registration.app.pkce_required = true;
        Apps::new(school.db.clone()).register(&registration).await.unwrap();
        assert_eq!(school.registration().await, registration);

        let changes = json!({ "redirectUri": "com.example.app:/callback" });
        assert_eq!(school.request_code(changes).await.status, 400);
        let verifier = "a".repeat(43);
        let challenge = "ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA";
        let changes = json!({
            "redirectUri": "com.example.app:/callback", "codeChallenge": challenge, "codeChallengeMethod": "S256",
        });
        let answer = school.request_code(changes).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let url = answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap().to_owned();
        assert!(url.starts_with("com.example.app:/callback?code="), "{url}");
        assert!(url.contains("&redirect_uri=com.example.app:/callback&service=email&"), "{url}");
        let shown = json!({ "redirect_uri": "com.example.app:/callback", "code_verifier": verifier });
        let tokens = school.request_tokens(&crate::support::code_in(&url.parse().unwrap()), shown).await;
        assert_eq!(tokens.status, 201, "{}", tokens.text);
        assert_eq!(tokens.json()["items"][0]["redirectUri"], "com.example.app:/callback");

        for origin in ["null", "com.example.app:", "com.example.app://"] {
            assert!(Origin::parse(origin).is_err(), "{origin}");
            let preflight = school.call("OPTIONS", "/api/v1/codes").header("Origin", origin)
                .header("Access-Control-Request-Method", "POST").send().await;
            assert_eq!(preflight.header("access-control-allow-origin"), None, "{origin}");
        }
        let page = Origin::parse("https://app.example.com").unwrap();
        assert!(app::Entity::owns_origin(school.db.read(), None, &page).await.unwrap());
    }

    async fn loopback_redirect_uri_with_an_invalid_port_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        school.register(|registration| registration.redirect_uris.push(redirect_uri("http://127.0.0.1/cb"))).await;
        for (port, status) in [
            ("", 201), (":1", 201), (":80", 201), (":65535", 201),
            (":0", 400), (":00080", 400), (":080", 400), (":65536", 400), (":", 400), (":+80", 400), (":8 0", 400),
        ] {
            let answer = school.request_code(json!({ "redirectUri": format!("http://127.0.0.1{port}/cb") })).await;
            assert_eq!(answer.status, status, "{port}: {}", answer.text);
        }
    }

    async fn account_that_an_older_version_wrote_in_another_form_is_named_by_the_doctor(kind: Kind) {
        use sea_orm::{ConnectionTrait, Database};

        let site = Site::new(kind).await;
        for address in ["user@example.com", "other@example.com", ASCII] {
            site.add_user(address, PASSWORD).await.success();
        }
        let doctor = ["doctor", "--listen", "127.0.0.1:0", "--public-url", "https://homeroom.example.com"];
        let well = site.run(&doctor).await;
        assert!(well.out.contains("3, sign-in finds each account"), "{well:?}");
        let location = match &site.location {
            homeroom::db::DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            homeroom::db::DatabaseUrl::Postgres(url) => url.clone(),
        };
        let db = Database::connect(location).await.unwrap();
        for (from, to) in [("user@example.com", "user@münchen.example"), ("other@example.com", "a b@[127.0.0.1]")] {
            db.execute_unprepared(&format!("UPDATE users SET email = '{to}' WHERE email = '{from}'")).await.unwrap();
        }
        db.close().await.unwrap();
        let ended = site.run(&doctor).await;
        for part in [
            "sign-in does not find 2 of 3 accounts",
            &format!("\"user@münchen.example\" (same mailbox as {ASCII}, which has an account)"),
            "\"a b@[127.0.0.1]\" (not an e-mail address)",
        ] {
            assert!(ended.out.contains(part), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn redirect_uri_that_clients_cannot_send_back_is_refused_in_one_line_with_the_reason() {
    let site = Site::bare();
    site.run(&["migrate"]).await.success();
    for (uri, reason) in [
        ("https://a.example/%zz", "two hexadecimal digits"),
        ("https://a.example/[x]", "%5B"),
        ("https://a.example/a|b", "%7C"),
        ("https://a.example/a b", "write https://a.example/a%20b"),
        ("https://a.example/a\nb", "write https://a.example/ab"),
        ("https://bare.example.com", "normal form, as URL parsers write it: https://bare.example.com/"),
        ("https://A.example:443/./cb", "normal form, as URL parsers write it: https://a.example/cb"),
        ("http://127.0.0.1:0/cb", "port 0"),
        ("http://127.0.0.1:00080/cb", "normal form"),
        ("myapp:/cb", "a private-use scheme that has a dot in it"),
        ("com.example.app:/cb", "only an app that requires PKCE"),
    ] {
        let line = site.run(&["app", "add", "--name", "A", "--redirect-uri", uri]).await.refusal();
        assert!(line.starts_with("error: ") && line.contains(reason), "{uri}: {line}");
    }
    let private = ["app", "add", "--name", "A", "--redirect-uri", "com.example.app:/cb", "--require-pkce"];
    let id = site.run(&private).await.success();
    // Such a URI needs an app that requires PKCE.
    let line = site.run(&["app", "set", id.trim(), "--require-pkce", "false"]).await.refusal();
    assert!(line.contains("com.example.app:/cb"), "{line}");
}

#[tokio::test]
async fn redirect_uri_with_a_star_or_comma_is_registered_with_a_warning() {
    let site = Site::bare();
    site.run(&["migrate"]).await.success();
    for (uri, warning) in [
        ("https://*.example.com/cb", "wildcards are not supported"),
        ("https://a.example/,https://b.example/", "repeat the flag for each URI"),
        ("https://a.example/", ""),
    ] {
        let ended = site.run(&["app", "add", "--name", "A", "--redirect-uri", uri]).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let expected = usize::from(!warning.is_empty());
        assert!(ended.err.contains(warning) && ended.err.lines().count() == expected, "{ended:?}");
    }
}

#[tokio::test]
async fn argument_with_a_control_character_is_one_line_and_exit_2() {
    let site = Site::bare();
    for control in ['\u{1}', '\n', '\u{1B}', '\u{7F}', '\u{85}'] {
        let text = format!("a{control}b");
        let address = format!("a{control}b@example.com");
        for arguments in [
            vec!["app", "add", "--name", &text],
            vec!["app", "add", "--name", "A", "--policy-version", &text],
            vec!["app", "add", "--name", "A", "--login-domain", &text],
            vec!["app", "add", "--name", "A", "--redirect-uri", &text],
            vec!["user", "add", "--email", &address],
            vec!["user", "set", "--email", &address, "--enabled", "true"],
            vec!["user", "unlock", "--email", &address],
            vec!["class", "add", "--owner", &address, "--name", "A"],
            vec!["class", "add", "--owner", "a@example.com", "--name", &text],
        ] {
            let line = site.run(&arguments).await.refusal();
            assert!(line.starts_with("error: "), "{arguments:?}: {line}");
            assert!(!site.data().exists(), "{arguments:?} made a data directory");
        }
    }
}

#[tokio::test]
async fn trusted_proxies_with_blanks_and_mapped_networks_are_read() {
    let site = Site::bare().with("HOMEROOM_TRUSTED_PROXIES", "10.0.0.1, ::ffff:10.0.0.0/104 ,2001:db8::/32");
    site.listen("serve").await;
}
