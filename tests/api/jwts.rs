//! The tokens themselves: what they say, who can check them, and which ones open `/classes`.

use std::fs;

use aws_lc_rs::{rand::SystemRandom, rsa, signature::RSA_PKCS1_SHA256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use homeroom::{clock::Clock, identity::signing_keys, random::OsRandom};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{APP, Answer, OWN_CLASS, PUBLIC_URL, School, TEACHER, both, signing_in::changed};

/// 2026-05-04T09:42:00Z, when the school is founded.
const FOUNDED: i64 = 1_777_887_720;

/// A token's header and claims, unchecked.
fn read(token: &str) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let part = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (part(parts[0]), part(parts[1]))
}

/// A text of two or three parts, each of them in base64url but for the last.
fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Signs in, swaps the code `later`, and answers the access token and the id token.
async fn tokens(school: &School, later: TimeDelta, changes: Value) -> (String, String) {
    let code = school.code(TEACHER).await;
    school.clock.advance(later);
    let item = school.ask_tokens(&code, changes).await.json()["items"][0].take();
    let token = |name: &str| item[name].as_str().unwrap().to_owned();
    (token("accessToken"), token("idToken"))
}

async fn key_set(school: &School) -> Value {
    let answer = school.get("/.well-known/jwks.json").send().await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// Claims with which a token signed here opens `/classes`.
async fn accepted_claims(school: &School) -> Value {
    let claims = read(&school.token(TEACHER).await).1;
    assert_eq!(draw(school, &signed(school, "at+jwt", &claims)).await.status, 200);
    claims
}

/// A token with a true signature.
fn signed(school: &School, typ: &str, claims: &Value) -> String {
    school.server.identity.keys.signing(school.clock.now()).sign(typ, claims).unwrap()
}

async fn draw(school: &School, token: &str) -> Answer {
    school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(token).send().await
}

async fn assert_refused(school: &School, token: &str, why: &str) {
    let answer = draw(school, token).await;
    assert_eq!(answer.status, 401, "{why}");
    let invalid = r#"Bearer realm="homeroom", error="invalid_token""#;
    assert_eq!(answer.header("www-authenticate"), Some(invalid), "{why}");
}

both! {
    async fn an_access_token_says_who_signed_in_to_what_and_when(kind: Kind) {
        let school = School::found(kind).await;
        // The password was checked half a minute before the code was swapped.
        let (token, _) =
            tokens(&school, TimeDelta::seconds(30), json!({ "auth_time": "1", "nonce": "n" })).await;
        let (header, mut claims) = read(&token);
        let kid = key_set(&school).await["keys"][0]["kid"].clone();
        assert_eq!(header, json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }));
        let id: Uuid =
            claims.as_object_mut().unwrap().remove("jti").unwrap().as_str().unwrap().parse().unwrap();
        let (seconds, nanoseconds) = id.get_timestamp().unwrap().to_unix();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(DateTime::from_timestamp(seconds.cast_signed(), nanoseconds), Some(school.clock.now()));
        assert_eq!(
            claims,
            json!({
                "iss": PUBLIC_URL,
                "aud": PUBLIC_URL,
                "sub": school.account(TEACHER).await.id,
                "client_id": APP,
                "iat": FOUNDED + 30,
                "exp": FOUNDED + 30 + 60 * 60,
                "auth_time": FOUNDED,
            })
        );
    }

    async fn an_id_token_says_who_signed_in_and_more_only_if_asked(kind: Kind) {
        let school = School::found(kind).await;
        let (_, token) = tokens(&school, TimeDelta::seconds(30), json!({ "auth_time": "1" })).await;
        let (header, bare) = read(&token);
        let kid = key_set(&school).await["keys"][0]["kid"].clone();
        assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": kid }));
        let expected = json!({
            "iss": PUBLIC_URL,
            "aud": APP,
            "sub": school.account(TEACHER).await.id,
            "iat": FOUNDED + 30,
            "exp": FOUNDED + 30 + 60 * 60,
            "auth_time": FOUNDED,
        });
        assert_eq!(bare, expected);

        let asked = json!({ "nonce": "n-0S6_WzA2Mj \"", "scope": "openid email" });
        let (access, id) = tokens(&school, TimeDelta::zero(), asked).await;
        let email = json!({ "email": TEACHER, "email_verified": true });
        let echoed = changed(json!({ "nonce": "n-0S6_WzA2Mj \"" }), email);
        let at = json!({ "iat": FOUNDED + 30, "exp": FOUNDED + 3630, "auth_time": FOUNDED + 30 });
        assert_eq!(read(&id).1, changed(changed(expected, at), echoed));
        assert_eq!(read(&access).1["scope"], "openid email");
        assert_eq!(read(&access).1.get("email"), None);

        let (_, id) =
            tokens(&school, TimeDelta::zero(), json!({ "scope": "openid emails e-mail EMAIL" })).await;
        assert_eq!(read(&id).1.get("email"), None);
    }

    async fn audience_of_the_id_token_is_the_client_id_as_the_request_wrote_it(kind: Kind) {
        let school = School::found(kind).await;
        for client_id in [APP.to_string(), format!("app_{APP}")] {
            let (access, id) = tokens(&school, TimeDelta::zero(), json!({ "client_id": client_id })).await;
            assert_eq!(read(&id).1["aud"], client_id);
            assert_eq!(read(&access).1["aud"], PUBLIC_URL);
            assert_eq!(read(&access).1["client_id"], json!(APP));
        }
    }

    async fn configured_issuer_is_in_both_tokens_and_is_the_only_one_accepted(kind: Kind) {
        const ISSUER: &str = "f0af4569-4d5d-4c20-af95-5a80c74e30a6";
        let mut school = School::found(kind).await;
        let before = school.token(TEACHER).await;
        school.restart(|parts| ISSUER.clone_into(&mut parts.identity.issuer));
        let (access, id) = tokens(&school, TimeDelta::zero(), json!({})).await;
        let claims = read(&access).1;
        assert_eq!((&claims["iss"], &read(&id).1["iss"]), (&json!(ISSUER), &json!(ISSUER)));
        assert_eq!(claims["aud"], PUBLIC_URL);
        assert_eq!(draw(&school, &access).await.status, 200);
        assert_refused(&school, &before, "the issuer from before").await;
        for changes in [json!({ "iss": PUBLIC_URL }), json!({ "aud": ISSUER })] {
            let token = signed(&school, "at+jwt", &changed(claims.clone(), changes.clone()));
            assert_refused(&school, &token, &changes.to_string()).await;
        }
    }

    async fn every_access_token_has_an_id_of_its_own(kind: Kind) {
        let school = School::found(kind).await;
        let (one, other) = (school.token(TEACHER).await, school.token(TEACHER).await);
        assert_ne!(read(&one).1["jti"], read(&other).1["jti"]);
    }

    async fn tokens_live_as_long_as_their_app_says(kind: Kind) {
        let school = School::found(kind).await;
        school.register(|registration| registration.app.access_token_minutes = 5).await;
        let code = school.code(TEACHER).await;
        let item = school.ask_tokens(&code, json!({})).await.json()["items"][0].take();
        assert_eq!(item["expiresIn"], (FOUNDED + 300).to_string());
        for token in ["accessToken", "idToken"] {
            assert_eq!(read(item[token].as_str().unwrap()).1["exp"], FOUNDED + 300);
        }
    }

    async fn whoever_has_the_key_set_can_check_both_tokens(kind: Kind) {
        let school = School::found(kind).await;
        let (access, id) = tokens(&school, TimeDelta::zero(), json!({})).await;
        let keys = key_set(&school).await;
        let members: Vec<&String> = keys["keys"][0].as_object().unwrap().keys().collect();
        // The public members and no other: `d` would be the private key.
        assert_eq!(members, ["kty", "use", "alg", "kid", "n", "e"]);
        let keys: JwkSet = serde_json::from_value(keys).unwrap();
        for (token, audience) in [(access, PUBLIC_URL.to_owned()), (id, APP.to_string())] {
            let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
            let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
            let mut validation = Validation::new(Algorithm::RS256);
            validation.set_issuer(&[PUBLIC_URL]);
            validation.set_audience(&[audience]);
            // The library would ask the machine's clock, and the school has its own.
            validation.validate_exp = false;
            jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        }
    }

    async fn an_access_token_is_worth_nothing_from_the_very_second_of_its_expiry(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        // It was issued a quarter of a second past the full one, from which `exp` counts.
        school.clock.advance(TimeDelta::milliseconds(60 * 60 * 1000 - 251));
        assert_eq!(draw(&school, &token).await.status, 200);
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_refused(&school, &token, "expired").await;
    }

    async fn an_id_token_opens_nothing(kind: Kind) {
        let school = School::found(kind).await;
        let (_, id) = tokens(&school, TimeDelta::zero(), json!({})).await;
        assert_refused(&school, &id, "an id token").await;
        assert_eq!(school.join(&id, "7KQ2M9XD").await.status, 401);
        // Not even with all the claims of an access token: its type is another.
        let claims = accepted_claims(&school).await;
        assert_refused(&school, &signed(&school, "JWT", &claims), "typ").await;
    }

    async fn a_true_signature_under_other_claims_opens_nothing(kind: Kind) {
        let school = School::found(kind).await;
        let claims = accepted_claims(&school).await;
        for changes in [
            json!({ "aud": APP }),
            json!({ "aud": "https://other.example.com" }),
            json!({ "aud": format!("{PUBLIC_URL}/") }),
            json!({ "aud": null }),
            json!({ "iss": "https://other.example.com" }),
            json!({ "iss": null }),
            json!({ "exp": FOUNDED }),
            json!({ "exp": null }),
            json!({ "exp": "9999999999" }),
            json!({ "sub": "teacher" }),
        ] {
            let token = signed(&school, "at+jwt", &changed(claims.clone(), changes.clone()));
            assert_refused(&school, &token, &changes.to_string()).await;
        }
    }

    async fn a_token_that_this_server_did_not_sign_opens_nothing(kind: Kind) {
        let school = School::found(kind).await;
        let (access, id) = tokens(&school, TimeDelta::zero(), json!({})).await;
        let (header, claims) = read(&access);
        let signature = access.rsplit('.').next().unwrap();
        let others = id.rsplit('.').next().unwrap();
        let head = |changes| changed(header.clone(), changes);
        let later = changed(claims.clone(), json!({ "exp": FOUNDED + 1_000_000 }));
        for (why, token) in [
            ("another token's signature", format!("{}.{others}", unsigned(&header, &claims))),
            ("changed claims", format!("{}.{signature}", unsigned(&header, &later))),
            ("no signature", format!("{}.", unsigned(&header, &claims))),
            ("alg none", format!("{}.", unsigned(&head(json!({ "alg": "none" })), &claims))),
            (
                "alg none, signed",
                format!("{}.{signature}", unsigned(&head(json!({ "alg": "none" })), &claims)),
            ),
            (
                "another RSA algorithm",
                format!("{}.{signature}", unsigned(&head(json!({ "alg": "PS256" })), &claims)),
            ),
            ("an unknown key", format!("{}.{signature}", unsigned(&head(json!({ "kid": APP })), &claims))),
            (
                "no key",
                format!("{}.{signature}", unsigned(&json!({ "alg": "RS256", "typ": "at+jwt" }), &claims)),
            ),
            ("two parts", unsigned(&header, &claims)),
            ("four parts", format!("{access}.{signature}")),
            ("no token at all", "x".to_owned()),
        ] {
            assert_refused(&school, &token, why).await;
        }
        assert_eq!(draw(&school, &access).await.status, 200);
    }

    async fn the_public_key_is_no_shared_secret(kind: Kind) {
        let school = School::found(kind).await;
        let claims = accepted_claims(&school).await;
        let key = key_set(&school).await["keys"][0].take();
        let modulus = key["n"].as_str().unwrap();
        for secret in [modulus.as_bytes(), &URL_SAFE_NO_PAD.decode(modulus).unwrap()] {
            let header = Header {
                typ: Some("at+jwt".to_owned()),
                kid: Some(key["kid"].as_str().unwrap().to_owned()),
                ..Header::new(Algorithm::HS256)
            };
            let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
            assert_refused(&school, &token, "HS256").await;
        }
    }

    async fn a_token_that_was_seen_before_is_judged_by_the_clock_each_time(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        for _ in 0..2 {
            assert_eq!(draw(&school, &token).await.status, 200);
        }
        school.clock.advance(TimeDelta::minutes(60));
        assert_refused(&school, &token, "expired").await;
        assert_refused(&school, &token, "expired, and seen so before").await;
        // A clock that is set back makes it what it was.
        school.clock.advance(TimeDelta::minutes(-1));
        assert_eq!(draw(&school, &token).await.status, 200);
    }

    async fn a_token_that_was_seen_before_is_worth_nothing_once_its_key_is_retired(kind: Kind) {
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        assert_eq!(draw(&school, &token).await.status, 200);
        let old = school.server.identity.keys.signing(school.clock.now()).kid();
        signing_keys::rotate(&school.keys(), school.clock.now(), &OsRandom).unwrap();
        school.clock.advance(TimeDelta::minutes(10));
        signing_keys::retire(&school.keys(), old, school.clock.now()).unwrap();
        // As the server does each minute.
        school.server.identity.keys.reload().await;
        assert_refused(&school, &token, "its key is gone").await;
        assert_eq!(draw(&school, &school.token(TEACHER).await).await.status, 200);
    }

    async fn a_token_has_one_spelling_before_and_after_it_was_seen(kind: Kind) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let school = School::found(kind).await;
        let token = school.token(TEACHER).await;
        // Of the last character's six bits the signature takes two.
        let last = ALPHABET.iter().position(|byte| token.ends_with(char::from(*byte))).unwrap();
        let other = format!("{}{}", &token[..token.len() - 1], char::from(ALPHABET[last + 1]));
        for _ in 0..2 {
            assert_refused(&school, &other, "other bits").await;
            assert_refused(&school, &format!("{token}="), "padding").await;
            assert_refused(&school, &token.to_uppercase(), "another case").await;
            assert_eq!(draw(&school, &token).await.status, 200);
        }
    }

    async fn a_true_signature_under_another_header_opens_nothing(kind: Kind) {
        let school = School::found(kind).await;
        let claims = accepted_claims(&school).await;
        let kid = school.server.identity.keys.signing(school.clock.now()).kid();
        let accepted = format!(r#""typ":"at+jwt","alg":"RS256","kid":"{kid}""#);
        let sign = |header: &str| {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let signed = format!("{}.{}", part(header), part(&claims.to_string()));
            let pem = pem::parse(fs::read(school.keys().join(format!("{kid}.pem"))).unwrap()).unwrap();
            let pair = rsa::KeyPair::from_pkcs8(pem.contents()).unwrap();
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        for header in [
            // RFC 7515 section 4.1.11: what is critical must be known.
            format!(r#"{{{accepted},"crit":["exp"],"exp":1}}"#),
            format!(r#"{{{accepted},"crit":["b64"],"b64":true}}"#),
            format!(r#"{{{accepted},"crit":[]}}"#),
            format!(r#"{{{accepted},"crit":null}}"#),
            format!(r#"{{{accepted},"alg":"RS256"}}"#),
            format!(r#"{{{accepted},"typ":"at+jwt"}}"#),
            accepted.replace("RS256", "rs256").replace(r#""typ"#, r#"{"typ"#) + "}",
            accepted.replace("RS256", "RS384").replace(r#""typ"#, r#"{"typ"#) + "}",
            accepted.replace("at+jwt", "jwt").replace(r#""typ"#, r#"{"typ"#) + "}",
            format!("{{{accepted}}} {{}}"),
            "null".to_owned(),
        ] {
            assert_refused(&school, &sign(&header), &header).await;
        }
        // What else a header says is ignored (RFC 7515 section 4).
        for header in [format!("{{{accepted}}}"), format!(r#"{{"x":[1],{accepted},"cty":"x"}}"#)] {
            assert_eq!(draw(&school, &sign(&header)).await.status, 200, "{header}");
        }
    }
}
