//! Tests of the complete rule.

use proptest::test_runner::{Config, TestRunner};

use super::*;

async fn check(min_length: usize, password: &str, context: &[&str]) -> Result<(), WeakPassword> {
    let context = context.iter().map(|&text| text.to_owned()).collect();
    PasswordPolicy::new(min_length).check(&Password::parse(password).unwrap(), context).await.unwrap()
}

#[tokio::test]
async fn check_while_no_estimate_can_begin_is_busy() {
    let policy = PasswordPolicy::default();
    let permits = policy.estimates.acquire_many(2).await.unwrap();
    let good = Password::parse("correct horse battery staple").unwrap();
    assert!(matches!(policy.check(&good, vec![]).await, Err(HashError::Busy(RetryAfter::MIN))));
    let short = Password::parse("short").unwrap();
    assert!(matches!(policy.check(&short, vec![]).await, Ok(Err(WeakPassword::TooShort(_)))));
    drop(permits);
    assert!(matches!(policy.check(&good, vec![]).await, Ok(Ok(()))));
}

#[tokio::test]
async fn check_good_password_of_any_kind_of_characters_is_accepted() {
    let context = ["user@example.com", "Anna", "Schmidt"];
    for password in [
        "VeryStrongPass123!",
        "correct horse battery staple",
        "drei kalte Affen im Schrank",
        "máy bay giấy màu xanh lá",
        "продолжение следует завтра утром",
        "7293650184726591038",
        "    q  z      v   j   k",
        "\u{1F511}\u{1F40E}\u{1F50B}\u{1F4CE}\u{1F33B}\u{1F6B2}\u{1F9F2}\u{1F3BB}\u{1F995}\u{1F9C1}\u{1F30B}\u{1F9E6}\u{1F941}\u{1FAB4}\u{1F6F8}",
    ] {
        assert_eq!(check(MIN_LENGTH, password, &context).await, Ok(()), "{password}");
    }
}

#[tokio::test]
async fn check_short_password_is_refused_with_the_configured_length() {
    for (min_length, password) in [(15, "J7#kq!2vXz9&pL"), (8, "J7#kq!2"), (64, &"J7#kq!2v".repeat(7))] {
        assert_eq!(check(min_length, password, &[]).await, Err(WeakPassword::TooShort(min_length)));
    }
    assert_eq!(check(8, "J7#kq!2v", &[]).await, Ok(()));
    // Characters are counted after normalization: the ligature is three.
    assert_eq!(check(15, "J7#kq!2vXz9&\u{FB03}", &[]).await, Ok(()));
}

#[tokio::test]
async fn check_common_password_in_any_case_is_refused() {
    for password in ["password1", "Password1", "QWERTYUIOP"] {
        assert_eq!(check(8, password, &[]).await, Err(WeakPassword::Common), "{password}");
    }
}

#[tokio::test]
async fn check_guessable_password_is_refused_with_the_reason() {
    for (password, reason) in [
        ("aaaaaaaaaaaaaaaaaaaa", "it repeats itself"),
        ("abcabcabcabcabcabc", "it repeats itself"),
        ("passwordspasswords", "it repeats itself"),
        ("abcdefghijklmnopqrst", "it contains a sequence such as abc or 6543"),
        ("qwertyuiopasdfghjkl", "it is similar to a common password"),
        ("homeroomhomeroom", "it repeats itself"),
    ] {
        assert_eq!(
            check(MIN_LENGTH, password, &[]).await,
            Err(WeakPassword::Guessable(reason)),
            "{password}"
        );
    }
}

#[tokio::test]
async fn check_password_from_the_context_is_refused() {
    let context = ["marguerite.wojciechowska@gymnasium-nord.example", "Marguerite", "Wojciechowska"];
    for password in
        ["marguerite.wojciechowska@gymnasium-nord.example", "MargueriteWojciechowska", "Wojciechowska2026"]
    {
        let personal = "it contains your name, your e-mail address or the name of this service";
        assert_eq!(
            check(MIN_LENGTH, password, &context).await,
            Err(WeakPassword::Guessable(personal)),
            "{password}"
        );
        assert_eq!(check(MIN_LENGTH, password, &[]).await, Ok(()), "{password}");
    }
}

#[tokio::test]
async fn messages_contain_neither_the_password_nor_the_context() {
    let weak = [
        check(15, "marked", &["context"]).await,
        check(8, "password1", &["context"]).await,
        check(15, "markedmarkedmarked", &["marked"]).await,
    ];
    for weak in weak {
        let message = weak.unwrap_err().to_string();
        assert!(!message.contains("marked") && !message.contains("password1"), "{message}");
        assert!(message.len() <= 200, "{message}");
    }
}

#[test]
fn estimate_of_any_password_does_not_panic() {
    let input = ("\\PC{1,60}", proptest::collection::vec("\\PC{0,20}", 0..4));
    TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() })
        .run(&input, |(password, context)| {
            let _ = estimate(&password, &context);
            Ok(())
        })
        .unwrap();
}

#[test]
fn estimate_of_the_costliest_password_is_bounded() {
    // Substitutions of letters multiply the dictionary look-ups.
    let costly = "4@8({[</369&#!1/|0$5+7%2/".repeat(10);
    let begun = std::time::Instant::now();
    let _ = estimate(&costly[..250], &["a".repeat(10_000), "b-".repeat(10_000)]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}
