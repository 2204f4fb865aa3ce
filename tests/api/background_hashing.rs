//! Hashes of many passwords beside sign-ins.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use homeroom::{
    domain::password::Password,
    identity::password_hashing::{self, PasswordHashing},
};
use serde_json::json;

use crate::support::{COLLEAGUE, STUDENT, School, TEACHER, both};

/// The number of hashes in the background.
const MANY: usize = 200;
/// The number of sign-ins that are measured at a time.
const SIGN_INS: usize = 24;
/// The number of measurements, of which one has to pass. Other processes disturb a measurement.
const ROUNDS: usize = 5;

/// Hashes many passwords as a caller of the background lane does, and counts them.
async fn hash_many(hashing: &PasswordHashing, done: &AtomicUsize) {
    let hashes = (0..MANY).map(|number| async move {
        let password = Password::parse(&format!("password {number}")).unwrap();
        hashing.hash_in_background(password, [0; 16]).await.unwrap()
    });
    let mut hashes = stream::iter(hashes).buffered(2 * hashing.workers().get());
    while hashes.next().await.is_some() {
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Signs in one after another, and returns the longest time but that of the first.
async fn sign_in_times(school: &School) -> Duration {
    let mut times = Vec::new();
    for number in 0..SIGN_INS {
        let email = [TEACHER, STUDENT, COLLEAGUE][number % 3];
        let begun = Instant::now();
        let answer = school.request_code(json!({ "email": email })).await;
        times.push(begun.elapsed());
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    times.into_iter().skip(1).max().unwrap()
}

both! {
    async fn sign_in_beside_background_hashes_does_not_wait_for_their_end(kind: Kind) {
        let hashing = password_hashing::Settings {
            workers: NonZeroUsize::new(2).unwrap(),
            queue: NonZeroUsize::new(1024),
            ..Default::default()
        };
        let school = School::start_with_hashing(kind, hashing).await;
        let mut measured = Vec::new();
        for _ in 0..ROUNDS {
            let alone = sign_in_times(&school).await;
            let done = AtomicUsize::new(0);
            let sign_ins = async {
                let beside = sign_in_times(&school).await;
                (beside, done.load(Ordering::Relaxed))
            };
            let hashing = &school.server.identity.hashing;
            let ((), (beside, done_meanwhile)) = tokio::join!(hash_many(hashing, &done), sign_ins);
            assert_eq!(done.load(Ordering::Relaxed), MANY);
            // With one queue for all, every sign-in would wait for the hashes that were queued before it.
            assert!(done_meanwhile < MANY, "the sign-ins were done after the background");
            measured.push((alone, beside));
            if beside < 2 * alone {
                return;
            }
        }
        panic!("sign-ins take more than twice their time beside the background: {measured:?}");
    }
}
