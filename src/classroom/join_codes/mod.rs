//! Drawing join codes.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use super::Classroom;
use crate::{
    domain::join_code::JoinCode,
    entity::class::{self, Replacement},
    metric,
    store::{
        self, Store,
        batch::{BatchError, Statement},
    },
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
    /// stands. Nobody else is given a later turn than their own, or a code that nobody has heard of could replace one that
    /// was answered.
    pub async fn draw_join_code(
        &self,
        class: Uuid,
        owner: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Drawn, DrawError> {
        let expires_at = (now + self.settings.join_code_life).trunc_subsecs(0);
        let code = JoinCode::draw(&*self.entropy);
        let turn = now.timestamp_millis();
        let mut draw = Replacement { id: class, owner_id: owner, code, expires_at, now, turn, draws: 1 };
        let mut clashes = 0;
        loop {
            match self.draws.ask(draw.clone()).await {
                Ok(Outcome::Replaced) => {
                    metrics::counter!(metric::JOIN_CODES_DRAWN).increment(1);
                    return Ok(Drawn { code: draw.code, expires_at });
                }
                Ok(Outcome::Overtaken { by }) => draw.turn = by + 1,
                Ok(Outcome::NoSuchClass) => return Err(DrawError::NoSuchClass),
                Ok(Outcome::NotOwner) => return Err(DrawError::NotOwner),
                Ok(Outcome::TooOften { retry_after_seconds }) => {
                    metrics::counter!(metric::THROTTLED, "kind" => "draw").increment(1);
                    return Err(DrawError::TooOften { retry_after_seconds });
                }
                Err(BatchError::Failed(error)) if store::kind(&error) == store::Kind::Taken => {
                    clashes += 1;
                    if clashes == DRAWS {
                        return Err(DrawError::Exhausted);
                    }
                    draw.code = JoinCode::draw(&*self.entropy);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Draws, as they are written.
pub(super) struct Draws {
    store: Store,
    /// How many a class has in a minute; 0 is no limit.
    limit: u32,
}

/// What came of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The code was the class's. It is still, unless another one was drawn since.
    Replaced,
    /// The class has a code whose turn was as late or later: it was drawn since, or on a node whose clock is ahead, or
    /// before the clock was set back.
    Overtaken {
        by: i64,
    },
    NoSuchClass,
    NotOwner,
    TooOften {
        retry_after_seconds: u64,
    },
}

impl Draws {
    pub(super) fn new(store: Store, limit: u32) -> Self {
        Self { store, limit }
    }

    /// The classes of these ids, as far as there are any.
    async fn look_up(&self, ids: impl Iterator<Item = Uuid>) -> Result<HashMap<Uuid, class::Model>, DbErr> {
        let classes = class::Entity::find_by_ids(self.store.reader(), ids).await?;
        Ok(classes.into_iter().map(|class| (class.id, class)).collect())
    }

    /// What came of a draw, told by its class as it is after the batch, in which `last` stands for it and `before` of its
    /// kind came first. Nothing, if the draw may have been made, or could be: another node may have drawn since.
    fn outcome(
        &self,
        draw: &Replacement,
        before: i64,
        last: &Replacement,
        class: Option<&class::Model>,
    ) -> Option<Outcome> {
        match class {
            None => Some(Outcome::NoSuchClass),
            Some(class) if class.owner_id != draw.owner_id => Some(Outcome::NotOwner),
            Some(class) if class.join_code.as_ref() == Some(&last.code) => Some(Outcome::Replaced),
            Some(class) if class.join_code_turn >= last.turn => {
                Some(Outcome::Overtaken { by: class.join_code_turn })
            }
            Some(class) if before < class.draws_left(self.limit, draw.now) => None,
            Some(class) => {
                Some(Outcome::TooOften { retry_after_seconds: class.seconds_to_next_draw(draw.now) })
            }
        }
    }
}

impl Statement for Draws {
    type Request = Replacement;
    type Answer = Outcome;

    /// Of the draws for one class one alone is written, the latest, and stands for all of them: the others were replaced
    /// at once. Only when fewer rows were changed than were to be, classes are looked up, to say which and why: rows that
    /// are answered for each change cost as much as the changes.
    async fn write(&self, batch: &[Replacement]) -> Result<Vec<Option<Outcome>>, DbErr> {
        // Two who say that they own a class do not get into each other's way: one of them does not.
        let mut latest = BTreeMap::<(Uuid, Uuid), Replacement>::new();
        let mut places = Vec::with_capacity(batch.len());
        for draw in batch {
            let key = (draw.id, draw.owner_id);
            let (before, turn) =
                latest.get(&key).map_or((0, i64::MIN), |earlier| (earlier.draws, earlier.turn));
            places.push((key, before));
            let (draws, turn) = (before + draw.draws, turn.max(draw.turn));
            latest.insert(key, Replacement { draws, turn, ..draw.clone() });
        }
        let rows: Vec<_> = latest.values().cloned().collect();
        let changed = class::Entity::replace_join_codes(self.store.idempotent(), &rows, self.limit).await?;
        if changed == rows.len() as u64 {
            return Ok(vec![Some(Outcome::Replaced); batch.len()]);
        }
        let classes = match self.look_up(latest.keys().map(|(class, _)| *class)).await {
            Ok(classes) => classes,
            Err(error) if batch.len() == 1 => return Err(error),
            // What was changed is written already. All are tried again, each by itself: none was answered yet.
            Err(_) => return Ok(vec![None; batch.len()]),
        };
        let outcome = |(draw, (key, before))| {
            let outcome = self.outcome(draw, before, &latest[&key], classes.get(&key.0));
            // By itself there is nothing else that it can have been refused for.
            outcome.or((batch.len() == 1).then_some(Outcome::TooOften { retry_after_seconds: 1 }))
        };
        Ok(batch.iter().zip(places).map(outcome).collect())
    }
}
