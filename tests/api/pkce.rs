//! PKCE (RFC 7636).

use serde_json::{Value, json};

use crate::support::{
    School, both, code_in,
    signing_in::{NOT_REDEEMABLE, faulty, refused},
};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn challenge() -> Value {
    json!({ "codeChallenge": CHALLENGE, "codeChallengeMethod": "S256" })
}

async fn code(school: &School, changes: Value) -> String {
    let answer = school.request_code(changes).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    code_in(&answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap().parse().unwrap())
}

both! {
    async fn redeem_code_with_challenge_requires_its_verifier(kind: Kind) {
        let school = School::start(kind).await;
        let code = code(&school, challenge()).await;
        for wrong in [
            json!({}),
            json!({ "code_verifier": "A".repeat(43) }),
            // The method `plain` is not supported: the challenge is public.
            json!({ "code_verifier": CHALLENGE }),
        ] {
            assert_eq!(
                school.request_tokens(&code, wrong.clone()).await.whole(),
                refused(NOT_REDEEMABLE),
                "{wrong}"
            );
        }
        let answer = school.request_tokens(&code, json!({ "code_verifier": VERIFIER })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    async fn redeem_code_without_challenge_with_verifier_is_refused(kind: Kind) {
        let school = School::start(kind).await;
        let code = code(&school, json!({})).await;
        let unneeded = school.request_tokens(&code, json!({ "code_verifier": VERIFIER })).await;
        assert_eq!(unneeded.whole(), refused(NOT_REDEEMABLE));
        assert_eq!(school.request_tokens(&code, json!({})).await.status, 201);
    }

    async fn challenge_without_method_is_refused_and_method_alone_is_ignored(kind: Kind) {
        let school = School::start(kind).await;
        let alone = school.request_code(json!({ "codeChallenge": CHALLENGE })).await;
        assert_eq!(alone.whole(), refused("codeChallengeMethod is required with codeChallenge"));
        for alone in [
            json!({ "codeChallengeMethod": "S256" }),
            json!({ "codeChallengeMethod": "S256", "codeChallenge": null }),
        ] {
            let code = code(&school, alone).await;
            assert_eq!(school.request_tokens(&code, json!({})).await.status, 201);
        }
        for method in ["plain", "s256", ""] {
            let mut changes = challenge();
            changes["codeChallengeMethod"] = json!(method);
            assert_eq!(faulty(&school.request_code(changes).await), ["codeChallengeMethod"], "{method}");
        }
    }

    async fn challenge_and_verifier_out_of_bounds_are_refused(kind: Kind) {
        let school = School::start(kind).await;
        let last_character_with_stray_bits = format!("{}N", &CHALLENGE[..42]);
        for text in [
            &CHALLENGE[..42],
            &format!("{CHALLENGE}="),
            &CHALLENGE.replace('-', "+"),
            &last_character_with_stray_bits,
        ] {
            let mut changes = challenge();
            changes["codeChallenge"] = json!(text);
            assert_eq!(faulty(&school.request_code(changes).await), ["codeChallenge"], "{text}");
        }
        for text in ["a".repeat(42), "a".repeat(129), format!("{VERIFIER}="), format!("{VERIFIER}é")] {
            let answer = school.request_tokens("code", json!({ "code_verifier": text })).await;
            assert_eq!(faulty(&answer), ["code_verifier"], "{text}");
        }
        for text in ["a".repeat(43), "~".repeat(128)] {
            let answer = school.request_tokens("code", json!({ "code_verifier": text })).await;
            assert_eq!(answer.whole(), refused(NOT_REDEEMABLE));
        }
    }

    async fn sign_in_to_app_with_pkce_requires_a_challenge(kind: Kind) {
        let school = School::start(kind).await;
        school.register(|registration| registration.app.pkce_required = true).await;
        let answer = school.request_code(json!({})).await;
        assert_eq!(answer.whole(), refused("codeChallenge is required by the app"));
        let code = code(&school, challenge()).await;
        assert_eq!(school.request_tokens(&code, json!({ "code_verifier": VERIFIER })).await.status, 201);
    }
}
