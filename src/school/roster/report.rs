//! What an import changes, for the operator.

use crate::domain::sourced_id::SourcedId;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Teachers and students.
    User,
    /// Classes.
    Class,
    /// Students in classes.
    Enrollment,
}

impl Kind {
    /// All tables.
    pub const ALL: [Self; 3] = [Self::User, Self::Class, Self::Enrollment];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Class => "class",
            Self::Enrollment => "enrollment",
        }
    }

    /// The name of the table.
    pub fn table(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Class => "classes",
            Self::Enrollment => "enrollments",
        }
    }
}

/// What happens to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is made.
    New,
    /// It existed, and gets its `sourcedId`.
    Linked,
    /// Properties change.
    Changed,
    /// It left the files: an account is disabled, a class becomes inactive, an enrollment is dropped.
    Ended,
}

impl Change {
    /// All changes.
    pub const ALL: [Self; 4] = [Self::New, Self::Linked, Self::Changed, Self::Ended];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Linked => "linked",
            Self::Changed => "changed",
            Self::Ended => "ended",
        }
    }
}

/// The change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The table.
    pub kind: Kind,
    /// The id of the row in the files.
    pub sourced_id: SourcedId,
    /// What happens to it.
    pub change: Change,
    /// The properties that change.
    pub fields: Vec<&'static str>,
}

/// All changes of an import.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The changes.
    pub entries: Vec<Entry>,
    /// The number of unchanged rows of each table, in the order of [`Kind::ALL`].
    unchanged: [u64; 3],
    /// What an operator should know, in sentences.
    pub notes: Vec<String>,
}

impl Report {
    /// Records a change.
    pub fn record(&mut self, kind: Kind, sourced_id: &SourcedId, change: Change, fields: Vec<&'static str>) {
        self.entries.push(Entry { kind, sourced_id: sourced_id.clone(), change, fields });
    }

    /// Records an unchanged row.
    pub fn keep(&mut self, kind: Kind) {
        self.unchanged[kind as usize] += 1;
    }

    /// The number of unchanged rows of a table.
    pub fn unchanged(&self, kind: Kind) -> u64 {
        self.unchanged[kind as usize]
    }

    /// The number of rows of a table with this change.
    pub fn count(&self, kind: Kind, change: Change) -> usize {
        self.entries.iter().filter(|entry| entry.kind == kind && entry.change == change).count()
    }
}
