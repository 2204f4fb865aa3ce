//! The relation of a user to a class.

/// The relation of a user to a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// None.
    Stranger,
    /// The user joined, and waits for the owner's approval.
    Pending,
    /// The user is an active student of the class.
    Student,
    /// The user was a student of the class: dropped, completed, transferred or graduated.
    Former,
    /// The user owns the class.
    Owner,
}
