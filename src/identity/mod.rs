//! Services for sign-in, tokens, apps and accounts.

pub mod accounts;
pub mod apps;
pub mod audit;
pub mod consent;
pub mod export;
pub mod own_account;
pub mod password_hashing;
pub mod password_policy;
pub mod password_reset;
pub mod registration;
pub mod session_administration;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod tokens;

mod initial_password;
mod rehash;
mod session_states;
mod verified_tokens;

use std::sync::Arc;

use chrono::TimeDelta;

use self::{
    apps::Apps, own_account::OwnAccount, password_hashing::PasswordHashing, password_policy::PasswordPolicy,
    password_reset::PasswordResets, registration::Registrations, sessions::Sessions, sign_in::SignIn,
    signing_keys::SigningKeys, tokens::Tokens,
};
use crate::{
    db::Db,
    domain::mail_domain::MailDomain,
    mail::Outbox,
    random::RandomSource,
    rate_limit::policies::{AccountLimits, PasswordLimits},
};

/// The services that the API calls.
pub struct Identity {
    /// Issues authorization codes.
    pub sign_in: SignIn,
    /// Issues, revokes and verifies tokens.
    pub tokens: Tokens,
    /// The sessions of users.
    pub sessions: Arc<Sessions>,
    /// Registers people, and confirms their addresses.
    pub registrations: Registrations,
    /// Resets passwords.
    pub password_resets: PasswordResets,
    /// Serves users their own accounts.
    pub own_account: OwnAccount,
    /// The registered apps.
    pub apps: Apps,
    /// The keys behind the tokens.
    pub keys: Arc<SigningKeys>,
    /// Mails to users.
    pub outbox: Outbox,
    /// The threads that hash passwords.
    pub hashing: Arc<PasswordHashing>,
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
    /// The limits on registrations and resets.
    pub account_limits: AccountLimits,
    /// The domain of user names, in which nobody registers.
    pub student_domain: Option<MailDomain>,
    /// Whether users may keep a password that was generated for them.
    pub keep_initial_passwords: bool,
}

/// The parts that all account services share.
#[derive(Clone)]
struct AccountParts {
    db: Db,
    random: Arc<dyn RandomSource>,
    hashing: Arc<PasswordHashing>,
    policy: PasswordPolicy,
    sessions: Arc<Sessions>,
    outbox: Outbox,
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
        let Settings {
            issuer,
            audience,
            code_life,
            refresh_reuse_interval,
            password_policy,
            rate_limit,
            account_limits,
            student_domain,
            keep_initial_passwords,
        } = settings;
        let (hashing, keys) = (Arc::new(hashing), Arc::new(keys));
        let sessions = Arc::new(Sessions::new(db.clone(), random.clone()));
        let settings = tokens::Settings { issuer, audience, reuse_interval: refresh_reuse_interval };
        let account_parts = AccountParts {
            db: db.clone(),
            random: random.clone(),
            hashing: hashing.clone(),
            policy: password_policy,
            sessions: sessions.clone(),
            outbox: outbox.clone(),
        };
        Self {
            registrations: Registrations::new(account_parts.clone(), account_limits, student_domain),
            password_resets: PasswordResets::new(account_parts.clone(), account_limits),
            own_account: OwnAccount::new(account_parts.clone(), rate_limit),
            sign_in: SignIn::new(account_parts, rate_limit, code_life, keep_initial_passwords),
            tokens: Tokens::new(db.clone(), random, keys.clone(), sessions.clone(), settings),
            sessions,
            apps: Apps::new(db),
            keys,
            outbox,
            hashing,
        }
    }
}
