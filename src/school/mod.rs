//! The school: accounts that it makes, and its rosters. Above [`identity`](crate::identity) and [`classroom`](crate::classroom), which do
//! not import each other.

pub mod roster;
pub mod student_import;
