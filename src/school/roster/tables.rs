//! The files of a roster: their names, columns and limits.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    path::Path,
};

use crate::{
    csv_table::{Column, Fault, Faults, Limits, Lines, Names, Table},
    domain::sourced_id::SourcedId,
};

/// The limits of a file.
const LIMITS: Limits = Limits { bytes: 64 * 1024 * 1024, lines: 500_000, columns: 64, cell: 16 * 1024 };

/// The columns of `manifest.csv`.
pub(super) const MANIFEST: &[Column] = &[Column::required("propertyName"), Column::required("value")];

/// The columns of a file of which only the ids matter.
pub(super) const IDS: &[Column] = &[Column::required("sourcedId"), Column::optional("status")];

/// The columns of `users.csv`.
pub(super) const USERS: &[Column] = &[
    Column::required("sourcedId"),
    Column::optional("status"),
    Column::optional("enabledUser"),
    Column::required("username"),
    Column::optional("givenName"),
    Column::optional("familyName"),
    Column::optional("email"),
    Column::optional("role"),
];

/// The columns of `roles.csv`.
pub(super) const ROLES: &[Column] =
    &[Column::required("userSourcedId"), Column::optional("status"), Column::required("role")];

/// The columns of `classes.csv`. Each format has its own names for school and terms.
pub(super) const CLASSES: &[Column] = &[
    Column::required("sourcedId"),
    Column::optional("status"),
    Column::required("title"),
    Column::optional("courseSourcedId"),
    Column::optional("schoolSourcedId"),
    Column::optional("termSourcedIds"),
    Column::optional("orgSourcedId"),
    Column::optional("sessionSourcedIds"),
];

/// The columns of `enrollments.csv` in OneRoster.
pub(super) const ENROLLMENTS: &[Column] = &[
    Column::required("sourcedId"),
    Column::optional("status"),
    Column::required("classSourcedId"),
    Column::required("userSourcedId"),
    Column::required("role"),
    Column::optional("primary"),
];

/// The columns of `enrollments.csv` in SDS, whose enrollments have no ids.
pub(super) const SDS_ENROLLMENTS: &[Column] = &[
    Column::optional("sourcedId"),
    Column::optional("status"),
    Column::required("classSourcedId"),
    Column::required("userSourcedId"),
    Column::required("role"),
    Column::optional("primary"),
];

/// The place of `sourcedId`, or of the user's id in `roles.csv`.
pub(super) const ID: usize = 0;
/// The place of `status`.
pub(super) const STATUS: usize = 1;

/// Whether a row is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is.
    Present,
    /// The school's system deletes it, so it counts as absent. References to it are no faults.
    Deleted,
}

/// The ids of a file.
pub(super) type Ids = HashMap<SourcedId, Presence>;

/// A file that was read.
pub(super) struct File {
    /// The name of the file.
    pub(super) name: &'static str,
    table: Table,
}

/// Reads a file of the directory. `None` if there is no such file, or if its structure has faults.
pub(super) fn read(directory: &Path, name: &'static str, faults: &mut Faults) -> io::Result<Option<File>> {
    let file = match fs::File::open(directory.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed is a fault. A pipe could send more without end.
    let most = u64::try_from(LIMITS.bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes)?;
    match Table::read(&bytes, &LIMITS) {
        Ok(table) if table.faults.is_empty() => Ok(Some(File { name, table })),
        Ok(table) => {
            let found = table.faults.into_iter().map(|fault| Fault { file: Some(name.to_owned()), ..fault });
            found.for_each(|fault| faults.add(fault));
            Ok(None)
        }
        Err(found) => {
            faults.extend(found.in_file(name));
            Ok(None)
        }
    }
}

impl File {
    /// The lines with these columns.
    pub(super) fn lines(&self, columns: &'static [Column], faults: &mut Faults) -> Option<Lines<'_>> {
        match self.table.select(columns, Names::Exact) {
            Ok(lines) => Some(lines),
            Err(found) => {
                faults.extend(found.in_file(self.name));
                None
            }
        }
    }

    /// A fault of this file.
    pub(super) fn fault(&self, fault: Fault) -> Fault {
        Fault { file: Some(self.name.to_owned()), ..fault }
    }
}
