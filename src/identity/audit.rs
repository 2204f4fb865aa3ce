//! Reads the audit trail.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use sea_orm::DbErr;

use crate::{
    db::Db,
    domain::id::AuditEventId,
    entity::audit_event::{Entity, Filter, Model, Position},
};

/// The largest difference between the time of an event and its commit: a request lasts less, and so do the differences between the
/// clocks of nodes.
const MAX_DELAY: TimeDelta = TimeDelta::seconds(30);
/// Events per query.
const PAGE: u64 = 500;

/// Reads the matching events, each once.
pub struct AuditReader {
    db: Db,
    filter: Filter,
    after: Option<Position>,
    /// The events that were read, as far as a later query may find them again.
    read: BTreeSet<Position>,
}

impl AuditReader {
    /// Begins at the oldest matching event.
    pub fn new(db: Db, filter: Filter) -> Self {
        Self { db, filter, after: None, read: BTreeSet::new() }
    }

    /// The next events, oldest first. There are none if the newest one was read; later calls return the events since then.
    ///
    /// An event may appear after others with later times, because its transaction took longer. It is returned once it appears.
    pub async fn next(&mut self) -> Result<Vec<Model>, DbErr> {
        loop {
            let mut events = Entity::page(self.db.read(), &self.filter, self.after, PAGE).await?;
            let Some(last) = events.last().map(position) else {
                self.after = self.window_start();
                return Ok(events);
            };
            self.after = Some(last);
            events.retain(|event| self.read.insert(position(event)));
            if let Some(start) = self.window_start() {
                self.read = self.read.split_off(&start);
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// The position from which events may still appear.
    fn window_start(&self) -> Option<Position> {
        self.read.last().map(|(newest, _)| (*newest - MAX_DELAY, AuditEventId::from_u128(0)))
    }
}

fn position(event: &Model) -> Position {
    (event.at, event.id)
}
