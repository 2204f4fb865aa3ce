//! Rosters: the students of a class.

use crate::entity::{enrollment, user};

/// A student of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRow {
    /// The account.
    pub user: user::Model,
    /// The enrollment.
    pub enrollment: enrollment::Model,
    /// What the reader sees of it.
    pub view: View,
}

/// What a reader sees of a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything: for the owner of the class.
    Full,
    /// The name: for other students of the class.
    NamesOnly,
}
