//! Ids of rows in the school's own system.

use sea_orm::DeriveValueType;

/// The id of a user, class or enrollment in the school's own system: `sourcedId` of its roster files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
pub struct SourcedId(String);

/// The text is not such an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters and no control character", SourcedId::MAX)]
pub struct InvalidSourcedId;

impl SourcedId {
    /// The maximum number of characters: that of a GUID in OneRoster 1.2.
    pub const MAX: usize = 255;

    /// Accepts 1 to [`SourcedId::MAX`] characters, and no control character.
    pub fn parse(text: &str) -> Result<Self, InvalidSourcedId> {
        let fits = (1..=Self::MAX).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSourcedId)
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
    fn sourced_id_is_not_empty_and_has_no_control_character() {
        for text in ["a", "class/user", &"é".repeat(255)] {
            assert!(SourcedId::parse(text).is_ok(), "{text:?}");
        }
        for text in ["", "a\0", "a\n", &"a".repeat(256)] {
            assert!(SourcedId::parse(text).is_err(), "{text:?}");
        }
    }
}
