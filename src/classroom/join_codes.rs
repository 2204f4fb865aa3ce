//! Generating join codes.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sea_orm::DbErr;

use crate::{
    db::{self, Db, ErrorKind},
    domain::{
        id::{ClassId, UserId},
        join_code::JoinCode,
    },
    entity::{class, join_code},
    random::RandomSource,
    rate_limit::{
        limiter::{Action, LimitError, Limiter},
        policies,
    },
};

/// Upper bound on the codes generated for one request, because another class may have the same code. With a million classes, one
/// code in half a million is taken. If all of these are taken, the random source is broken.
const TRIES: u32 = 16;

/// Generates join codes.
pub struct JoinCodes {
    db: Db,
    random: Arc<dyn RandomSource>,
    limiter: Limiter,
    life: TimeDelta,
    per_minute: u32,
}

/// The new join code of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The code.
    pub code: JoinCode,
    /// From this instant on the code admits no student. Whole seconds, as in the response.
    pub expires_at: DateTime<Utc>,
}

/// The reason why no code was generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// Another user owns the class.
    #[error("another user owns the class")]
    NotOwner,
    /// Too many codes were generated for the class.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Every generated code belongs to another class.
    #[error("no join code was free in {TRIES} tries")]
    Exhausted,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl JoinCodes {
    /// Creates the service. A code is valid for `life`. `per_minute` limits the codes generated for a class, and 0 sets no limit.
    pub fn new(db: Db, random: Arc<dyn RandomSource>, life: TimeDelta, per_minute: u32) -> Self {
        let limiter = Limiter::new(db.clone());
        Self { db, random, limiter, life, per_minute }
    }

    /// Generates a join code, which replaces the class's previous one. Only the owner may do so.
    pub async fn generate(
        &self,
        class: ClassId,
        owner: UserId,
        now: DateTime<Utc>,
    ) -> Result<Generated, GenerateError> {
        let found = class::Entity::find_with_join_code(self.db.read(), class).await?;
        let (found, previous) = found.ok_or(GenerateError::NoSuchClass)?;
        if found.owner_id != owner {
            return Err(GenerateError::NotOwner);
        }
        self.limiter
            .count(Action::GenerateJoinCode, policies::generated_codes(class, self.per_minute), now)
            .await?;

        let expires_at = (now + self.life).trunc_subsecs(0);
        for _ in 0..TRIES {
            let code = JoinCode::generate(&*self.random);
            let new = join_code::Model { class_id: class, code: code.clone(), expires_at, created_at: now };
            let replace = self.db.write((previous.clone(), new), |db, (previous, new)| {
                Box::pin(join_code::Entity::replace(db, previous.as_ref(), new))
            });
            match replace.await {
                // If the row is not as it was read, a concurrent request has replaced this code already.
                Ok(_) => {
                    metrics::counter!(crate::metrics::JOIN_CODES_GENERATED).increment(1);
                    return Ok(Generated { code, expires_at });
                }
                Err(error) if db::kind(&error) == ErrorKind::UniqueViolation => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(GenerateError::Exhausted)
    }
}
