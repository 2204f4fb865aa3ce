//! Files of comma-separated values (RFC 4180): a strict reader that finds every fault, and a writer whose cells no spreadsheet runs as
//! formulas.

mod fault;
mod formula;
mod reader;
mod scan;
mod writer;

#[cfg(test)]
mod tests;

pub use self::{
    fault::{Fault, Faults},
    formula::{begins_formula, neutralized},
    reader::{Column, Limits, Line, Lines, Names, Table},
    writer::Writer,
};
