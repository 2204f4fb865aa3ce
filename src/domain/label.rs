//! Short texts from an operator: the name of an app, the version of a policy.

use sea_orm::DeriveValueType;

use super::unicode;

/// A short text.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct Label(String);

super::not_auto_increment!(Label);

/// The text is not a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters, not only blanks, and no control character", Label::MAX)]
pub struct InvalidLabel;

impl Label {
    /// The maximum number of characters.
    pub const MAX: usize = 100;

    /// Accepts 1 to [`Label::MAX`] characters: at least one that is not blank, and no control character.
    pub fn parse(text: &str) -> Result<Self, InvalidLabel> {
        let fits = (1..=Self::MAX).contains(&text.chars().count());
        if fits && !text.chars().all(unicode::is_blank) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLabel)
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
    fn parse_label_of_blanks_or_with_control_character_is_refused() {
        for text in ["", " ", "\u{3000}\u{200B}", "a\0", "a\n", "a\u{7F}", "a\u{85}"] {
            assert!(Label::parse(text).is_err(), "{text:?}");
        }
        for text in ["a", "Größe 10", "👩\u{200D}🏫"] {
            assert!(Label::parse(text).is_ok(), "{text:?}");
        }
    }
}
