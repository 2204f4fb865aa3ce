//! Authorization codes: issued when a password was right, redeemed once.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use super::Identity;
use crate::{
    domain::authorization_code::AuthorizationCode,
    entity::{app, authorization_code, policy_acceptance, user},
    rate_limit::limiter::Reservation,
};

/// How many codes of one account can be waiting to be redeemed. An app redeems a code at once, so that one person needs
/// few; but one account may be used by a class. A program that signs in over and over does not fill the table.
const LIVE_CODES: u64 = 100;

impl Identity {
    /// Stores a code, together with the acceptance that came with it, if any, and with the success of the attempt: all of
    /// them or none.
    pub(super) async fn issue(
        &self,
        code: authorization_code::Model,
        acceptance: Option<policy_acceptance::Model>,
        reservation: &Reservation,
    ) -> Result<(), DbErr> {
        let backend = self.db.backend();
        let user = code.user_id;
        let mut statements = vec![
            authorization_code::Entity::issuing(backend, code),
            authorization_code::Entity::bounding(backend, user, LIVE_CODES),
        ];
        statements
            .extend(acceptance.map(|acceptance| policy_acceptance::Entity::recording(backend, acceptance)));
        // Last, because other attempts may wait for these rows.
        statements.extend(reservation.succeeding(backend));
        let issue = self.db.transaction(statements, |db, statements| {
            Box::pin(async move {
                for statement in statements {
                    db.execute_raw(statement.clone()).await?;
                }
                Ok(())
            })
        });
        issue.await
    }

    /// What a presented code was issued for, and to whom, if it was issued at all.
    pub(super) async fn issued(
        &self,
        code: &AuthorizationCode,
    ) -> Result<Option<(authorization_code::Model, app::Model, user::Model)>, DbErr> {
        authorization_code::Entity::find_issued(self.db.read(), code.digest()).await
    }

    /// Redeems a code, once for all: of any number of calls one alone is told `true`.
    pub(super) async fn redeem(&self, code: &AuthorizationCode, now: DateTime<Utc>) -> Result<bool, DbErr> {
        let redeem = self.db.write(code.digest(), move |db, digest| {
            Box::pin(authorization_code::Entity::redeem(db, digest.clone(), now))
        });
        redeem.await
    }
}
