//! Join codes, which a teacher shows to a class and a student types.

use sea_orm::DeriveValueType;
use unicode_normalization::UnicodeNormalization;

use super::unicode;
use crate::random::{self, RandomSource};

/// Eight of 30 characters, which are 39 random bits. They are safe to read aloud and to type.
#[derive(Clone, PartialEq, Eq, Hash, DeriveValueType)]
pub struct JoinCode(String);

super::redacted_debug!(JoinCode);

/// The text is not a join code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a join code")]
pub struct InvalidJoinCode;

impl JoinCode {
    /// The number of characters in a code.
    pub const LENGTH: usize = 8;
    /// The maximum number of typed characters, with blanks and dashes.
    pub const MAX_TYPED: usize = 64;
    /// Crockford's base 32, which has no `I`, `L`, `O` and `U`, without the vowels `A` and `E`: no code spells a word.
    const ALPHABET: &[u8; 30] = b"0123456789BCDFGHJKMNPQRSTVWXYZ";

    /// Generates a code. The low five bits of a random byte are a number below 32. The two numbers without a character are
    /// discarded, so that all characters are equally likely (rejection sampling).
    pub fn generate(random: &dyn RandomSource) -> Self {
        let mut code = String::with_capacity(Self::LENGTH);
        while code.len() < Self::LENGTH {
            let bytes = random::bytes::<{ Self::LENGTH }>(random);
            let characters = bytes.iter().filter_map(|byte| Self::ALPHABET.get(usize::from(byte % 32)));
            code.extend(characters.take(Self::LENGTH - code.len()).copied().map(char::from));
        }
        Self(code)
    }

    /// Parses typed text after NFKC, which folds full-width characters. Case, blanks, dashes and invisible characters are ignored.
    /// `O` is read as `0`, `I` and `L` as `1`.
    pub fn parse(typed: &str) -> Result<Self, InvalidJoinCode> {
        if typed.chars().nth(Self::MAX_TYPED).is_some() {
            return Err(InvalidJoinCode);
        }
        let mut code = String::with_capacity(Self::LENGTH);
        let ignored = |character: char| unicode::is_blank(character) || unicode::is_dash(character);
        for typed in typed.nfkc().filter(|character| !ignored(*character)) {
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

    /// The code.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::OsRandom;

    /// Ignored characters that keyboards, word processors and messengers insert.
    const IGNORED: &str = "\u{9}\u{A}\u{D}\u{20}\u{85}\u{A0}\u{1680}\u{2000}\u{2003}\u{2007}\u{2009}\u{200A}\u{2028}\
        \u{2029}\u{202F}\u{205F}\u{2800}\u{3000}\
        \u{2D}\u{AD}\u{2D7}\u{58A}\u{5BE}\u{1806}\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2043}\u{2053}\u{207B}\
        \u{208B}\u{2212}\u{2796}\u{2E3A}\u{2E3B}\u{301C}\u{3030}\u{30FC}\u{FE31}\u{FE32}\u{FE58}\u{FE63}\u{FF0D}\u{FF70}\
        \u{34F}\u{61C}\u{180E}\u{200B}\u{200C}\u{200D}\u{200E}\u{200F}\u{202A}\u{202C}\u{202D}\u{202E}\u{2060}\u{2066}\
        \u{2069}\u{3164}\u{FE0E}\u{FE0F}\u{FEFF}";

    #[test]
    fn parse_code_with_look_alike_characters_is_accepted() {
        let code = JoinCode::parse("10CB0D1F").unwrap();
        for typed in [
            "10cb0d1f",
            "1OCB-ODLF",
            " iocb odif ",
            "10-cb-0d-1f",
            "LOCBODIF",
            "１０ＣＢ０Ｄ１Ｆ",
            "ｌｏｃｂ ｏｄｉｆ",
            "①⓪𝐂𝐁𝟎ᴰ¹ℱ",
        ] {
            assert_eq!(JoinCode::parse(typed).as_ref(), Ok(&code), "{typed:?}");
        }
    }

    #[test]
    fn parse_code_with_blanks_dashes_or_invisible_characters_is_accepted() {
        let code = JoinCode::parse("7KQ2M9XD").unwrap();
        for ignored in IGNORED.chars() {
            for typed in [format!("{ignored}7KQ2{ignored}{ignored}M9XD"), format!("7KQ2M9XD{ignored}")] {
                assert_eq!(JoinCode::parse(&typed).as_ref(), Ok(&code), "{typed:?}");
            }
        }
        let longest = format!("7KQ2M9XD{}", "\u{200B}".repeat(JoinCode::MAX_TYPED - JoinCode::LENGTH));
        assert_eq!(JoinCode::parse(&longest), Ok(code));
        assert_eq!(JoinCode::parse(&format!("{longest} ")), Err(InvalidJoinCode));
    }

    #[test]
    fn parse_text_that_is_not_a_code_is_refused() {
        for typed in [
            "",
            " ",
            "1234567",
            "123456789",
            "1234567U",
            "1234567A",
            "1234567e",
            "1234567é",
            "1234567\0",
            "1234567\u{1B}",
            "1234567_",
            "1234567.",
            "1234567/",
            "1234567１2",
            "123456७८",
            "７ＫＱ２Ｍ９ＸＥ",
            "\u{FDFA}",
        ] {
            assert_eq!(JoinCode::parse(typed), Err(InvalidJoinCode), "{typed:?}");
        }
    }

    #[test]
    fn generate_codes_all_characters_are_equally_frequent() {
        let mut counts = std::collections::BTreeMap::<char, u32>::new();
        for _ in 0..8_000 {
            for character in JoinCode::generate(&OsRandom).expose().chars() {
                *counts.entry(character).or_default() += 1;
            }
        }
        // 64,000 characters, so 2,133 of each are expected, with a standard deviation of 45. The bounds are ten of these.
        assert_eq!(counts.keys().collect::<String>(), "0123456789BCDFGHJKMNPQRSTVWXYZ");
        assert!(counts.values().all(|count| (1_680..=2_590).contains(count)), "{counts:?}");
    }

    #[test]
    fn generate_byte_without_a_character_is_discarded() {
        struct FixedBytes(std::sync::Mutex<Vec<[u8; 8]>>);
        impl RandomSource for FixedBytes {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.0.lock().unwrap().remove(0));
            }
        }
        let random = FixedBytes(vec![[30, 31, 62, 255, 30, 0, 1, 29], [30; 8], [2; 8]].into());
        assert_eq!(JoinCode::generate(&random).expose(), "01Z22222");
        assert!(random.0.lock().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn parse_generated_code_typed_with_noise_is_accepted(
            seed in any::<u64>(),
            noise in prop::collection::vec((0..=JoinCode::LENGTH, prop::sample::select(IGNORED.chars().collect::<Vec<_>>())), 0..40),
            full_width in any::<[bool; 8]>(),
        ) {
            struct Seeded(std::sync::Mutex<u64>);
            impl RandomSource for Seeded {
                fn fill(&self, bytes: &mut [u8]) {
                    let mut state = self.0.lock().unwrap();
                    for byte in bytes {
                        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        *byte = state.to_be_bytes()[0];
                    }
                }
            }
            let code = JoinCode::generate(&Seeded(seed.into()));
            let mut typed: Vec<char> = code.expose().chars().zip(full_width).map(|(character, wide)| {
                let wider = char::from_u32(u32::from(character) + 0xFEE0).unwrap();
                if wide { wider } else { character.to_ascii_lowercase() }
            }).collect();
            for (place, character) in noise {
                typed.insert(place, character);
            }
            prop_assert_eq!(JoinCode::parse(&typed.iter().collect::<String>()), Ok(code));
        }

        #[test]
        fn no_text_makes_reading_a_code_panic(text in ".*") {
            let _ = JoinCode::parse(&text);
        }
    }
}
