//! Guessing is throttled, and nobody else is kept out.

mod given_back;
mod joins;
mod passwords;

use std::{net::IpAddr, time::Duration};

use homeroom::{
    clock::Clock,
    domain::{self, email::Email},
    entity::{throttle, user},
    throttle::{
        Refusal,
        passwords::{Charge, Limits},
    },
};
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel};
use serde_json::json;

use crate::support::{Answer, School, TEACHER, sign_in_body, signing_in::changed};

/// Somewhere else than [`support::ADDRESS`](crate::support::ADDRESS).
const ELSEWHERE: &str = "198.51.100.1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One of many addresses.
fn nth(number: u32) -> IpAddr {
    IpAddr::V4((0x0B00_0000 + number).into())
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// What becomes of an attempt: it is charged, or refused for as many seconds.
type Outcome = Result<Charge, u64>;

impl School {
    /// Makes an attempt on an account, as far as it is counted.
    async fn attempt(&self, limits: Limits, account: &str, from: IpAddr) -> Outcome {
        let now = self.clock.now();
        match limits.charge(&self.store, &email(account), Some(from), Duration::ZERO, now).await {
            Ok(charge) => Ok(charge),
            Err(Refusal::Throttled { retry_after_seconds }) => Err(retry_after_seconds),
            Err(Refusal::Store(error)) => panic!("{error}"),
        }
    }

    /// Fails at an account as many times, from somewhere else each time.
    async fn fail_from_everywhere(&self, limits: Limits, account: &str, times: u32) {
        for number in 0..times {
            self.attempt(limits, account, nth(number)).await.unwrap().judge();
        }
    }

    /// Fails as many times from one address, at another account each time.
    async fn spray(&self, limits: Limits, from: IpAddr, times: u32) {
        for number in 0..times {
            let account = format!("{number}@spray.example");
            self.attempt(limits, &account, from).await.unwrap().judge();
        }
    }

    /// The attempt that was charged succeeds.
    async fn settle(&self, mut charge: Charge) {
        let writer = self.store.writer();
        let success = charge.succeeding(writer.get_database_backend(), self.clock.now()).unwrap();
        writer.execute_raw(success).await.unwrap();
        charge.judge();
    }

    /// Signs in, as far as it is counted.
    async fn succeed(&self, limits: Limits, account: &str, from: IpAddr) {
        let charge = self.attempt(limits, account, from).await.unwrap();
        self.settle(charge).await;
    }

    /// Everything that is counted.
    async fn counts(&self) -> Vec<throttle::Model> {
        throttle::Entity::find().all(self.store.reader()).await.unwrap()
    }

    /// How many failures there are in all counts together.
    async fn failures(&self) -> i64 {
        self.counts().await.iter().map(|count| count.failures).sum()
    }

    /// Waits until no more failures are counted than so many: what nobody has judged is given back.
    async fn until_failures_are(&self, expected: i64) {
        for _ in 0..1_000 {
            if self.failures().await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} failures are counted, and not {expected}", self.failures().await);
    }

    /// Sends a password, from an address.
    async fn guess(&self, account: &str, password: &str, from: IpAddr) -> Answer {
        let body = changed(sign_in_body(account), json!({ "password": password }));
        self.post("/api/v1/codes").json(&body).from(from).send().await
    }

    /// Makes an account with the teacher's password, without the time to hash it.
    async fn enrol(&self, account: &str) {
        let teacher = self.account(TEACHER).await;
        let copy = user::Model {
            id: domain::id::new(self.clock.now(), &*self.chance),
            email: email(account),
            ..teacher
        };
        user::Entity::insert(copy.into_active_model())
            .exec_without_returning(self.store.writer())
            .await
            .unwrap();
    }
}

fn seconds(answer: &Answer) -> u64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}
