//! Writes files: RFC 4180 with CRLF, and no cell that a spreadsheet runs as a formula.

use std::io;

use super::formula::neutralized;

/// A file that is written.
pub struct Writer<W: io::Write>(csv::Writer<W>);

impl<W: io::Write> Writer<W> {
    /// Begins a file.
    pub fn new(out: W) -> Self {
        Self(csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out))
    }

    /// Writes a line.
    pub fn row<'c>(&mut self, cells: impl IntoIterator<Item = &'c str>) -> io::Result<()> {
        for cell in cells {
            self.0.write_field(neutralized(cell).as_bytes()).map_err(io::Error::from)?;
        }
        self.0.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    /// Writes what is buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}
