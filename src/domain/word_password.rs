//! Generated passwords of words, which a child can read and type.

use std::sync::LazyLock;

use super::password::Password;
use crate::random::{self, RandomSource};

/// One word per line, sorted. `scripts/word-list` writes the file, and `words.md` names the source.
const LIST: &str = include_str!("words.txt");

static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| LIST.lines().collect());

/// A generated password: four words, joined by hyphens.
#[derive(Clone)]
pub struct WordPassword(Password);

super::redacted_debug!(WordPassword);

impl WordPassword {
    /// The number of words. Each is one of 1,306, so a password has 41.4 bits.
    const WORDS: usize = 4;
    /// The maximum number of characters.
    pub const MAX: usize = 6 * Self::WORDS + Self::WORDS - 1;

    /// Generates a password. Every word is drawn independently, and all are equally probable.
    ///
    /// # Panics
    /// Never: a password may have 15 to [`WordPassword::MAX`] characters.
    #[expect(clippy::expect_used, reason = "four short words are a password")]
    pub fn generate(random: &dyn RandomSource) -> Self {
        // One allocation, as a second one would leave a copy that is not zeroized.
        let mut text = zeroize::Zeroizing::new(String::with_capacity(Self::MAX));
        for index in 0..Self::WORDS {
            if index > 0 {
                text.push('-');
            }
            text.push_str(word(random));
        }
        Self(Password::parse(&text).expect("four words are short enough"))
    }

    /// The password, to show it once.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The password, to hash it.
    pub fn password(&self) -> Password {
        self.0.clone()
    }
}

fn word(random: &dyn RandomSource) -> &'static str {
    loop {
        let drawn = usize::from(u16::from_be_bytes(random::bytes(random)));
        // Numbers above the last multiple of the length would make the first words more probable.
        if drawn < 0x1_0000 - 0x1_0000 % WORDS.len() {
            return WORDS[drawn % WORDS.len()];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::random::OsRandom;

    /// Counts through all numbers of 16 bits.
    struct Counting(AtomicU32);

    impl RandomSource for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            bytes.copy_from_slice(&number.to_be_bytes()[2..]);
        }
    }

    #[test]
    fn words_are_sorted_lower_case_and_short_and_four_of_them_have_40_bits() {
        assert!(WORDS.is_sorted_by(|one, next| one < next));
        for word in WORDS.iter() {
            assert!((3..=6).contains(&word.len()), "{word}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
        let words = f64::from(u32::try_from(WORDS.len()).unwrap());
        assert!(4.0 * words.log2() >= 40.0, "{words} words");
        let removed = include_str!("words-removed.txt");
        assert!(removed.lines().all(|word| WORDS.binary_search(&word).is_err()));
    }

    #[test]
    fn word_of_every_number_of_16_bits_is_equally_frequent() {
        let random = Counting(AtomicU32::new(0));
        let mut counts: HashMap<&str, u32> = HashMap::new();
        while random.0.load(Ordering::Relaxed) < 0x1_0000 {
            *counts.entry(word(&random)).or_default() += 1;
        }
        // The last numbers are rejected, so that the last draw begins again at zero.
        *counts.get_mut(WORDS[0]).unwrap() -= 1;
        let each = 0x1_0000 / u32::try_from(WORDS.len()).unwrap();
        assert_eq!(counts.len(), WORDS.len());
        assert!(counts.values().all(|count| *count == each), "{counts:?}");
    }

    #[test]
    fn generate_gives_four_words_and_debug_shows_none() {
        for _ in 0..100 {
            let password = WordPassword::generate(&OsRandom);
            let words: Vec<&str> = password.expose().split('-').collect();
            assert_eq!(words.len(), 4);
            assert!(words.iter().all(|word| WORDS.contains(word)), "{words:?}");
            assert!(password.expose().len() <= WordPassword::MAX);
            assert_eq!(password.password().expose(), password.expose());
            assert_eq!(format!("{password:?}"), "WordPassword(..)");
        }
        let [one, other] = [(); 2].map(|()| WordPassword::generate(&OsRandom));
        assert_ne!(one.expose(), other.expose());
    }
}
