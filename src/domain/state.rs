//! The `state` of an authorization request (RFC 6749 section 4.1.1).

use sea_orm::DeriveValueType;

/// An opaque value of the client. The redirect URL repeats it, and the exchange has to repeat it again.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct State(String);

/// The text is not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters, none of them a control character", State::MAX)]
pub struct InvalidState;

impl State {
    /// The maximum number of characters.
    pub const MAX: usize = 1024;

    /// Accepts text of 1 to [`State::MAX`] characters without control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidState> {
        let fits = (1..=Self::MAX).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidState)
        }
    }

    /// The client's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
