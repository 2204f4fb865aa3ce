//! Authorization codes: issued when a password was right, redeemed once.

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use super::Identity;
use crate::{
    domain::authorization_code::AuthorizationCode,
    entity::{app, authorization_code, policy_acceptance, user},
    throttle::passwords::Charge,
};

impl Identity {
    /// Stores a code, together with the acceptance that came with it, if any, and with the success of the attempt: all of
    /// them or none.
    pub(super) async fn issue(
        &self,
        issued: authorization_code::Model,
        acceptance: Option<policy_acceptance::Model>,
        charge: &Charge,
    ) -> Result<(), DbErr> {
        if acceptance.is_none() && charge.is_empty() {
            return authorization_code::Entity::issue(self.store.idempotent(), issued).await.map(drop);
        }
        let (issued, acceptance) = (&issued, &acceptance);
        self.store
            .idempotent()
            .transaction(|transaction| async move {
                if let Some(acceptance) = acceptance {
                    policy_acceptance::Entity::record(&transaction, acceptance.clone()).await?;
                }
                // Last, since others may wait for these rows; and once, though the transaction may be made again.
                if authorization_code::Entity::issue(&transaction, issued.clone()).await? {
                    charge.succeed(&transaction, issued.issued_at).await?;
                }
                Ok((transaction, ()))
            })
            .await
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
