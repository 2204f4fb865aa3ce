//! Cells that a spreadsheet would run as formulas (OWASP, CSV injection). An apostrophe in front makes such a cell text.

use std::borrow::Cow;

/// Whether a spreadsheet takes the text for a formula.
pub fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// The text as it is written: with an apostrophe in front of a formula.
pub fn neutralized(text: &str) -> Cow<'_, str> {
    if resembles_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text before [`neutralized`].
pub(super) fn restored(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| resembles_formula(rest)).unwrap_or(text)
}

/// Whether the text begins a formula behind any number of blanks and apostrophes. So an apostrophe more or less makes no difference, and
/// [`restored`] gives back every text but its outer blanks.
fn resembles_formula(text: &str) -> bool {
    let rest = text.trim_start_matches(|character: char| character.is_whitespace() || character == '\'');
    let before = &text[..text.len() - rest.len()];
    begins_formula(rest) || (!rest.is_empty() && before.contains(['\t', '\r', '\n']))
}
