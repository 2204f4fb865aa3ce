//! Passwords through the whole of it, at the parameters in use.

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
async fn the_right_password_is_right_and_a_wrong_one_is_wrong_whichever_engine_made_the_hash() {
    let engines = [hashing(HashEngine::Simd), hashing(HashEngine::Argon2)];
    assert_eq!(engines.each_ref().map(PasswordHashing::engine), [HashEngine::Simd, HashEngine::Argon2]);
    for maker in &engines {
        let stored = maker.hash(password("\u{FB01}sh"), *b"0123456789abcdef").await.unwrap();
        assert!(stored.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"));
        for verifier in &engines {
            // The ligature is the same password as its letters.
            assert!(verify(verifier, Some(stored.clone()), password("fish")).await.unwrap());
            assert!(!verify(verifier, Some(stored.clone()), password("Fish")).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_password_is_verified_with_the_parameters_it_was_hashed_with() {
    let stored =
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc".to_owned();
    let hashing = hashing(HashEngine::Simd);
    assert!(verify(&hashing, Some(stored.clone().into()), password("password")).await.unwrap());
    let broken = stored.replace("m=256", "m=1000000");
    let answer = verify(&hashing, Some(broken.into()), password("password")).await;
    assert!(matches!(answer, Err(HashError::Unreadable(PhcError::OutOfBounds))), "{answer:?}");
}

#[tokio::test]
async fn without_an_account_a_password_is_wrong_at_the_same_cost_and_even_if_it_were_the_decoys() {
    let mut hashing = hashing(HashEngine::Simd);
    assert_eq!(hashing.decoy.params, phc::PARAMS);
    assert_eq!((hashing.decoy.salt.len(), hashing.decoy.tag.len()), (16, phc::TAG_LENGTH));
    assert!(!verify(&hashing, None, password("password")).await.unwrap());

    let stored = hashing.hash(password("password"), *b"0123456789abcdef").await.unwrap();
    hashing.decoy = Phc::parse(stored.expose()).unwrap();
    assert!(!verify(&hashing, None, password("password")).await.unwrap());
}

#[tokio::test]
async fn more_passwords_than_threads_and_places_are_refused_and_the_rest_answered() {
    let settings =
        Settings { workers: NonZeroUsize::MIN, queue: NonZeroUsize::new(2), ..Settings::default() };
    let hashing = Arc::new(PasswordHashing::start(settings, &OsRandom).unwrap());
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let hashing = Arc::clone(&hashing);
            tokio::spawn(async move { verify(&hashing, None, password("password")).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for asked in asked {
        match asked.await.unwrap() {
            Ok(false) => answered += 1,
            Err(HashError::Busy { retry_after_seconds: 1 }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(answered >= 2 && refused >= 1, "{answered} answered, {refused} refused");
    assert!(!verify(&hashing, None, password("password")).await.unwrap());
}
