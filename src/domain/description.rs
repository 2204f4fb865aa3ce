//! Descriptions of classes.

use sea_orm::DeriveValueType;

/// The description of a class. It may be empty and have several lines.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct ClassDescription(String);

/// The text is not a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {} characters, and no control character but line breaks", ClassDescription::MAX)]
pub struct InvalidClassDescription;

impl ClassDescription {
    /// The maximum number of characters.
    pub const MAX: usize = 1000;

    /// Accepts at most [`ClassDescription::MAX`] characters, and no control character but line breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidClassDescription> {
        let is_forbidden = |character: char| character.is_control() && !matches!(character, '\n' | '\r');
        if text.chars().count() <= Self::MAX && !text.chars().any(is_forbidden) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClassDescription)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_has_line_breaks_and_no_other_control_character() {
        for text in ["", " ", "a\r\nb", &"é".repeat(1000)] {
            assert!(ClassDescription::parse(text).is_ok(), "{text:?}");
        }
        for text in ["a\0", "a\tb", "\u{1B}[2J", "\u{85}", &"a".repeat(1001)] {
            assert!(ClassDescription::parse(text).is_err(), "{text:?}");
        }
    }
}
