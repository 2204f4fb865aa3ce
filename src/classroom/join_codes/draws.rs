//! Draws for classes, written together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use sea_orm::DbErr;
use tokio::time::sleep;

use crate::{
    clock::Clock,
    db::{self, Db, batch::Statement},
    domain::id::{ClassId, UserId},
    entity::class::{self, Replacement},
};

/// How long a draw or a join of somebody else may hold a class.
const MOMENT: Duration = Duration::from_millis(50);

/// Draws, as they are written.
pub struct Draws {
    db: Db,
    clock: Arc<dyn Clock>,
    /// How many a class has in a minute; 0 is no limit.
    limit: u32,
    /// The turn of the last batch.
    turn: AtomicI64,
    /// Classes that somebody held for long when a code was last drawn for them.
    held: Mutex<HashSet<ClassId>>,
}

/// What came of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
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
    /// Somebody holds the class, and nothing was written.
    Held,
}

impl Draws {
    pub fn new(db: Db, clock: Arc<dyn Clock>, limit: u32) -> Self {
        Self { db, clock, limit, turn: AtomicI64::new(0), held: Mutex::default() }
    }

    /// The turn of what is to be written now: later than all that this node has written before, and than what another has,
    /// unless its clock is ahead.
    fn next_turn(&self) -> i64 {
        let now = self.clock.now().timestamp_millis();
        let next = |last| now.max(last + 1);
        let Ok(last) = self.turn.fetch_update(Relaxed, Relaxed, |last| Some(next(last))) else {
            unreachable!()
        };
        next(last)
    }

    /// Which of these classes somebody holds now.
    async fn look_for_held(
        &self,
        classes: impl IntoIterator<Item = ClassId>,
    ) -> Result<HashSet<ClassId>, DbErr> {
        let held = class::Entity::find_held(self.db.writer(), classes).await?;
        Ok(held.into_iter().collect())
    }

    /// Which of these classes somebody holds, for longer than a draw or a join does.
    async fn find_held(&self, classes: &BTreeSet<ClassId>) -> Result<HashSet<ClassId>, DbErr> {
        let held = self.look_for_held(classes.iter().copied()).await?;
        if held.is_empty() {
            return Ok(held);
        }
        sleep(MOMENT).await;
        self.look_for_held(held).await
    }

    /// Which of these classes are held still that were held when a code was last drawn for them.
    async fn still_held(&self, classes: &BTreeSet<ClassId>) -> Result<HashSet<ClassId>, DbErr> {
        let suspected = self.remembered(classes);
        if suspected.is_empty() {
            return Ok(HashSet::new());
        }
        let held = self.look_for_held(suspected.iter().copied()).await?;
        self.remember(&suspected, &held);
        Ok(held)
    }

    /// Remembers which of these classes are held, so that the next batch with one of them does not wait for it.
    fn remember(&self, classes: &BTreeSet<ClassId>, held: &HashSet<ClassId>) {
        let mut remembered = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|class| !classes.contains(class));
        remembered.extend(held);
    }

    /// Those of these classes that were held.
    fn remembered(&self, classes: &BTreeSet<ClassId>) -> BTreeSet<ClassId> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_empty() {
            BTreeSet::new()
        } else {
            classes.iter().filter(|class| held.contains(class)).copied().collect()
        }
    }

    /// The classes of these ids, as far as there are any.
    async fn look_up(
        &self,
        ids: impl Iterator<Item = ClassId>,
    ) -> Result<HashMap<ClassId, class::Model>, DbErr> {
        let classes = class::Entity::find_by_ids(self.db.read(), ids).await?;
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

    /// A class that somebody holds keeps others waiting once; from then on it is only looked at, until it is free.
    ///
    /// The turn is that of the moment at which all askers were there still. Some may have left before the second attempt,
    /// and another node may have answered them meanwhile: what they asked for first must not take the place of that.
    async fn write(&self, batch: &[Replacement]) -> Result<Vec<Option<Outcome>>, DbErr> {
        let turn = self.next_turn();
        let classes = batch.iter().map(|draw| draw.id).collect();
        let held = self.still_held(&classes).await?;
        let error = match self.write_but(&held, batch, turn).await {
            Err(error) if db::may_be_held(&error) => error,
            written => return written,
        };
        let held = self.find_held(&classes).await?;
        if held.is_empty() && !db::is_held(&error) {
            // The database is slow, and would be once more.
            return Err(error);
        }
        self.remember(&classes, &held);
        self.write_but(&held, batch, turn).await
    }
}

impl Draws {
    /// Writes the draws for classes that are not `held`.
    ///
    /// Of the draws for one class one alone is written, the latest, and stands for all of them: the others were replaced
    /// at once. Only when fewer rows were changed than were to be, classes are looked up, to say which and why: rows that
    /// are answered for each change cost as much as the changes.
    async fn write_but(
        &self,
        held: &HashSet<ClassId>,
        batch: &[Replacement],
        turn: i64,
    ) -> Result<Vec<Option<Outcome>>, DbErr> {
        // Two who say that they own a class do not get into each other's way: one of them does not.
        let mut latest = BTreeMap::<(ClassId, UserId), Replacement>::new();
        let mut places = Vec::with_capacity(batch.len());
        for draw in batch {
            let key = (draw.id, draw.owner_id);
            let (before, turn) = latest.get(&key).map_or((0, turn), |earlier| (earlier.draws, earlier.turn));
            places.push((key, before));
            let (draws, turn) = (before + draw.draws, turn.max(draw.turn));
            latest.insert(key, Replacement { turn, draws, ..draw.clone() });
        }
        let rows: Vec<_> = latest.values().filter(|draw| !held.contains(&draw.id)).cloned().collect();
        let changed = if rows.is_empty() {
            0
        } else {
            class::Entity::replace_join_codes(self.db.idempotent(), &rows, self.limit).await?
        };
        let all = changed == rows.len() as u64;
        if all && held.is_empty() {
            return Ok(vec![Some(Outcome::Replaced); batch.len()]);
        }
        let classes = match self.look_up(latest.keys().map(|(class, _)| *class)).await {
            Ok(classes) => classes,
            Err(error) if batch.len() == 1 => return Err(error),
            // What was changed is written already. All are tried again, each by itself: none was answered yet.
            Err(_) => return Ok(vec![None; batch.len()]),
        };
        let outcome = |(draw, (key, before)): (&Replacement, ((ClassId, UserId), i64))| {
            let class = classes.get(&key.0);
            if held.contains(&key.0) && class.is_some_and(|class| class.owner_id == draw.owner_id) {
                return Some(Outcome::Held);
            }
            let outcome = self.outcome(draw, before, &latest[&key], class);
            // By itself there is nothing else that it can have been refused for.
            outcome.or((batch.len() == 1).then_some(Outcome::TooOften { retry_after_seconds: 1 }))
        };
        Ok(batch.iter().zip(places).map(outcome).collect())
    }
}
