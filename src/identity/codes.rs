//! Authorization codes: issued when a password was right, redeemed once.

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel};

use super::Identity;
use crate::{
    domain::authorization_code::AuthorizationCode,
    entity::{authorization_code, policy_acceptance},
};

impl Identity {
    /// Stores a code, together with the acceptance that came with it, if any: both or neither.
    pub(super) async fn issue(
        &self,
        issued: authorization_code::Model,
        acceptance: Option<policy_acceptance::Model>,
    ) -> Result<(), DbErr> {
        let issue = authorization_code::Entity::insert(issued.into_active_model());
        let Some(acceptance) = acceptance else {
            issue.exec_without_returning(self.store.writer()).await?;
            return Ok(());
        };
        let transaction = self.store.begin().await?;
        policy_acceptance::Entity::record(&transaction, acceptance).await?;
        issue.exec_without_returning(&transaction).await?;
        transaction.commit().await
    }

    /// What a presented code was issued for, if it was issued at all.
    pub(super) async fn issued(
        &self,
        code: &AuthorizationCode,
    ) -> Result<Option<authorization_code::Model>, DbErr> {
        authorization_code::Entity::find_by_id(code.digest()).one(self.store.reader()).await
    }

    /// Redeems a code, once for all: of any number of calls one alone is told `true`.
    pub(super) async fn redeem(&self, code: &AuthorizationCode, now: DateTime<Utc>) -> Result<bool, DbErr> {
        authorization_code::Entity::redeem(self.store.writer(), code.digest(), now).await
    }
}
