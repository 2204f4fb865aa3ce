//! Character properties (Unicode Standard Annex #44).

use icu_properties::{
    CodePointSetData,
    props::{Dash, DefaultIgnorableCodePoint},
};

/// Whether a character is invisible and has no width: a zero-width space, joiner, bidirectional mark, soft hyphen, byte order mark
/// or variation selector.
pub fn is_invisible(character: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether a character is invisible, or white space of any script. U+2800 is a Braille pattern without dots.
pub fn is_blank(character: char) -> bool {
    character.is_whitespace() || is_invisible(character) || character == '\u{2800}'
}

/// Whether a character is a dash of any script, or looks like one: modifier minus, hyphen bullet, heavy minus, and the prolonged
/// sound mark, which Japanese keyboards have instead of the hyphen.
pub fn is_dash(character: char) -> bool {
    CodePointSetData::new::<Dash>().contains(character)
        || matches!(character, '\u{02D7}' | '\u{2043}' | '\u{2796}' | '\u{30FC}')
}
