//! Passwords, and what they are verified against.

use sea_orm::DeriveValueType;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// UTF-8 grows by no more than this under NFKC (Unicode Standard Annex #15, section 9).
const NFKC_GROWTH: usize = 11;

/// A password in plain text, in Normalization Form KC, wiped when dropped.
pub struct Password(Zeroizing<String>);

/// The text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters", Password::MAX)]
pub struct PasswordError;

impl Password {
    /// Most characters, counted as Unicode scalar values before normalization.
    pub const MAX: usize = 256;

    /// Takes 1 to [`Password::MAX`] characters, whichever they are, and normalizes them, so that the same password
    /// typed on another keyboard is the same bytes (NIST SP 800-63B-4 section 3.1.1.2).
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        // Counting stops at the first character too many, however long the text is.
        if !(1..=Self::MAX).contains(&text.chars().take(Self::MAX + 1).count()) {
            return Err(PasswordError);
        }
        // With room for the longest outcome the text never moves, and no piece of it is left behind unwiped.
        let mut normalized = Zeroizing::new(String::with_capacity(text.len() * NFKC_GROWTH));
        normalized.extend(text.nfkc());
        Ok(Self(normalized))
    }

    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What a password is verified against: a PHC string.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The PHC string.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for PasswordHash {
    fn from(phc: String) -> Self {
        Self(phc)
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_1_to_256_characters_of_any_kind() {
        for text in ["a", " ", "\u{0}", &"a".repeat(256), &"\u{1F511}".repeat(256)] {
            assert_eq!(Password::parse(text).unwrap().expose(), text);
        }
        for text in ["", &"a".repeat(257)] {
            assert_eq!(Password::parse(text).unwrap_err(), PasswordError);
        }
    }

    #[test]
    fn a_password_is_normalized_without_moving() {
        assert_eq!(Password::parse("\u{FB01}").unwrap().expose(), "fi");
        // The character that grows most: 3 bytes become 33.
        let text = "\u{FDFA}".repeat(256);
        let password = Password::parse(&text).unwrap();
        assert_eq!(password.expose().len(), text.len() * NFKC_GROWTH);
        assert_eq!(password.0.capacity(), text.len() * NFKC_GROWTH);
    }

    #[test]
    fn neither_a_password_nor_its_hash_is_shown() {
        assert_eq!(format!("{:?}", Password::parse("secret").unwrap()), "Password(..)");
        assert_eq!(format!("{:?}", PasswordHash::from("secret".to_owned())), "PasswordHash(..)");
    }
}
