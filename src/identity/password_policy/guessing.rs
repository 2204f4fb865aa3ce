//! Estimates how soon an attacker guesses a password, with the crate `zxcvbn`.

use zxcvbn::{
    feedback::{Feedback, Warning},
    zxcvbn,
};

/// The characters of a password that are estimated. The time of an estimate grows with the square, and this many suffice for every
/// good password.
const ESTIMATED: usize = 48;
/// The guesses that an attacker must need at least. Against the hashes of this server they take weeks on a processor.
const ACCEPTED: u64 = 100_000_000;
/// The name of this program, which an attacker would try.
const PRODUCT: &str = "homeroom";
/// The minimum number of characters of a word of the context.
const MIN_WORD: usize = 3;
/// Upper bounds on the words of the context and on their characters.
const MAX_WORDS: usize = 64;
const MAX_WORD: usize = 254;

/// Why a password is easy to guess. `None` if it is not.
pub(super) fn weakness(password: &str, context: &[String]) -> Option<&'static str> {
    let password = zeroize::Zeroizing::new(password.chars().take(ESTIMATED).collect::<String>());
    let words = words(context);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if zxcvbn(&password, &words).guesses() >= ACCEPTED {
        return None;
    }
    let general = zxcvbn(&password, &[]);
    if general.guesses() >= ACCEPTED {
        return Some("it contains your name, your e-mail address or the name of this service");
    }
    let warning = general.feedback().and_then(Feedback::warning);
    Some(warning.map_or("it consists of common words", reason))
}

/// The texts of the context and the words in them.
fn words(context: &[String]) -> Vec<String> {
    let mut words = vec![PRODUCT.to_owned()];
    for text in context {
        let text: String = text.to_lowercase().chars().take(MAX_WORD).collect();
        let parts = text.split(|character: char| !character.is_alphanumeric()).map(str::to_owned);
        for word in parts.chain([text.clone()]) {
            if word.chars().count() >= MIN_WORD && !words.contains(&word) && words.len() < MAX_WORDS {
                words.push(word);
            }
        }
    }
    words
}

fn reason(warning: Warning) -> &'static str {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess | Warning::ShortKeyboardPatternsAreEasyToGuess => {
            "it follows the keys of a keyboard"
        }
        Warning::RepeatsLikeAaaAreEasyToGuess | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => {
            "it repeats itself"
        }
        Warning::ThisIsATop10Password
        | Warning::ThisIsATop100Password
        | Warning::ThisIsACommonPassword
        | Warning::ThisIsSimilarToACommonlyUsedPassword => "it is similar to a common password",
        Warning::SequencesLikeAbcAreEasyToGuess => "it contains a sequence such as abc or 6543",
        Warning::RecentYearsAreEasyToGuess => "it contains a recent year",
        Warning::AWordByItselfIsEasyToGuess => "it is a single word",
        Warning::DatesAreOftenEasyToGuess => "it contains a date",
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
        | Warning::CommonNamesAndSurnamesAreEasyToGuess => "it contains a common name",
    }
}
