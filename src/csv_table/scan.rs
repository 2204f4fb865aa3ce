//! The structure of a file: line ends, separators and quotes. The crate `csv` accepts every file, so the faults are found before.

use super::fault::{Fault, Faults};

/// The structure of a file without faults.
pub(super) struct Structure {
    /// The byte between two cells.
    pub(super) separator: u8,
    /// The line on which each record begins. Empty lines are no records.
    pub(super) starts: Vec<u64>,
}

/// The place of a byte in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Begin,
    /// In a cell without quotes.
    Plain,
    /// In a cell with quotes. Line and column of the opening quote.
    Quoted(u64, u64),
    /// Behind a quote in a quoted cell: its end, or the first half of a doubled quote.
    Closed,
    /// In text behind the closing quote, which is a fault.
    Spoilt,
}

/// Checks that the bytes are UTF-8 without NUL, and removes a byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    const SAVE: &str = "save the file as UTF-8";
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(Fault::of_line(1, format!("byte 1 of the line begins UTF-16; {SAVE}")));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let (end, rule) = match (std::str::from_utf8(bytes), bytes.iter().position(|byte| *byte == 0)) {
        (Ok(text), None) => return Ok(text),
        (Err(error), None) => (error.valid_up_to(), "is not UTF-8"),
        (Err(error), Some(nul)) if error.valid_up_to() < nul => (error.valid_up_to(), "is not UTF-8"),
        (_, Some(nul)) => (nul, "is NUL, as in UTF-16"),
    };
    let before = &bytes[..end];
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    Err(Fault::of_line(line_of(before), format!("byte {column} of the line {rule}; {SAVE}")))
}

/// The number of the line behind these bytes.
pub(super) fn line_of(before: &[u8]) -> u64 {
    before.iter().fold(1, |line, byte| line + u64::from(*byte == b'\n'))
}

/// The separator of the first line that is not empty: comma or semicolon, outside of quotes.
fn separator(text: &str) -> Result<u8, Fault> {
    let (mut quoted, mut line) = (false, 1);
    let mut seen = [false; 3];
    let mut begun = false;
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted && begun => break,
            b'\n' => line += 1,
            b',' if !quoted => seen[0] = true,
            b';' if !quoted => seen[1] = true,
            b'\t' if !quoted => seen[2] = true,
            _ => {}
        }
        begun |= !matches!(byte, b'\n' | b'\r');
    }
    match seen {
        [_, _, true] => Err(Fault::of_line(
            line,
            "the header has a tab; the columns must be separated by commas or semicolons",
        )),
        [true, true, false] => Err(Fault::of_line(
            line,
            "the header has commas and semicolons; only one of them separates columns",
        )),
        [false, true, false] => Ok(b';'),
        [_, false, false] => Ok(b','),
    }
}

/// Finds the structure of a file, and all faults of it.
pub(super) fn structure(text: &str) -> Result<Structure, Faults> {
    let mut faults = Faults::new();
    let separator = separator(text).unwrap_or_else(|fault| {
        faults.add(fault);
        b','
    });
    if !faults.is_empty() {
        return Err(faults);
    }
    let bytes = text.as_bytes();
    let (mut state, mut line, mut column) = (State::Begin, 1, 1);
    let (mut starts, mut is_new) = (Vec::new(), true);
    let fault =
        |line, column, rule: &str| Fault { column: Some((column, None)), ..Fault::of_line(line, rule) };
    for (index, byte) in bytes.iter().copied().enumerate() {
        let ends_line = byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) == Some(&b'\n'));
        if byte == b'\r' && !ends_line {
            faults.add(fault(line, column, "has a CR without LF; lines must end with LF or CRLF"));
        }
        if is_new && !ends_line {
            starts.push(line);
            is_new = false;
        }
        let quoted = matches!(state, State::Quoted(..));
        state = match (state, byte) {
            (State::Quoted(..), b'"') => State::Closed,
            (quoted @ State::Quoted(..), _) => quoted,
            // The first quote, or a doubled one.
            (State::Begin | State::Closed, b'"') => State::Quoted(line, column),
            (_, byte) if byte == separator => State::Begin,
            (state, _) if ends_line => state,
            (State::Closed, _) => {
                faults.add(fault(line, column, "has text behind the closing quote"));
                State::Spoilt
            }
            (State::Plain, b'"') => {
                faults.add(fault(
                    line,
                    column,
                    "has a quote; a cell with quotes must be in quotes, and its quotes doubled",
                ));
                State::Spoilt
            }
            (State::Spoilt, _) => State::Spoilt,
            (State::Begin | State::Plain, _) => State::Plain,
        };
        if byte == b'\n' {
            line += 1;
        }
        match byte {
            _ if quoted => {}
            b'\n' => (state, column, is_new) = (State::Begin, 1, true),
            byte if byte == separator => column += 1,
            _ => {}
        }
    }
    if let State::Quoted(line, column) = state {
        faults.add(fault(line, column, "has an opening quote without a closing one"));
    }
    if faults.is_empty() { Ok(Structure { separator, starts }) } else { Err(faults) }
}
