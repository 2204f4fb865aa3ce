//! Rosters: the users, classes and enrollments of a school as CSV files of its own system, in OneRoster 1.2 or SDS v2.1.
//!
//! An import reads and checks all files, compares them with the database, and applies the differences, a class at a time. It can be
//! repeated: a second run changes nothing, and a run after an interrupted one does the rest.

pub mod files;
pub mod model;
mod rows;
mod tables;

#[cfg(test)]
mod tests;
