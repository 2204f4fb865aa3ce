//! Services for sign-in, tokens, apps and accounts.

pub mod accounts;
pub mod apps;
pub mod audit;
pub mod consent;
pub mod export;
pub mod password_hashing;
pub mod password_policy;
pub mod session_administration;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod tokens;

mod rehash;
mod session_states;
mod verified_tokens;

use std::sync::Arc;

use chrono::TimeDelta;

use self::{
    apps::Apps, password_hashing::PasswordHashing, password_policy::PasswordPolicy, sessions::Sessions,
    sign_in::SignIn, signing_keys::SigningKeys, tokens::Tokens,
};
use crate::{db::Db, mail::Outbox, random::RandomSource, rate_limit::policies::PasswordLimits};

/// The services that the API calls.
pub struct Identity {
    /// Issues authorization codes.
    pub sign_in: SignIn,
    /// Issues, revokes and verifies tokens.
    pub tokens: Tokens,
    /// The sessions of users.
    pub sessions: Arc<Sessions>,
    /// The registered apps.
    pub apps: Apps,
    /// The keys behind the tokens.
    pub keys: Arc<SigningKeys>,
    /// Mails to users.
    pub outbox: Outbox,
}

/// The operator's settings for these services.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `iss` of every token.
    pub issuer: String,
    /// `aud` of the access tokens: the server's public URL.
    pub audience: String,
    /// The lifetime of an authorization code.
    pub code_life: TimeDelta,
    /// The time after a rotation in which a second use of the refresh token does not end its session.
    pub refresh_reuse_interval: TimeDelta,
    /// The rule for new passwords.
    pub password_policy: PasswordPolicy,
    /// The limits on guessing passwords.
    pub rate_limit: PasswordLimits,
}

impl Identity {
    /// Builds the services over one database.
    pub fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        hashing: PasswordHashing,
        keys: SigningKeys,
        outbox: Outbox,
        settings: Settings,
    ) -> Self {
        let Settings { issuer, audience, code_life, refresh_reuse_interval, password_policy: _, rate_limit } =
            settings;
        let (hashing, keys) = (Arc::new(hashing), Arc::new(keys));
        let sessions = Arc::new(Sessions::new(db.clone(), random.clone()));
        let settings = tokens::Settings { issuer, audience, reuse_interval: refresh_reuse_interval };
        Self {
            sign_in: SignIn::new(db.clone(), random.clone(), hashing, rate_limit, code_life),
            tokens: Tokens::new(db.clone(), random, keys.clone(), sessions.clone(), settings),
            sessions,
            apps: Apps::new(db),
            keys,
            outbox,
        }
    }
}
