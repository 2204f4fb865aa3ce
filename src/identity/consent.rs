//! Consent: whether a sign-in accepts, or has to accept, the app's privacy policy.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use crate::entity::{app, policy_acceptance, user};

/// The user accepts the policy with this sign-in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acceptance {
    pub at: DateTime<Utc>,
    /// The client's address, if the connection has one.
    pub from: Option<IpAddr>,
}

/// The outcome of [`check`].
pub(super) enum Consent {
    /// Nothing to record.
    NotNeeded,
    /// The acceptance of the current version, to be recorded with the code.
    Given(policy_acceptance::Model),
    /// The app demands the current version, and the user has never accepted it.
    Missing,
}

/// Compares the acceptance in a request, if any, with the app's policy.
pub(super) async fn check(
    db: &impl ConnectionTrait,
    acceptance: Option<Acceptance>,
    app: &app::Model,
    user: &user::Model,
) -> Result<Consent, DbErr> {
    let Some(version) = &app.policy_version else { return Ok(Consent::NotNeeded) };
    if let Some(Acceptance { at, from }) = acceptance {
        return Ok(Consent::Given(policy_acceptance::Model {
            user_id: user.id,
            app_id: app.id,
            policy_version: version.clone(),
            accepted_at: at,
            // An IPv4 client of an IPv6 socket is recorded as IPv4.
            address: from.map_or_else(String::new, |address| address.to_canonical().to_string()),
        }));
    }
    let accepted =
        !app.policy_demanded || policy_acceptance::Entity::exists(db, user.id, app.id, version).await?;
    Ok(if accepted { Consent::NotNeeded } else { Consent::Missing })
}
