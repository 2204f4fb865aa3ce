//! Short texts that operators give things: the name of an app, the version of a policy.

use sea_orm::DeriveValueType;

/// A short text.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct Label(String);

super::never_numbered!(Label);

/// The text cannot be a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters, none of them a control character", Label::MAX)]
pub struct InvalidLabel;

impl Label {
    /// Most characters.
    pub const MAX: usize = 100;

    /// Takes 1 to [`Label::MAX`] characters that are not only blanks and hold no control character.
    pub fn parse(text: &str) -> Result<Self, InvalidLabel> {
        let fits = (1..=Self::MAX).contains(&text.chars().count());
        if fits && !text.trim().is_empty() && !text.chars().any(char::is_control) {
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
