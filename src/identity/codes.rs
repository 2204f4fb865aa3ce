//! Authorization codes: issued when a password was right, redeemed once.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, DbErr, prelude::async_trait};

use super::Identity;
use crate::{
    domain::authorization_code::AuthorizationCode,
    entity::{app, authorization_code, policy_acceptance, user},
    store::Change,
    throttle::passwords::Charge,
};

/// A code to be issued.
pub(super) struct Issue {
    pub(super) code: authorization_code::Model,
    pub(super) acceptance: Option<policy_acceptance::Model>,
    /// What succeeds with it.
    pub(super) charge: Charge,
}

#[async_trait::async_trait]
impl Change for Issue {
    async fn make(&self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        if let Some(acceptance) = &self.acceptance {
            policy_acceptance::Entity::record(transaction, acceptance.clone()).await?;
        }
        // Last, since others may wait for these rows; and once, though the transaction may be made again.
        if authorization_code::Entity::issue(transaction, self.code.clone()).await? {
            self.charge.succeed(transaction, self.code.issued_at).await?;
        }
        Ok(())
    }
}

impl Identity {
    /// Stores a code, together with the acceptance that came with it, if any, and with the success of the attempt: all of
    /// them or none.
    pub(super) async fn issue(&self, issue: Issue) -> Result<(), DbErr> {
        let writer = self.store.shared(self.store.idempotent()).within(self.hashing.patience());
        if issue.acceptance.is_none() && issue.charge.is_empty() {
            return authorization_code::Entity::issue(&writer, issue.code).await.map(drop);
        }
        writer.make(issue).await
    }

    /// What a presented code was issued for, and to whom, if it was issued at all.
    pub(super) async fn issued(
        &self,
        code: &AuthorizationCode,
    ) -> Result<Option<(authorization_code::Model, app::Model, user::Model)>, DbErr> {
        authorization_code::Entity::find_issued(self.store.reader(), code.digest()).await
    }

    /// Redeems a code, once for all: of any number of calls one alone is told `true`.
    pub(super) async fn redeem(&self, code: &AuthorizationCode, now: DateTime<Utc>) -> Result<bool, DbErr> {
        // Not made again when its answer is lost: the second attempt would find the code redeemed, and not say by whom.
        let writer = self.store.shared(self.store.writer());
        authorization_code::Entity::redeem(&writer, code.digest(), now).await
    }
}
