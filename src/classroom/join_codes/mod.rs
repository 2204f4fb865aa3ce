//! Drawing join codes.

mod draws;

use chrono::{DateTime, SubsecRound, Utc};

pub(super) use self::draws::Draws;
use self::draws::Outcome;
use super::Classroom;
use crate::{
    db::{self, batch::BatchError},
    domain::{
        id::{ClassId, UserId},
        join_code::JoinCode,
    },
    entity::class::Replacement,
};

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
    /// The class has had its draws of this minute.
    #[error("join codes are drawn for the class too often")]
    TooOften {
        /// When the minute is over, in whole seconds, at least one.
        retry_after_seconds: u64,
    },
    /// Somebody else's change of the class has been under way for long.
    #[error("the class is held by somebody else")]
    Held,
    /// Every code that was drawn is another class's.
    #[error("no join code was free in {DRAWS} draws")]
    Exhausted,
    /// Nothing was written.
    #[error("the code was not written")]
    Unwritten(#[from] BatchError),
}

impl Classroom {
    /// Draws a class's join code in the place of the one before, for its owner.
    ///
    /// It is written together with what others draw at the same time. The statement checks the owner, counts the draw
    /// and replaces the code, and the database alone decides that no two classes share one.
    ///
    /// Whoever is overtaken draws again, for as long as they wait for the answer: so what is answered last is what
    /// stands. For whoever waits no more nothing is done again with a later turn, or a code that nobody has heard of could
    /// replace one that was answered.
    pub async fn draw_join_code(
        &self,
        class: ClassId,
        owner: UserId,
        now: DateTime<Utc>,
    ) -> Result<Drawn, DrawError> {
        let expires_at = (now + self.settings.join_code_life).trunc_subsecs(0);
        let code = JoinCode::draw(&*self.random);
        // It has its turn when it is written.
        let mut draw = Replacement { id: class, owner_id: owner, code, expires_at, now, turn: 0, draws: 1 };
        let mut clashes = 0;
        loop {
            match self.draws.ask(draw.clone()).await {
                Ok(Outcome::Replaced) => {
                    metrics::counter!(crate::metrics::JOIN_CODES_DRAWN).increment(1);
                    return Ok(Drawn { code: draw.code, expires_at });
                }
                Ok(Outcome::Overtaken { by }) => draw.turn = by + 1,
                Ok(Outcome::NoSuchClass) => return Err(DrawError::NoSuchClass),
                Ok(Outcome::NotOwner) => return Err(DrawError::NotOwner),
                Ok(Outcome::TooOften { retry_after_seconds }) => {
                    metrics::counter!(crate::metrics::THROTTLED, "kind" => "draw").increment(1);
                    return Err(DrawError::TooOften { retry_after_seconds });
                }
                Ok(Outcome::Held) => return Err(DrawError::Held),
                Err(BatchError::Failed(error)) if db::kind(&error) == db::ErrorKind::UniqueViolation => {
                    clashes += 1;
                    if clashes == DRAWS {
                        return Err(DrawError::Exhausted);
                    }
                    draw.code = JoinCode::draw(&*self.random);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
