//! Reads ids, references and cells of the rows of a roster, and collects the faults.

use std::fmt::Display;

use super::{
    model::Roster,
    tables::{File, ID, IDS, Ids, Presence, STATUS},
};
use crate::{
    csv_table::{Faults, Line},
    domain::sourced_id::SourcedId,
};

/// What was read so far.
pub(super) struct Reader {
    pub(super) faults: Faults,
    pub(super) roster: Roster,
}

impl Reader {
    /// The ids of a file of which nothing else is read.
    pub(super) fn ids(&mut self, file: &File) -> Option<Ids> {
        let lines = file.lines(IDS, &mut self.faults)?;
        let mut ids = Ids::new();
        for line in lines.iter() {
            self.id(file, line, &mut ids);
        }
        Some(ids)
    }

    /// Reads the id of a line into `ids`. Returns it if the line is sound and in use.
    pub(super) fn id(&mut self, file: &File, line: Line<'_>, ids: &mut Ids) -> Option<SourcedId> {
        let id = self.required(file, line, ID, SourcedId::parse)?;
        let presence = match line.get(STATUS) {
            None | Some("active") => Presence::Present,
            Some("tobedeleted") => Presence::Deleted,
            Some(_) => {
                self.faults.add(file.fault(line.fault(STATUS, "must be empty, active or tobedeleted")));
                return None;
            }
        };
        if ids.insert(id.clone(), presence).is_some() {
            self.faults.add(file.fault(line.fault(ID, "is the id of an earlier line too")));
            return None;
        }
        (presence == Presence::Present).then_some(id)
    }

    /// Parses a cell that must not be empty.
    pub(super) fn required<T, E: Display>(
        &mut self,
        file: &File,
        line: Line<'_>,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let outcome = match line.get(column) {
            Some(text) => parse(text).map_err(|error| error.to_string()),
            None => Err("must not be empty".to_owned()),
        };
        outcome.map_err(|rule| self.faults.add(file.fault(line.fault(column, rule)))).ok()
    }

    /// Parses a cell of text that may be empty, and must not be a formula.
    pub(super) fn optional<T, E: Display>(
        &mut self,
        file: &File,
        line: Line<'_>,
        column: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = match line.text(column) {
            Ok(text) => parse(text?).map_err(|error| line.fault(column, error.to_string())),
            Err(fault) => Err(fault),
        };
        parsed.map_err(|fault| self.faults.add(file.fault(fault))).ok()
    }

    /// Checks that an id is in another file, if that file was read.
    pub(super) fn references(
        &mut self,
        file: &File,
        line: Line<'_>,
        column: usize,
        known: Option<&Ids>,
        id: Option<&str>,
    ) {
        if let (Some(known), Some(id)) = (known, id)
            && !SourcedId::parse(id).is_ok_and(|id| known.contains_key(&id))
        {
            self.faults.add(file.fault(line.fault(column, "is not an id of the other file")));
        }
    }

    /// An id that must be in another file. `None` for a fault, and for a row that the school's system deletes.
    pub(super) fn reference(
        &mut self,
        file: &File,
        line: Line<'_>,
        column: usize,
        known: &Ids,
    ) -> Option<SourcedId> {
        let id = self.required(file, line, column, SourcedId::parse)?;
        match known.get(&id) {
            Some(Presence::Present) => Some(id),
            Some(Presence::Deleted) => None,
            None => {
                self.faults.add(file.fault(line.fault(column, "is not an id of the other file")));
                None
            }
        }
    }
}
