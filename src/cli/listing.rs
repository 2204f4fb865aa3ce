//! The output of commands that list rows: columns for people, or JSON for programs.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::Value;

use super::say;
use crate::config::Data;

/// The flags of a command that prints rows.
#[derive(Debug, Args)]
pub struct Listing {
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub data: Data,
}

/// The format of the output.
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

impl Format {
    /// Prints one row.
    pub fn say(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> anyhow::Result<()> {
        if self.json { say(&json().to_string()) } else { say(&text()) }
    }
}

/// A time, in the format of RFC 3339.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A text from a client or a user as one column: control characters would end it.
pub fn column(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
