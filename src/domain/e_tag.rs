//! Entity tags of rows with a version, and the condition `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1).

use std::fmt;

/// The strong entity tag of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag(pub i32);

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// The versions that a request may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Every version: no condition, or `*`.
    Any,
    /// These versions.
    Versions(Vec<i32>),
}

impl IfMatch {
    /// Reads the value of the header. A weak tag, another text and a number in another form are no version, so they match nothing.
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let version = |tag: &str| {
            let version: i32 = tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
            // The parser also accepts a sign and leading zeros.
            (ETag(version).to_string() == tag.trim()).then_some(version)
        };
        Self::Versions(text.split(',').filter_map(version).collect())
    }

    /// Whether the condition admits a version.
    pub fn admits(&self, version: i32) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }

    /// The versions. `None` means every version.
    pub fn versions(&self) -> Option<&[i32]> {
        match self {
            Self::Any => None,
            Self::Versions(versions) => Some(versions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_reads_a_list_of_strong_tags_or_a_star() {
        assert_eq!(IfMatch::parse(" * "), IfMatch::Any);
        assert!(IfMatch::Any.admits(7));
        for (text, versions) in [
            ("\"0\"", vec![0]),
            (" \"1\" ,\"22\",", vec![1, 22]),
            ("W/\"1\", \"2\"", vec![2]),
            ("", vec![]),
            ("1, \"\", \"01\", \"+1\", \"1, \"a\", \"2147483648\", \"*\"", vec![]),
        ] {
            assert_eq!(IfMatch::parse(text), IfMatch::Versions(versions), "{text}");
        }
        assert!(!IfMatch::parse("\"1\"").admits(2));
    }
}
