//! The tokens: their claims, their verification by others, and the tokens that the server refuses.

use std::fs;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa,
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use homeroom::{clock::Clock, domain::person::PersonName, identity::signing_keys, random::OsRandom};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{APP, Answer, OWN_CLASS, PUBLIC_URL, School, TEACHER, both, signing_in::changed};

/// 2026-05-04T09:42:00Z, the time at which the test school starts.
const FOUNDED: i64 = 1_777_887_720;

/// The unverified header and claims of a token.
fn read(token: &str) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let part = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (part(parts[0]), part(parts[1]))
}

/// Joins parts in base64url, except for the last part, which is appended as it is.
fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Signs in, exchanges the code `later`, and returns the access token and the id token.
async fn tokens(school: &School, later: TimeDelta, changes: Value) -> (String, String) {
    let code = school.code(TEACHER).await;
    school.clock.advance(later);
    let item = school.request_tokens(&code, changes).await.json()["items"][0].take();
    let token = |name: &str| item[name].as_str().unwrap().to_owned();
    (token("accessToken"), token("idToken"))
}

async fn key_set(school: &School) -> Value {
    let answer = school.get("/.well-known/jwks.json").send().await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// The claims of a valid access token.
async fn accepted_claims(school: &School) -> Value {
    let claims = read(&school.token(TEACHER).await).1;
    assert_eq!(generate_join_code(school, &signed(school, "at+jwt", &claims)).await.status, 200);
    claims
}

/// A token that the server's key signed.
fn signed(school: &School, typ: &str, claims: &Value) -> String {
    school.server.identity.keys.signing(school.clock.now()).sign(typ, claims).unwrap()
}

async fn generate_join_code(school: &School, token: &str) -> Answer {
    school.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(token).send().await
}

async fn assert_refused(school: &School, token: &str, why: &str) {
    let answer = generate_join_code(school, token).await;
    assert_eq!(answer.status, 401, "{why}");
    let invalid = r#"Bearer realm="homeroom", error="invalid_token""#;
    assert_eq!(answer.header("www-authenticate"), Some(invalid), "{why}");
}

both! {
    async fn access_token_has_the_documented_claims(kind: Kind) {
        let school = School::start(kind).await;
        // The sign-in was half a minute before the exchange.
        let (token, _) =
            tokens(&school, TimeDelta::seconds(30), json!({ "auth_time": "1", "nonce": "n" })).await;
        let (header, mut claims) = read(&token);
        let kid = key_set(&school).await["keys"][0]["kid"].clone();
        assert_eq!(header, json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }));
        for name in ["jti", "sid"] {
            let id = claims.as_object_mut().unwrap().remove(name).unwrap();
            let id: Uuid = id.as_str().unwrap().parse().unwrap();
            let (seconds, nanoseconds) = id.get_timestamp().unwrap().to_unix();
            assert_eq!(id.get_version_num(), 7, "{name}");
            assert_eq!(DateTime::from_timestamp(seconds.cast_signed(), nanoseconds), Some(school.clock.now()));
        }
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

    async fn id_token_has_email_claims_with_scope_email_only(kind: Kind) {
        let school = School::start(kind).await;
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

        let changes = json!({ "nonce": "n-0S6_WzA2Mj \"", "scope": "openid email" });
        let (access, id) = tokens(&school, TimeDelta::zero(), changes).await;
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

    async fn id_token_has_the_given_names_with_scope_profile_only(kind: Kind) {
        let school = School::start(kind).await;
        let scope = json!({ "scope": "openid profile" });
        for (first, last, expected) in [
            (Some("Mai"), Some("Trần"), json!({ "name": "Mai Trần", "given_name": "Mai", "family_name": "Trần" })),
            (Some("Mai"), None, json!({ "name": "Mai", "given_name": "Mai" })),
            (None, Some("Trần"), json!({ "name": "Trần", "family_name": "Trần" })),
            (None, None, json!({})),
        ] {
            let name = |name: Option<&str>| name.map(|name| PersonName::parse(name).unwrap());
            school
                .change_account(TEACHER, |account| {
                    (account.first_name, account.last_name) = (name(first), name(last));
                })
                .await;
            for (scope, expected) in [(scope.clone(), expected), (json!({ "scope": "openid email" }), json!({}))] {
                let (access, id) = tokens(&school, TimeDelta::zero(), scope).await;
                let names = |token: &str| {
                    let claims = read(token).1;
                    let names = claims.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("name"));
                    Value::Object(names.map(|(name, value)| (name.clone(), value.clone())).collect())
                };
                assert_eq!((names(&id), names(&access)), (expected, json!({})));
            }
        }
    }

    async fn audience_of_the_id_token_is_the_client_id_as_the_request_wrote_it(kind: Kind) {
        let school = School::start(kind).await;
        for client_id in [APP.to_string(), format!("app_{APP}")] {
            let (access, id) = tokens(&school, TimeDelta::zero(), json!({ "client_id": client_id })).await;
            assert_eq!(read(&id).1["aud"], client_id);
            assert_eq!(read(&access).1["aud"], PUBLIC_URL);
            assert_eq!(read(&access).1["client_id"], json!(APP));
        }
    }

    async fn configured_issuer_is_in_both_tokens_and_is_the_only_one_accepted(kind: Kind) {
        const ISSUER: &str = "f0af4569-4d5d-4c20-af95-5a80c74e30a6";
        let mut school = School::start(kind).await;
        let before = school.token(TEACHER).await;
        school.restart(|parts| ISSUER.clone_into(&mut parts.identity.issuer));
        let (access, id) = tokens(&school, TimeDelta::zero(), json!({})).await;
        let claims = read(&access).1;
        assert_eq!((&claims["iss"], &read(&id).1["iss"]), (&json!(ISSUER), &json!(ISSUER)));
        assert_eq!(claims["aud"], PUBLIC_URL);
        assert_eq!(generate_join_code(&school, &access).await.status, 200);
        assert_refused(&school, &before, "the issuer from before").await;
        for changes in [json!({ "iss": PUBLIC_URL }), json!({ "aud": ISSUER })] {
            let token = signed(&school, "at+jwt", &changed(claims.clone(), changes.clone()));
            assert_refused(&school, &token, &changes.to_string()).await;
        }
    }

    async fn access_tokens_have_distinct_ids(kind: Kind) {
        let school = School::start(kind).await;
        let (one, other) = (school.token(TEACHER).await, school.token(TEACHER).await);
        assert_ne!(read(&one).1["jti"], read(&other).1["jti"]);
    }

    async fn tokens_have_the_lifetime_of_their_app(kind: Kind) {
        let school = School::start(kind).await;
        school.register(|registration| registration.app.access_token_minutes = 5).await;
        let code = school.code(TEACHER).await;
        let item = school.request_tokens(&code, json!({})).await.json()["items"][0].take();
        assert_eq!(item["expiresIn"], (FOUNDED + 300).to_string());
        for token in ["accessToken", "idToken"] {
            assert_eq!(read(item[token].as_str().unwrap()).1["exp"], FOUNDED + 300);
        }
    }

    async fn tokens_verify_with_the_published_key_set(kind: Kind) {
        let school = School::start(kind).await;
        let (access, id) = tokens(&school, TimeDelta::zero(), json!({})).await;
        let keys = key_set(&school).await;
        let members: Vec<&String> = keys["keys"][0].as_object().unwrap().keys().collect();
        // Only the public members: `d` would be the private key.
        assert_eq!(members, ["kty", "use", "alg", "kid", "n", "e"]);
        let keys: JwkSet = serde_json::from_value(keys).unwrap();
        for (token, audience) in [(access, PUBLIC_URL.to_owned()), (id, APP.to_string())] {
            let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
            let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
            let mut validation = Validation::new(Algorithm::RS256);
            validation.set_issuer(&[PUBLIC_URL]);
            validation.set_audience(&[audience]);
            // The library would use the system clock. The test has its own clock.
            validation.validate_exp = false;
            jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        }
    }

    async fn access_token_at_its_expiry_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        // The token was issued a quarter of a second after the full second, from which `exp` counts.
        school.clock.advance(TimeDelta::milliseconds(60 * 60 * 1000 - 251));
        assert_eq!(generate_join_code(&school, &token).await.status, 200);
        school.clock.advance(TimeDelta::milliseconds(1));
        assert_refused(&school, &token, "expired").await;
    }

    async fn id_token_as_bearer_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let (_, id) = tokens(&school, TimeDelta::zero(), json!({})).await;
        assert_refused(&school, &id, "an id token").await;
        assert_eq!(school.join(&id, "7KQ2M9XD").await.status, 401);
        // Even with all claims of an access token the type differs.
        let claims = accepted_claims(&school).await;
        assert_refused(&school, &signed(&school, "JWT", &claims), "typ").await;
    }

    async fn access_token_with_wrong_claims_is_refused(kind: Kind) {
        let school = School::start(kind).await;
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
            json!({ "sid": null }),
            json!({ "sid": "session" }),
            json!({ "sid": APP }),
            json!({ "client_id": null }),
        ] {
            let token = signed(&school, "at+jwt", &changed(claims.clone(), changes.clone()));
            assert_refused(&school, &token, &changes.to_string()).await;
        }
    }

    async fn access_token_with_foreign_signature_is_refused(kind: Kind) {
        let school = School::start(kind).await;
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
        assert_eq!(generate_join_code(&school, &access).await.status, 200);
    }

    async fn access_token_signed_with_the_public_key_as_hmac_secret_is_refused(kind: Kind) {
        let school = School::start(kind).await;
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

    async fn cached_access_token_after_its_expiry_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        for _ in 0..2 {
            assert_eq!(generate_join_code(&school, &token).await.status, 200);
        }
        school.clock.advance(TimeDelta::minutes(60));
        assert_refused(&school, &token, "expired").await;
        assert_refused(&school, &token, "expired, and seen so before").await;
        // After the clock is set back, the token is valid again.
        school.clock.advance(TimeDelta::minutes(-1));
        assert_eq!(generate_join_code(&school, &token).await.status, 200);
    }

    async fn cached_access_token_of_a_retired_key_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        assert_eq!(generate_join_code(&school, &token).await.status, 200);
        let old = school.server.identity.keys.signing(school.clock.now()).kid();
        signing_keys::rotate(&school.keys(), school.clock.now(), &OsRandom).unwrap();
        school.clock.advance(TimeDelta::minutes(10));
        signing_keys::retire(&school.keys(), old, school.clock.now()).unwrap();
        // The server reloads the keys every minute.
        school.server.identity.keys.reload().await;
        assert_refused(&school, &token, "its key is gone").await;
        assert_eq!(generate_join_code(&school, &school.token(TEACHER).await).await.status, 200);
    }

    async fn access_token_in_non_canonical_base64_is_refused(kind: Kind) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let school = School::start(kind).await;
        let token = school.token(TEACHER).await;
        // The signature uses two of the six bits of the last character.
        let last = ALPHABET.iter().position(|byte| token.ends_with(char::from(*byte))).unwrap();
        let other = format!("{}{}", &token[..token.len() - 1], char::from(ALPHABET[last + 1]));
        for _ in 0..2 {
            assert_refused(&school, &other, "other bits").await;
            assert_refused(&school, &format!("{token}="), "padding").await;
            assert_refused(&school, &token.to_uppercase(), "another case").await;
            assert_eq!(generate_join_code(&school, &token).await.status, 200);
        }
    }

    async fn access_token_with_wrong_header_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let claims = accepted_claims(&school).await;
        let kid = school.server.identity.keys.signing(school.clock.now()).kid();
        let accepted = format!(r#""typ":"at+jwt","alg":"RS256","kid":"{kid}""#);
        let pem = pem::parse(fs::read(school.keys().join(format!("{kid}.pem"))).unwrap()).unwrap();
        let own = rsa::KeyPair::from_pkcs8(pem.contents()).unwrap();
        let foreign = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let sign_with = |pair: &rsa::KeyPair, header: &str| {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let signed = format!("{}.{}", part(header), part(&claims.to_string()));
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let sign = |header: &str| sign_with(&own, header);
        for header in [
            // RFC 7515 section 4.1.11: unknown critical extensions must be rejected.
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
        // A key that the header names is not used.
        let public = foreign.public_key();
        let [n, e] = [public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero()];
        let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
        let keys = [
            format!(r#""jwk":{{"kty":"RSA","n":"{n}","e":"{e}"}}"#),
            r#""jku":"https://attacker.example/keys.json""#.to_owned(),
            r#""x5u":"https://attacker.example/key.pem""#.to_owned(),
        ];
        for key in &keys {
            let header = format!("{{{accepted},{key}}}");
            assert_refused(&school, &sign_with(&foreign, &header), &header).await;
            assert_eq!(generate_join_code(&school, &sign(&header)).await.status, 200, "{header}");
        }
        // Other members of the header are ignored (RFC 7515 section 4).
        for header in [format!("{{{accepted}}}"), format!(r#"{{"x":[1],{accepted},"cty":"x"}}"#)] {
            assert_eq!(generate_join_code(&school, &sign(&header)).await.status, 200, "{header}");
        }
    }
}
