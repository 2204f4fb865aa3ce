//! Names of classes.

use sea_orm::DeriveValueType;

use super::unicode;

/// The name of a class.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct ClassName(String);

/// The text is not a class name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters, not only blanks, and no control character", ClassName::MAX)]
pub struct InvalidClassName;

impl ClassName {
    /// The maximum number of characters.
    pub const MAX: usize = 50;

    /// Accepts 1 to [`ClassName::MAX`] characters: at least one that is not blank, and no control character.
    pub fn parse(text: &str) -> Result<Self, InvalidClassName> {
        let fits = (1..=Self::MAX).contains(&text.chars().count());
        if fits && !text.chars().all(unicode::is_blank) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClassName)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_class_name_of_blanks_or_with_control_character_is_refused() {
        for text in ["", " ", "\u{3000}\u{200B}", "a\0", "a\n", "a\u{7F}", "a\u{85}"] {
            assert!(ClassName::parse(text).is_err(), "{text:?}");
        }
        for text in ["a", "Größe 10", "👩\u{200D}🏫"] {
            assert!(ClassName::parse(text).is_ok(), "{text:?}");
        }
    }
}
