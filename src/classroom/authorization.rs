//! Who may do what with a class: one table of all operations.

pub use crate::domain::standing::Standing;

/// What an operation answers to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The operation is done.
    Allowed,
    /// 403.
    Forbidden,
    /// 404: the caller does not learn that the row exists.
    Hidden,
    /// The operation succeeds, and its list lacks the class.
    NotListed,
    /// A rule of the operation decides.
    Other(&'static str),
}

/// An operation, and what it answers to callers of each [`Standing`].
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The `operationId`.
    pub operation: &'static str,
    /// For a stranger, a pending, a present and a former student, and the owner.
    pub cells: [Cell; 5],
    /// The command by which an operator does the same.
    pub operator: Option<&'static str>,
}

/// The caller may not do this with the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller may not do this with the class")]
pub struct Refusal;

use Cell::{Allowed, Forbidden, Hidden, NotListed};

const fn row(operation: &'static str, cells: [Cell; 5], operator: Option<&'static str>) -> Row {
    Row { operation, cells, operator }
}

const fn owner_only(operation: &'static str, operator: Option<&'static str>) -> Row {
    row(operation, [Forbidden, Forbidden, Forbidden, Forbidden, Allowed], operator)
}

/// All operations on classes, in the order of the document.
pub const TABLE: &[Row] = &[
    row("getClasses", [NotListed, NotListed, Allowed, NotListed, Allowed], Some("class list")),
    row("createClass", [Allowed; 5], Some("class add")),
    row("getClassById", [Forbidden, Forbidden, Allowed, Forbidden, Allowed], Some("class show")),
    owner_only("updateClass", Some("class set")),
    owner_only("deleteClass", Some("class remove")),
    owner_only("generateJoinCode", None),
    owner_only("getJoinCode", Some("class show")),
    owner_only("revokeJoinCode", None),
    row(
        "joinClassByCode",
        [Allowed, Cell::Other("409"), Cell::Other("409"), Allowed, Cell::Other("400")],
        None,
    ),
    row("getStudentsByClassId", [Forbidden, Forbidden, Allowed, Forbidden, Allowed], Some("class roster")),
    owner_only("removeStudentFromClass", Some("roster import")),
    row("leaveClass", [Forbidden, Allowed, Allowed, Forbidden, Forbidden], None),
    owner_only("admitStudent", None),
    // The rows of a student in the caller's own classes decide. Others do not learn that the student exists.
    row("updateStudent", [Hidden, Hidden, Hidden, Hidden, Allowed], Some("user set")),
    owner_only("createAndEnrollStudent", Some("roster import")),
    owner_only("submitImport", Some("roster import")),
    owner_only("bulkCreateStudentAccounts", Some("roster cards")),
    owner_only("resetStudentPassword", Some("roster cards")),
];

/// Whether a caller of this standing may do this. An operation that is not in the table is refused to everyone.
pub fn authorize(operation: &str, standing: Standing) -> Result<(), Refusal> {
    let row = TABLE.iter().find(|row| row.operation == operation).ok_or(Refusal)?;
    let column = match standing {
        Standing::Stranger => 0,
        Standing::Pending => 1,
        Standing::Student => 2,
        Standing::Former => 3,
        Standing::Owner => 4,
    };
    if row.cells[column] == Allowed { Ok(()) } else { Err(Refusal) }
}
