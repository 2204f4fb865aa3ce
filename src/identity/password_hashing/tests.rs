//! Tests of the complete password hashing, with the parameters in use.

use std::sync::Arc;

use super::*;
use crate::random::OsRandom;

fn hashing(engine: HashEngine) -> PasswordHashing {
    PasswordHashing::start(Settings { engine, ..Settings::default() }, &OsRandom).unwrap()
}

async fn verify(
    hashing: &PasswordHashing,
    stored: Option<PasswordHash>,
    password: Password,
) -> Result<bool, HashError> {
    let from = Network::of(None);
    hashing.check_capacity(from)?;
    hashing.verify(from, stored, password).await
}

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

#[tokio::test]
async fn verify_hash_of_either_engine_accepts_the_right_password_only() {
    let engines = [hashing(HashEngine::Simd), hashing(HashEngine::Argon2)];
    assert_eq!(engines.each_ref().map(PasswordHashing::engine), [HashEngine::Simd, HashEngine::Argon2]);
    for maker in &engines {
        let stored = maker.hash(password("\u{FB01}sh"), *b"0123456789abcdef").await.unwrap();
        assert!(stored.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"));
        for verifier in &engines {
            // NFKC makes the ligature equal to its letters.
            assert!(verify(verifier, Some(stored.clone()), password("fish")).await.unwrap());
            assert!(!verify(verifier, Some(stored.clone()), password("Fish")).await.unwrap());
        }
    }
}

#[tokio::test]
async fn verify_uses_the_parameters_of_the_stored_hash() {
    let stored =
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc".to_owned();
    let hashing = hashing(HashEngine::Simd);
    assert!(verify(&hashing, Some(stored.clone().into()), password("password")).await.unwrap());
    let broken = stored.replace("m=256", "m=1000000");
    let answer = verify(&hashing, Some(broken.into()), password("password")).await;
    assert!(matches!(answer, Err(HashError::Unreadable(PhcError::OutOfBounds))), "{answer:?}");
}

#[tokio::test]
async fn verify_without_stored_hash_is_false_even_for_the_decoys_password() {
    let mut hashing = hashing(HashEngine::Simd);
    assert_eq!(hashing.decoy.params, Cost::DEFAULT.params().unwrap());
    assert_eq!((hashing.decoy.salt.len(), hashing.decoy.tag.len()), (16, phc::TAG_LENGTH));
    assert!(!verify(&hashing, None, password("password")).await.unwrap());

    let stored = hashing.hash(password("password"), *b"0123456789abcdef").await.unwrap();
    hashing.decoy = Phc::parse(stored.expose()).unwrap();
    assert!(!verify(&hashing, None, password("password")).await.unwrap());
}

#[tokio::test]
async fn verify_beyond_the_capacity_is_busy_and_the_rest_complete() {
    let settings =
        Settings { workers: NonZeroUsize::MIN, queue: NonZeroUsize::new(2), ..Settings::default() };
    let hashing = Arc::new(PasswordHashing::start(settings, &OsRandom).unwrap());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let hashing = Arc::clone(&hashing);
            tokio::spawn(async move { verify(&hashing, None, password("password")).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(false) => answered += 1,
            Err(HashError::Busy(RetryAfter::MIN)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(answered >= 2 && refused >= 1, "{answered} answered, {refused} refused");
    assert!(!verify(&hashing, None, password("password")).await.unwrap());
}

#[tokio::test]
async fn cost_of_new_hashes_and_of_the_decoy_is_the_configured_one() {
    let cost = Cost::new(7_168, 5).unwrap();
    let stronger = PasswordHashing::start(Settings { cost, ..Settings::default() }, &OsRandom).unwrap();
    let usual = hashing(HashEngine::Simd);
    let old = usual.hash(password("password"), [0; 16]).await.unwrap();
    let new = stronger.hash(password("password"), [0; 16]).await.unwrap();
    assert!(new.expose().starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{}", new.expose());
    assert_eq!(stronger.decoy.params, cost.params().unwrap());
    // Each verifies hashes of the other, which it would replace.
    for (verifier, stored, outdated) in
        [(&stronger, &old, true), (&stronger, &new, false), (&usual, &old, false), (&usual, &new, true)]
    {
        assert!(verify(verifier, Some(stored.clone()), password("password")).await.unwrap());
        assert_eq!(verifier.is_outdated(stored), outdated);
    }
    assert!(!usual.is_outdated(&"not a hash".to_owned().into()));
}
