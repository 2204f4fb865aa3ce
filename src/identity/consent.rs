//! Consent: what signing in means for an app's privacy policy.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{Identity, sign_in::SignInError};
use crate::entity::{app, policy_acceptance, user};

/// A user's word that they accept the policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acceptance {
    /// When it was given.
    pub at: DateTime<Utc>,
    /// The network address it came from, if the connection had one.
    pub from: Option<IpAddr>,
}

impl Identity {
    /// What is to be recorded when `user` signs in to `app`: an acceptance of the version in force, if they accept it. Who does not accept, and never did, is turned away where the app demands it.
    pub(super) async fn consent(
        &self,
        accepts: Option<Acceptance>,
        app: &app::Model,
        user: &user::Model,
    ) -> Result<Option<policy_acceptance::Model>, SignInError> {
        let Some(version) = &app.policy_version else { return Ok(None) };
        if let Some(Acceptance { at, from }) = accepts {
            return Ok(Some(policy_acceptance::Model {
                user_id: user.id,
                app_id: app.id,
                policy_version: version.clone(),
                accepted_at: at,
                address: from.map_or_else(String::new, canonical),
            }));
        }
        let demanded = app.policy_demanded
            && !policy_acceptance::Entity::exists(self.db.read(), user.id, app.id, version).await?;
        if demanded { Err(SignInError::ConsentMissing) } else { Ok(None) }
    }
}

/// An address as people write it: IPv4 behind IPv6 sockets is IPv4.
fn canonical(address: IpAddr) -> String {
    address.to_canonical().to_string()
}
