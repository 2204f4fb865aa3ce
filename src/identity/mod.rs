//! ROOM: who somebody is. Signing in, the codes that come of it, the tokens they are swapped for, and what all that
//! rests on: accounts, apps, acceptances, keys and the password hash. One file per use case.

pub mod accounts;
pub mod apps;
pub mod codes;
pub mod consent;
pub mod password_hashing;
pub mod sign_in;
pub mod signing_keys;
pub mod tokens;

mod verified_tokens;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;

use self::{password_hashing::PasswordHashing, signing_keys::SigningKeys, verified_tokens::VerifiedTokens};
use crate::{
    db::Db,
    entity::authorization_code,
    random::RandomSource,
    rate_limit::{limiter::Limiter, policies::PasswordLimits},
};

/// How long a code that nobody redeemed is kept after its time: longer than the clocks of two nodes may be apart. To a node whose
/// clock is ahead a code seems over too soon, while others may redeem it yet; but a node that is more than a minute apart from
/// the database sweeps nothing.
pub const CODES_SWEPT_AFTER: TimeDelta = TimeDelta::minutes(5);

/// How long counts are kept after their time. To a node whose clock is an hour ahead it seems over too soon, while
/// others work with them yet.
pub const SWEPT_AFTER: TimeDelta = TimeDelta::hours(2);

/// The room, with what it works on.
pub struct Identity {
    db: Db,
    random: Arc<dyn RandomSource>,
    hashing: PasswordHashing,
    keys: SigningKeys,
    verified: VerifiedTokens,
    limiter: Limiter,
    settings: Settings,
}

/// What an operator decides of this room.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `iss` of every token.
    pub issuer: String,
    /// `aud` of the access tokens: the server's public URL.
    pub audience: String,
    /// How long an authorization code can be redeemed.
    pub code_life: TimeDelta,
    /// How many passwords may be guessed.
    pub rate_limit: PasswordLimits,
}

impl Identity {
    /// Opens the room.
    pub fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        hashing: PasswordHashing,
        keys: SigningKeys,
        settings: Settings,
    ) -> Self {
        let limiter = Limiter::new(db.clone());
        Self { db, random, hashing, keys, verified: VerifiedTokens::new(), limiter, settings }
    }

    /// The keys that tokens are signed with and checked by.
    pub fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// Clears away what time has made worthless, a small batch at a time, so that nobody waits behind it: at once the codes
    /// that were redeemed, the others after [`CODES_SWEPT_AFTER`], and counts after [`SWEPT_AFTER`].
    pub async fn sweep(&self, now: DateTime<Utc>) -> Result<(), DbErr> {
        const BATCH: u64 = 500;
        let over = now - SWEPT_AFTER;
        loop {
            let abandoned = now - CODES_SWEPT_AFTER;
            let sweep = self.db.write((), move |db, ()| {
                Box::pin(authorization_code::Entity::sweep(db, now, abandoned, BATCH))
            });
            let swept = sweep.await?;
            metrics::counter!(crate::metrics::CODES_EXPIRED).increment(swept);
            if swept < BATCH {
                break;
            }
            tokio::task::yield_now().await;
        }
        while self.limiter.sweep(over, BATCH).await? == BATCH {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
