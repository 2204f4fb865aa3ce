//! Reads files: limits, header, and the cells of each line.

use csv::{ReaderBuilder, StringRecord};

use super::{
    fault::{Fault, Faults},
    formula::{begins_formula, restored},
    scan::{self, Structure},
};

/// The limits of a file.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum number of bytes.
    pub bytes: usize,
    /// The maximum number of lines below the header that are not empty.
    pub lines: usize,
    /// The maximum number of columns.
    pub columns: usize,
    /// The maximum number of bytes of a cell.
    pub cell: usize,
}

/// A column that a file may have.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The name in the header.
    pub name: &'static str,
    /// Whether the file must have the column.
    pub required: bool,
}

impl Column {
    /// A column that the file must have.
    pub const fn required(name: &'static str) -> Self {
        Self { name, required: true }
    }

    /// A column that the file may have.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, required: false }
    }
}

/// How the names of columns are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// In any case, without blanks, `_` and `-`. A column with another name is a fault. People write such files.
    Lenient,
    /// Exactly. A column with another name is ignored. Programs write such files.
    Exact,
}

/// A file whose lines can be read: each has as many cells as the header.
#[derive(Debug)]
pub struct Table {
    header: (u64, StringRecord),
    lines: Vec<(u64, StringRecord)>,
    /// The faults of the lines that cannot be read and are left out, in the order of the lines.
    pub faults: Vec<Fault>,
}

impl Table {
    /// Reads a file. Lines without any text are skipped. An error is a fault of the whole file, or one that makes it unclear where
    /// lines and cells end.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        if bytes.len() > limits.bytes {
            let (most, line) = (limits.bytes, scan::line_of(&bytes[..limits.bytes]));
            faults
                .add(Fault::of_file(format!("file must have at most {most} bytes; line {line} goes beyond")));
            return Err(faults);
        }
        let text = match scan::text(bytes) {
            Ok(text) => text,
            Err(fault) => {
                faults.add(fault);
                return Err(faults);
            }
        };
        let Structure { separator, starts } = scan::structure(text)?;
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .from_reader(text.as_bytes());
        // The reader's own line numbers are wrong behind empty lines.
        let mut records = starts.into_iter().zip(reader.into_records().filter_map(Result::ok));
        let Some(header) = records.next().filter(|(_, header)| !is_blank(header)) else {
            faults.add(Fault::of_file("file must begin with a header: the names of the columns"));
            return Err(faults);
        };
        if header.1.len() > limits.columns {
            faults.add(Fault::of_line(header.0, format!("must have at most {} columns", limits.columns)));
            return Err(faults);
        }
        let mut table = Self { header, lines: Vec::new(), faults: Vec::new() };
        for (count, (number, record)) in records.filter(|(_, record)| !is_blank(record)).enumerate() {
            if count == limits.lines {
                let rule =
                    format!("goes beyond {}, the maximum number of lines below the header", limits.lines);
                table.faults.push(Fault::of_line(number, rule));
                break;
            }
            match table.fault_of_line(number, &record, limits) {
                Some(fault) => table.faults.push(fault),
                None => table.lines.push((number, record)),
            }
        }
        Ok(table)
    }

    fn fault_of_line(&self, number: u64, record: &StringRecord, limits: &Limits) -> Option<Fault> {
        let (cells, columns) = (record.len(), self.header.1.len());
        if cells != columns {
            let unit = if cells == 1 { "cell" } else { "cells" };
            return Some(Fault::of_line(number, format!("has {cells} {unit}, and the header has {columns}")));
        }
        let long = record.iter().position(|cell| cell.len() > limits.cell)?;
        let rule = format!("must have at most {} bytes", limits.cell);
        Some(Fault { column: Some((ordinal(long), None)), ..Fault::of_line(number, rule) })
    }

    /// The number of lines below the header that can be read.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line below the header that can be read.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the header has this name exactly.
    pub fn has(&self, name: &str) -> bool {
        self.header.1.iter().any(|found| found.trim() == name)
    }

    /// Finds the columns in the header. The lines give the cells of these columns, in this order.
    pub fn select(&self, columns: &'static [Column], names: Names) -> Result<Lines<'_>, Faults> {
        let mut faults = Faults::new();
        let mut places: Vec<Option<usize>> = vec![None; columns.len()];
        let (line, header) = (self.header.0, &self.header.1);
        let mut fault = |index: usize, name, rule: String| {
            faults.add(Fault { column: Some((ordinal(index), name)), ..Fault::of_line(line, rule) });
        };
        for (index, name) in header.iter().enumerate() {
            let name = name.trim();
            let found = columns.iter().position(|column| match names {
                Names::Lenient => folded(name) == folded(column.name),
                Names::Exact => name == column.name,
            });
            match found {
                Some(column) if places[column].is_some() => {
                    fault(index, Some(columns[column].name), "is in the header twice".to_owned());
                }
                Some(column) => places[column] = Some(index),
                None if names == Names::Exact => {}
                None if name.is_empty() => fault(index, None, "has no name in the header".to_owned()),
                None => {
                    let known: Vec<&str> = columns.iter().map(|column| column.name).collect();
                    fault(index, None, format!("has an unknown name; the columns are {}", known.join(", ")));
                }
            }
        }
        for (column, place) in columns.iter().zip(&places) {
            if column.required && place.is_none() {
                faults.add(Fault::of_line(line, format!("the header has no column {}", column.name)));
            }
        }
        if faults.is_empty() { Ok(Lines { table: self, columns, places }) } else { Err(faults) }
    }
}

/// The lines of a table, with the selected columns.
#[derive(Debug)]
pub struct Lines<'t> {
    table: &'t Table,
    columns: &'static [Column],
    places: Vec<Option<usize>>,
}

impl Lines<'_> {
    /// The lines, first to last.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        self.table.lines.iter().map(|(number, record)| Line { lines: self, number: *number, record })
    }

    /// Whether the file has a column.
    pub fn has(&self, column: usize) -> bool {
        self.places.get(column).is_some_and(Option::is_some)
    }
}

/// A line of a table. Columns are named by their place in the list of [`Table::select`].
#[derive(Debug, Clone, Copy)]
pub struct Line<'l> {
    lines: &'l Lines<'l>,
    /// The number of the line, from 1.
    pub number: u64,
    record: &'l StringRecord,
}

impl<'l> Line<'l> {
    fn raw(&self, column: usize) -> Option<&'l str> {
        let place = self.lines.places.get(column).copied().flatten()?;
        self.record.get(place)
    }

    /// A cell without blanks around it and without the apostrophe of [`Writer`](super::Writer). `None` if it is empty or there is no such
    /// column.
    pub fn get(&self, column: usize) -> Option<&'l str> {
        let text = restored(self.raw(column)?.trim()).trim();
        (!text.is_empty()).then_some(text)
    }

    /// Whether a cell begins as a formula does, without an apostrophe in front.
    pub fn is_formula(&self, column: usize) -> bool {
        self.raw(column).is_some_and(|raw| {
            (raw.starts_with(['\t', '\r', '\n']) && !raw.trim().is_empty()) || begins_formula(raw.trim())
        })
    }

    /// A cell, or the fault of a cell that begins as a formula does.
    pub fn text(&self, column: usize) -> Result<Option<&'l str>, Fault> {
        if self.is_formula(column) {
            return Err(self.fault(column, "must not begin with =, +, -, @, a tab or a line break"));
        }
        Ok(self.get(column))
    }

    /// A fault of a cell.
    pub fn fault(&self, column: usize, rule: impl Into<String>) -> Fault {
        let name = self.lines.columns.get(column).map(|column| column.name);
        let place = self.lines.places.get(column).copied().flatten();
        let column = place.map(|place| (ordinal(place), name));
        Fault { column, ..Fault::of_line(self.number, rule) }
    }
}

/// Whether a line has no text.
fn is_blank(record: &StringRecord) -> bool {
    record.iter().all(|cell| cell.trim().is_empty())
}

fn folded(name: &str) -> String {
    let kept = name.chars().filter(|character| !character.is_whitespace() && !matches!(character, '_' | '-'));
    kept.flat_map(char::to_lowercase).collect()
}

/// The number of a column, from 1.
fn ordinal(index: usize) -> u64 {
    u64::try_from(index).map_or(u64::MAX, |index| index + 1)
}
