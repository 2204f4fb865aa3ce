//! Join codes: what a teacher writes on the board and a student types.

use std::fmt;

use sea_orm::DeriveValueType;

use crate::entropy::{self, Entropy};

/// Eight characters of Crockford's base 32: 40 random bits that survive being read aloud and typed.
#[derive(Clone, PartialEq, Eq, Hash, DeriveValueType)]
pub struct JoinCode(String);

/// The text cannot be a join code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a join code")]
pub struct InvalidJoinCode;

impl JoinCode {
    /// Characters in a code.
    pub const LENGTH: usize = 8;
    /// Most characters that are read as one, blanks and hyphens included.
    pub const MAX_TYPED: usize = 64;
    /// The digits and the letters, less those that are taken for others: `I`, `L`, `O`, `U`.
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// Draws a code. 256 is a multiple of 32, so the low five bits of a random byte favour no character.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let drawn = entropy::bytes::<{ Self::LENGTH }>(entropy);
        Self(drawn.iter().map(|byte| char::from(Self::ALPHABET[usize::from(byte % 32)])).collect())
    }

    /// Reads a code as a person types it: case, blanks and hyphens do not count, `O` is `0`, `I` and `L` are `1`.
    pub fn parse(typed: &str) -> Result<Self, InvalidJoinCode> {
        if typed.chars().count() > Self::MAX_TYPED {
            return Err(InvalidJoinCode);
        }
        let mut code = String::with_capacity(Self::LENGTH);
        for typed in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let meant = match typed.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let known = u8::try_from(meant).is_ok_and(|byte| Self::ALPHABET.contains(&byte));
            if !known || code.len() == Self::LENGTH {
                return Err(InvalidJoinCode);
            }
            code.push(meant);
        }
        if code.len() == Self::LENGTH { Ok(Self(code)) } else { Err(InvalidJoinCode) }
    }

    /// The code as it is shown to its class.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::OsEntropy;

    #[test]
    fn a_code_is_what_the_person_meant() {
        let code = JoinCode::parse("10AB0C1D").unwrap();
        for typed in ["10ab0c1d", "1OAB-OCLD", " ioab ocid ", "10-ab-0c-1d", "LOABOCID"] {
            assert_eq!(JoinCode::parse(typed).as_ref(), Ok(&code), "{typed:?}");
        }
    }

    #[test]
    fn what_is_too_short_too_long_or_foreign_is_no_code() {
        for typed in ["", "1234567", "123456789", "1234567U", "1234567é", "1234567\0", "ＡＢＣＤＥＦＧＨ"]
        {
            assert_eq!(JoinCode::parse(typed), Err(InvalidJoinCode), "{typed:?}");
        }
    }

    #[test]
    fn every_character_is_drawn_about_as_often() {
        let mut counts = std::collections::BTreeMap::<char, u32>::new();
        for _ in 0..8_000 {
            for character in JoinCode::draw(&OsEntropy).expose().chars() {
                *counts.entry(character).or_default() += 1;
            }
        }
        // 64,000 characters, 2,000 expected of each, standard deviation 44: ten of them is no chance.
        assert_eq!(counts.len(), 32);
        assert!(counts.values().all(|count| (1_560..=2_440).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn every_drawn_code_reads_back(bytes in any::<[u8; 8]>()) {
            struct Fixed([u8; 8]);
            impl Entropy for Fixed {
                fn fill(&self, bytes: &mut [u8]) {
                    bytes.copy_from_slice(&self.0);
                }
            }
            let code = JoinCode::draw(&Fixed(bytes));
            prop_assert_eq!(JoinCode::parse(&code.expose().to_lowercase()), Ok(code));
        }

        #[test]
        fn no_text_makes_reading_a_code_panic(text in "\\PC*") {
            let _ = JoinCode::parse(&text);
        }
    }
}
