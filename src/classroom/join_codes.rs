//! Generating, showing and revoking join codes.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sea_orm::{DbErr, EntityTrait};
use url::Url;

use super::authorization::authorize;
use crate::{
    db::{self, Db, ErrorKind},
    domain::{
        id::{ClassId, UserId},
        join_code::JoinCode,
        standing::Standing,
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

/// Generates, shows and revokes join codes.
pub struct JoinCodes {
    db: Db,
    random: Arc<dyn RandomSource>,
    limiter: Limiter,
    settings: Settings,
}

/// Settings of join codes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Lifetime of a code.
    pub life: TimeDelta,
    /// Codes that may be generated for a class in a minute. 0 sets no limit.
    pub per_minute: u32,
    /// The page on which students join a class.
    pub page: Option<Url>,
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

/// The current join code of a class, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeView {
    /// The code.
    pub code: JoinCode,
    /// From this instant on the code admits no student.
    pub expires_at: DateTime<Utc>,
    /// How many students joined with the code.
    pub joins: i32,
    /// The page on which a student joins with the code, if the operator has set one.
    pub url: Option<Url>,
}

/// The reason why no join code is shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// Another user owns the class.
    #[error("another user owns the class")]
    NotOwner,
    /// There is no code, it is expired, or the class is inactive.
    #[error("the class has no valid join code")]
    NoJoinCode,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why no join code was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// Another user owns the class.
    #[error("another user owns the class")]
    NotOwner,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl JoinCodes {
    /// Creates the service.
    pub fn new(db: Db, random: Arc<dyn RandomSource>, settings: Settings) -> Self {
        let limiter = Limiter::new(db.clone());
        Self { db, random, limiter, settings }
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
        // All callers but the owner have the same cell, so that the enrollment is not read.
        let standing = if found.owner_id == owner { Standing::Owner } else { Standing::Stranger };
        authorize("generateJoinCode", standing).map_err(|_| GenerateError::NotOwner)?;
        self.limiter
            .count(Action::GenerateJoinCode, policies::generated_codes(class, self.settings.per_minute), now)
            .await?;

        let expires_at = (now + self.settings.life).trunc_subsecs(0);
        for _ in 0..TRIES {
            let code = JoinCode::generate(&*self.random);
            let new = join_code::Model {
                class_id: class,
                code: code.clone(),
                expires_at,
                created_at: now,
                joins: 0,
            };
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

    /// Shows the join code of a class to its owner.
    pub async fn view(
        &self,
        class: ClassId,
        owner: UserId,
        now: DateTime<Utc>,
    ) -> Result<CodeView, ViewError> {
        let db = self.db.read();
        let (class, standing) =
            class::Entity::find_with_standing(db, class, owner).await?.ok_or(ViewError::NoSuchClass)?;
        authorize("getJoinCode", standing).map_err(|_| ViewError::NotOwner)?;
        let valid =
            if class.is_active { join_code::Entity::find_valid(db, class.id, now).await? } else { None };
        let join_code::Model { code, expires_at, joins, .. } = valid.ok_or(ViewError::NoJoinCode)?;
        let url = self.settings.page.as_ref().map(|page| join_url(page, &code));
        Ok(CodeView { code, expires_at, joins, url })
    }

    /// Revokes the join code of a class. Only the owner may do so. A code that was generated meanwhile stays.
    pub async fn revoke(&self, class: ClassId, owner: UserId) -> Result<(), RevokeError> {
        let db = self.db.read();
        let found = class::Entity::find_with_standing(db, class, owner).await?;
        let (_, standing) = found.ok_or(RevokeError::NoSuchClass)?;
        authorize("revokeJoinCode", standing).map_err(|_| RevokeError::NotOwner)?;
        let Some(row) = join_code::Entity::find_by_id(class).one(db).await? else { return Ok(()) };
        let revoke = self.db.write((class, owner, row.code), |db, (class, owner, code)| {
            Box::pin(join_code::Entity::revoke(db, *class, *owner, code))
        });
        revoke.await?;
        Ok(())
    }
}

/// The join page with a code in its query.
pub fn join_url(page: &Url, code: &JoinCode) -> Url {
    let mut url = page.clone();
    url.query_pairs_mut().append_pair("code", code.expose());
    url
}
