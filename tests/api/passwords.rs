//! Password hashes of another cost are replaced at sign-in.

use homeroom::{
    domain::password::PasswordHash,
    entity::user,
    identity::password_hashing::{Cost, PasswordHashing, Settings},
    random::OsRandom,
};
use serde_json::json;

use crate::support::{STUDENT, School, TEACHER, both};

const OTHER_COST: &str = "$argon2id$v=19$m=12288,t=3,p=1$";
const DEFAULT_COST: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

impl School {
    /// Restarts the server with another cost of hashes.
    fn restart_with_cost(&mut self, memory: u32, passes: u32) {
        let settings = Settings { cost: Cost::new(memory, passes).unwrap(), ..Settings::default() };
        self.restart(|parts| parts.hashing = PasswordHashing::start(settings, &OsRandom).unwrap());
    }

    async fn hash_of(&self, email: &str) -> PasswordHash {
        self.account(email).await.password_hash
    }

    /// Waits until the hash of an account begins with this text.
    async fn wait_for_hash(&self, email: &str, start: &str) {
        for _ in 0..1_000 {
            if self.hash_of(email).await.expose().starts_with(start) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the hash is not replaced");
    }
}

both! {
    async fn sign_in_with_hash_of_another_cost_replaces_it(kind: Kind) {
        let mut school = School::start(kind).await;
        let before = school.hash_of(TEACHER).await;
        assert!(before.expose().starts_with(DEFAULT_COST));
        school.restart_with_cost(12_288, 3);
        // The old hash still verifies, and a wrong password does not replace it.
        assert_eq!(school.request_code(json!({ "password": "wrong" })).await.status, 400);
        assert_eq!(school.hash_of(TEACHER).await, before);
        school.sign_in(TEACHER).await;
        school.wait_for_hash(TEACHER, OTHER_COST).await;
        let replaced = school.hash_of(TEACHER).await;
        school.sign_in(TEACHER).await;
        assert_eq!(school.request_code(json!({ "password": "wrong" })).await.status, 400);
        assert_eq!(school.hash_of(TEACHER).await, replaced, "a hash of this cost stays");
        assert!(school.hash_of(STUDENT).await.expose().starts_with(DEFAULT_COST));
        // Also back to a lower cost.
        school.restart(|_| ());
        school.sign_in(TEACHER).await;
        school.wait_for_hash(TEACHER, DEFAULT_COST).await;
        school.sign_in(TEACHER).await;
    }

    async fn sign_in_to_disabled_account_does_not_replace_the_hash(kind: Kind) {
        let mut school = School::start(kind).await;
        school.change_account(STUDENT, |account| account.enabled = false).await;
        let before = school.hash_of(STUDENT).await;
        school.restart_with_cost(7_168, 5);
        assert_eq!(school.request_code(json!({ "email": STUDENT })).await.status, 400);
        school.sign_in(TEACHER).await;
        school.wait_for_hash(TEACHER, "$argon2id$v=19$m=7168,t=5,p=1$").await;
        assert_eq!(school.hash_of(STUDENT).await, before);
    }

    async fn replace_hash_that_was_changed_meanwhile_changes_nothing(kind: Kind) {
        let school = School::start(kind).await;
        let teacher = school.account(TEACHER).await;
        let [changed, late] = ["changed", "late"].map(|text| PasswordHash::from(text.to_owned()));
        let replace = async |old: &PasswordHash, new: &PasswordHash| {
            user::Entity::replace_password_hash(school.db.writer(), teacher.id, old.clone(), new.clone()).await.unwrap()
        };
        assert!(replace(&teacher.password_hash, &changed).await);
        assert!(!replace(&teacher.password_hash, &late).await);
        assert_eq!(school.hash_of(TEACHER).await, changed);
        assert!(school.hash_of(STUDENT).await != changed);
    }

    async fn sign_ins_at_once_with_hashes_of_another_cost_all_succeed(kind: Kind) {
        let mut school = School::start(kind).await;
        let accounts: Vec<_> = (0..24).map(|number| format!("{number}@school.example")).collect();
        for account in &accounts {
            school.enrol(account).await;
        }
        school.restart_with_cost(12_288, 3);
        // While passwords wait, no hash is replaced. So more than one round may be needed.
        for _ in 0..100 {
            let burst = accounts.iter().map(|account| school.request_code(json!({ "email": account })));
            for answer in futures_util::future::join_all(burst).await {
                assert_eq!(answer.status, 201, "{}", answer.text);
            }
            let mut replaced = 0;
            for account in &accounts {
                replaced += usize::from(school.hash_of(account).await.expose().starts_with(OTHER_COST));
            }
            if replaced > 0 {
                return;
            }
        }
        panic!("no hash is replaced");
    }
}
