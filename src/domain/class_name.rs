//! Names of classes.

use sea_orm::DeriveValueType;

/// What a class is called.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct ClassName(String);

/// The text cannot name a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters, none of them a control character", ClassName::MAX)]
pub struct InvalidClassName;

impl ClassName {
    /// Most characters.
    pub const MAX: usize = 50;

    /// Takes 1 to [`ClassName::MAX`] characters that are not only blanks and hold no control character.
    pub fn parse(text: &str) -> Result<Self, InvalidClassName> {
        let fits = (1..=Self::MAX).contains(&text.chars().count());
        if fits && !text.trim().is_empty() && !text.chars().any(char::is_control) {
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
