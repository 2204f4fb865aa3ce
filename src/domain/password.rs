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
    /// Most characters, counted as Unicode scalar values after normalization.
    pub const MAX: usize = 256;
    /// Most characters before normalization, which makes one of four at most: a base letter and three marks.
    pub const MAX_TYPED: usize = 4 * Self::MAX;

    /// Takes 1 to [`Password::MAX`] characters, whichever they are, and normalizes them, so that the same password
    /// typed on another keyboard is the same bytes (NIST SP 800-63B-4 section 3.1.1.2).
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        // Counting stops at the first character too many, however long the text is.
        if text.chars().nth(Self::MAX_TYPED).is_some() {
            return Err(PasswordError);
        }
        // With room for the longest outcome the text never moves, and no piece of it is left behind unwiped.
        let mut normalized = Zeroizing::new(String::with_capacity(text.len() * NFKC_GROWTH));
        normalized.extend(text.nfkc());
        if (1..=Self::MAX).contains(&normalized.chars().count()) {
            Ok(Self(normalized))
        } else {
            Err(PasswordError)
        }
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
    fn length_of_a_password_is_counted_after_normalization() {
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
    fn a_password_is_normalized_without_moving() {
        assert_eq!(Password::parse("\u{FB01}").unwrap().expose(), "fi");
        // The character that grows most: 3 bytes become 33.
        let text = "\u{FDFA}".repeat(14);
        let password = Password::parse(&text).unwrap();
        assert_eq!(password.expose().len(), text.len() * NFKC_GROWTH);
        assert_eq!(password.0.capacity(), text.len() * NFKC_GROWTH);
    }

    proptest::proptest! {
        #[test]
        fn a_password_is_the_same_in_every_normalization_form(text in "\\PC{1,256}") {
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
    fn neither_a_password_nor_its_hash_is_shown() {
        assert_eq!(format!("{:?}", Password::parse("secret").unwrap()), "Password(..)");
        assert_eq!(format!("{:?}", PasswordHash::from("secret".to_owned())), "PasswordHash(..)");
    }
}
