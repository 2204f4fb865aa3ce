//! Rosters: the users, classes and enrollments of a school as CSV files of its own system, in OneRoster 1.2 or SDS v2.1.
//!
//! An import reads and checks all files, compares them with the database, and applies the differences, a class at a time. It can be
//! repeated: a second run changes nothing, and a run after an interrupted one does the rest.

pub mod apply;
pub mod existing;
pub mod export;
pub mod files;
mod leaving;
pub mod model;
mod people;
pub mod plan;
pub mod report;
mod rows;
mod tables;
mod user_names;

#[cfg(test)]
mod tests;
