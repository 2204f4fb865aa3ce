//! Keys by which names are sorted and searched: without case, accents and the difference between scripts.

use any_ascii::any_ascii;
use sea_orm::DeriveValueType;
use unicode_normalization::UnicodeNormalization;

/// The key of one name or of several parts of a name.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
pub struct SortKey(String);

super::redacted_debug!(SortKey);

/// Separates the parts of a key. It sorts before every letter, so that `Le` comes before `Lee`.
const SEPARATOR: &str = "\u{1F}";

impl SortKey {
    /// The maximum number of bytes.
    pub const MAX: usize = 200;

    /// The key of these parts: NFKC, without control characters, in lower-case ASCII, with single blanks.
    pub fn of(parts: &[&str]) -> Self {
        let parts: Vec<String> = parts.iter().map(|part| fold(part)).collect();
        let mut key = parts.join(SEPARATOR);
        // ASCII, so that every byte is a character.
        key.truncate(Self::MAX);
        Self(key)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fold(part: &str) -> String {
    let visible: String = part.nfkc().filter(|character| !character.is_control()).collect();
    let ascii = any_ascii(&visible).to_lowercase();
    ascii.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_key_has_no_case_accents_and_control_characters() {
        for (name, key) in [
            ("Đại Số  10", "dai so 10"),
            ("Größe", "grosse"),
            ("ÄRZTE", "arzte"),
            ("Ａ１", "a1"),
            ("\u{0}a\u{1F}b\u{7F}", "ab"),
            (" \u{3000} ", ""),
            ("Нгуен", "nguen"),
        ] {
            assert_eq!(SortKey::of(&[name]).as_str(), key, "{name:?}");
        }
    }

    #[test]
    fn sort_key_of_parts_sorts_the_shorter_part_first_and_is_cut() {
        let key = |last, first| SortKey::of(&[last, first]);
        assert!(key("Le", "Zoe") < key("Lee", "Anna"));
        assert!(key("Le", "Zoe") < key("Le Van", "Anna"));
        let long = SortKey::of(&[&"漢".repeat(500)]);
        assert_eq!(long.as_str().len(), SortKey::MAX);
    }
}
