//! Passwords and their hashes.

use sea_orm::DeriveValueType;
use secrecy::{ExposeSecret, SecretBox};
use unicode_normalization::UnicodeNormalization;

/// The maximum growth of UTF-8 under NFKC (Unicode Standard Annex #15, section 9).
const NFKC_GROWTH: usize = 11;

/// A password in Normalization Form KC. It is zeroized when dropped.
#[derive(Debug)]
pub struct Password(SecretBox<String>);

/// The text is not a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters", Password::MAX)]
pub struct PasswordError;

impl Password {
    /// The maximum number of Unicode scalar values after normalization.
    pub const MAX: usize = 256;
    /// The maximum number of Unicode scalar values before normalization, which composes at most four into one.
    pub const MAX_TYPED: usize = 4 * Self::MAX;

    /// Accepts 1 to [`Password::MAX`] characters of any kind and normalizes them. So the same password typed on another keyboard
    /// is the same bytes (NIST SP 800-63B-4 section 3.1.1.2).
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        // Counting stops at the first character too many, however long the text is.
        if text.chars().nth(Self::MAX_TYPED).is_some() {
            return Err(PasswordError);
        }
        // The capacity suffices for every result. A reallocation would leave a copy that is not zeroized.
        let mut normalized = Box::new(String::with_capacity(text.len() * NFKC_GROWTH));
        normalized.extend(text.nfkc());
        let password = Self(SecretBox::new(normalized));
        let length = password.expose().chars().count();
        if (1..=Self::MAX).contains(&length) { Ok(password) } else { Err(PasswordError) }
    }

    /// The password.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Clone for Password {
    fn clone(&self) -> Self {
        Self(SecretBox::new(Box::new(self.expose().to_owned())))
    }
}

/// A stored password hash: a PHC string.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PasswordHash(String);

super::redacted_debug!(PasswordHash);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_password_of_1_to_256_characters_is_accepted() {
        for text in ["a", " ", "\u{0}", &"a".repeat(256), &"\u{1F511}".repeat(256)] {
            assert_eq!(Password::parse(text).unwrap().expose(), text);
        }
        for text in ["", &"a".repeat(257)] {
            assert_eq!(Password::parse(text).unwrap_err(), PasswordError);
        }
    }

    #[test]
    fn parse_password_length_is_counted_after_normalization() {
        // Canonical compositions of two, three and four characters, and compatibility decompositions into as many.
        for (typed, counted) in [
            ("e\u{301}", 1),
            ("\u{1112}\u{1161}\u{11AB}", 1),
            ("\u{3B1}\u{313}\u{300}\u{345}", 1),
            ("\u{FB01}", 2),
            ("\u{FB03}", 3),
            ("\u{FDFA}", 18),
        ] {
            let most = Password::MAX / counted;
            assert_eq!(
                Password::parse(&typed.repeat(most)).unwrap().expose().chars().count(),
                most * counted
            );
            assert_eq!(Password::parse(&typed.repeat(most + 1)).unwrap_err(), PasswordError, "{typed:?}");
        }
    }

    #[test]
    fn parse_password_never_reallocates() {
        assert_eq!(Password::parse("\u{FB01}").unwrap().expose(), "fi");
        // The character that grows most: 3 bytes become 33.
        let text = "\u{FDFA}".repeat(14);
        let password = Password::parse(&text).unwrap();
        assert_eq!(password.expose().len(), text.len() * NFKC_GROWTH);
        assert_eq!(password.0.expose_secret().capacity(), text.len() * NFKC_GROWTH);
    }

    proptest::proptest! {
        #[test]
        fn parse_password_in_any_normalization_form_is_the_same(text in "\\PC{1,256}") {
            let read = |text: String| Password::parse(&text).map(|password| password.expose().to_owned());
            let whole = read(text.clone());
            for other in [text.nfc().collect(), text.nfd().collect(), text.nfkc().collect(), text.nfkd().collect()] {
                let typed: String = other;
                proptest::prop_assume!(typed.chars().count() <= Password::MAX_TYPED);
                proptest::prop_assert_eq!(&read(typed), &whole);
            }
        }
    }

    #[test]
    fn debug_of_password_and_hash_shows_no_secret() {
        assert!(!format!("{:?}", Password::parse("marked").unwrap()).contains("marked"));
        assert_eq!(format!("{:?}", PasswordHash::from("secret".to_owned())), "PasswordHash(..)");
    }
}
