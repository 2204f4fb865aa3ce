//! Limits on guessing, which must not refuse other users.

mod in_progress;
mod joins;
mod passwords;

use std::net::IpAddr;

use homeroom::{
    clock::Clock,
    domain::{email::Email, id::UserId, network::Network},
    entity::{rate_limit, user},
    rate_limit::{
        limiter::{Action, LimitError, Limiter, Reservation},
        policies::{Count, PasswordLimits},
    },
};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::json;

use crate::support::{Answer, School, TEACHER, sign_in_body, signing_in::changed};

/// Another address than [`support::ADDRESS`](crate::support::ADDRESS).
const ELSEWHERE: &str = "198.51.100.1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One of many IPv4 addresses.
fn nth(number: u32) -> IpAddr {
    IpAddr::V4((0x0B00_0000 + number).into())
}

/// An address in one of the /64 networks of `2001:db8:1::/48`.
fn nth_of_site(number: u16) -> IpAddr {
    IpAddr::V6([0x2001, 0xdb8, 1, number, 0, 0, 0, 1].into())
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// A reservation, or the seconds for which the attempt is refused.
type Outcome = Result<Reservation, u64>;

impl School {
    /// Begins an attempt with these counts.
    async fn begin(&self, action: Action, counts: Vec<Count>) -> Outcome {
        let limiter = Limiter::new(self.db.clone());
        let reserved = match limiter.check(action, counts, self.clock.now()).await {
            Ok(attempt) => limiter.reserve(attempt).await,
            Err(refusal) => Err(refusal),
        };
        reserved.map_err(|refusal| match refusal {
            LimitError::RateLimited(retry_after) => retry_after.as_secs(),
            LimitError::Database(error) => panic!("{error}"),
        })
    }

    /// Begins an attempt on an account.
    async fn attempt(&self, limits: PasswordLimits, account: &str, from: IpAddr) -> Outcome {
        self.begin(Action::SignIn, limits.counts(&email(account), Network::of(Some(from)))).await
    }

    /// Counts a wrong password.
    async fn fail(&self, limits: PasswordLimits, account: &str, from: IpAddr) -> Result<(), u64> {
        self.attempt(limits, account, from).await?.commit().await.unwrap();
        Ok(())
    }

    /// Counts `times` failures of an account, each from another IPv4 address.
    async fn fail_from_everywhere(&self, limits: PasswordLimits, account: &str, times: u32) {
        for number in 0..times {
            self.fail(limits, account, nth(number)).await.unwrap();
        }
    }

    /// Counts `times` failures from one address, each of another account.
    async fn spray(&self, limits: PasswordLimits, from: IpAddr, times: u32) {
        for number in 0..times {
            self.fail(limits, &format!("{number}@spray.example"), from).await.unwrap();
        }
    }

    /// Counts a success.
    async fn succeed(&self, limits: PasswordLimits, account: &str, from: IpAddr) {
        let reservation = self.attempt(limits, account, from).await.unwrap();
        reservation.success().record(self.db.writer()).await.unwrap();
        reservation.succeeded();
    }

    /// All counts.
    async fn counts(&self) -> Vec<rate_limit::Model> {
        rate_limit::Entity::find().all(self.db.read()).await.unwrap()
    }

    /// The number of counts with a failure.
    async fn counts_with_failures(&self) -> usize {
        let now = self.clock.now().timestamp_millis();
        self.counts().await.iter().filter(|count| count.drained_at > now).count()
    }

    /// The number of attempts in progress in all counts.
    async fn attempts_in_progress(&self) -> i64 {
        self.counts().await.iter().map(|count| count.in_progress).sum()
    }

    /// Waits until no attempt is in progress: a task releases the attempts of disconnected clients.
    async fn wait_until_no_attempt_is_in_progress(&self) {
        for _ in 0..1_000 {
            if self.attempts_in_progress().await == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{} attempts are in progress", self.attempts_in_progress().await);
    }

    /// Sends a password from an address.
    async fn guess(&self, account: &str, password: &str, from: IpAddr) -> Answer {
        let body = changed(sign_in_body(account), json!({ "password": password }));
        self.post("/api/v1/codes").json(&body).from(from).send().await
    }

    /// Creates an account with the hash of the teacher's password, which saves the time of a hash.
    pub async fn enrol(&self, account: &str) {
        let teacher = self.account(TEACHER).await;
        let copy = user::Model {
            id: UserId::new(self.clock.now(), &*self.random),
            email: email(account),
            ..teacher
        };
        user::Entity::insert(copy.into_active_model())
            .exec_without_returning(self.db.writer())
            .await
            .unwrap();
    }
}

fn seconds(answer: &Answer) -> u64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}
