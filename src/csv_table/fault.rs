//! The faults of a file: where a cell is and which rule it breaks. A fault never repeats text of the file.

use std::fmt;

/// A fault of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name of the file, if there are several.
    pub file: Option<String>,
    /// The line, from 1. `None` if the whole file has the fault.
    pub line: Option<u64>,
    /// The number of the column, from 1, and its name if that is known.
    pub column: Option<(u64, Option<&'static str>)>,
    /// The rule that is broken.
    pub rule: String,
}

impl Fault {
    /// A fault of a whole file.
    pub fn of_file(rule: impl Into<String>) -> Self {
        Self { file: None, line: None, column: None, rule: rule.into() }
    }

    /// A fault of a line.
    pub fn of_line(line: u64, rule: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::of_file(rule) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = Vec::new();
        place.extend(self.file.clone());
        place.extend(self.line.map(|line| format!("line {line}")));
        place.extend(self.column.map(|(number, name)| match name {
            Some(name) => format!("column {number} ({name})"),
            None => format!("column {number}"),
        }));
        if !place.is_empty() {
            write!(f, "{}: ", place.join(", "))?;
        }
        f.write_str(&self.rule)
    }
}

/// Collects the faults of files: the first ones in full, and the lines of all others.
#[derive(Debug, Clone)]
pub struct Faults {
    full: usize,
    first: Vec<Fault>,
    /// File, first line and last line of each run of further faulty lines.
    further: Vec<(Option<String>, u64, u64)>,
}

impl Faults {
    /// The number of faults in full of a response.
    pub const FULL: usize = 64;
    /// The maximum number of characters of [`Faults::message`].
    pub const MAX_MESSAGE: usize = 32_768;
    /// The part of it for the further lines. A fault in full has fewer than 300 characters.
    const MAX_FURTHER: usize = 8_192;

    /// Collects [`Faults::FULL`] faults in full.
    pub fn new() -> Self {
        Self::with_full(Self::FULL)
    }

    /// Collects this number of faults in full.
    pub fn with_full(full: usize) -> Self {
        Self { full, first: Vec::new(), further: Vec::new() }
    }

    /// Adds a fault. Faults come in the order of their lines.
    pub fn add(&mut self, fault: Fault) {
        if self.first.len() < self.full {
            self.first.push(fault);
            return;
        }
        let line = fault.line.unwrap_or_default();
        match self.further.last_mut() {
            Some((file, _, last)) if *file == fault.file && (*last == line || *last + 1 == line) => {
                *last = line;
            }
            _ => self.further.push((fault.file, line, line)),
        }
    }

    /// Adds the faults of another file.
    pub fn extend(&mut self, other: Self) {
        for fault in other.first {
            self.add(fault);
        }
        self.further.extend(other.further);
    }

    /// Names the file of all faults so far that have none.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        let files = self.first.iter_mut().map(|fault| &mut fault.file);
        for file in files.chain(self.further.iter_mut().map(|(file, ..)| file)) {
            file.get_or_insert_with(|| name.to_owned());
        }
        self
    }

    /// Whether there is no fault.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The faults in full.
    pub fn first(&self) -> &[Fault] {
        &self.first
    }

    /// The further faulty lines as text, or `None` if every fault is in [`Faults::first`].
    pub fn further(&self) -> Option<String> {
        let mut text = String::new();
        let mut named: Option<&str> = None;
        for (index, (file, from, to)) in self.further.iter().enumerate() {
            if text.len() > Self::MAX_FURTHER {
                let more = self.further.len() - index;
                text += &[", and ", &more.to_string(), " more places"].concat();
                break;
            }
            if index > 0 {
                text += ", ";
            }
            if file.as_deref() != named {
                named = file.as_deref();
                text += &named.map(|name| format!("{name} ")).unwrap_or_default();
            }
            text += &run(*from, *to);
        }
        (!text.is_empty()).then(|| format!("further faulty lines: {text}"))
    }

    /// All faults as one text of at most [`Faults::MAX_MESSAGE`] characters.
    pub fn message(&self) -> String {
        let parts = self.first.iter().map(ToString::to_string).chain(self.further());
        let text = parts.collect::<Vec<_>>().join("; ");
        match text.char_indices().nth(Self::MAX_MESSAGE) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

/// A run of lines.
fn run(from: u64, to: u64) -> String {
    match to - from {
        0 => from.to_string(),
        1 => format!("{from}, {to}"),
        _ => format!("{from}-{to}"),
    }
}
