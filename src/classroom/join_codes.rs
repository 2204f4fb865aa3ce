//! Drawing join codes.

use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{DbErr, EntityTrait};
use uuid::Uuid;

use super::Classroom;
use crate::{domain::join_code::JoinCode, entity::class, store};

/// How often a code that another class has is drawn again. With 2^40 codes and a million classes, one draw in a
/// million clashes: this many in a row are a broken random source.
const DRAWS: u32 = 16;

/// A code that is the class's one code from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The code.
    pub code: JoinCode,
    /// The instant from which it admits nobody, in whole seconds, as it is told.
    pub expires_at: DateTime<Utc>,
}

/// Why no code was drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// There is no such class.
    #[error("there is no such class")]
    NoSuchClass,
    /// The class is somebody else's.
    #[error("the class belongs to somebody else")]
    NotOwner,
    /// Every code that was drawn is another class's.
    #[error("no join code was free in {DRAWS} draws")]
    Exhausted,
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] DbErr),
}

impl Classroom {
    /// Draws a class's join code in the place of the one before, for its owner.
    ///
    /// One statement checks the owner and replaces the code, and the database alone decides that no two classes share
    /// one. Only when it changed nothing is the class looked up, to say why.
    pub async fn draw_join_code(
        &self,
        class: Uuid,
        owner: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Drawn, DrawError> {
        let expires_at = (now + self.settings.join_code_life).trunc_subsecs(0);
        for _ in 0..DRAWS {
            let code = JoinCode::draw(&*self.entropy);
            let replaced =
                class::Entity::replace_join_code(self.store.idempotent(), class, owner, &code, expires_at)
                    .await;
            match replaced {
                Ok(true) => return Ok(Drawn { code, expires_at }),
                Ok(false) => return Err(self.why_not(class).await?),
                Err(error) if store::kind(&error) == store::Kind::Taken => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DrawError::Exhausted)
    }

    async fn why_not(&self, class: Uuid) -> Result<DrawError, DbErr> {
        let class = class::Entity::find_by_id(class).one(self.store.reader()).await?;
        Ok(if class.is_some() { DrawError::NotOwner } else { DrawError::NoSuchClass })
    }
}
