//! The profile of a person: names, date of birth, phone number, picture.

use chrono::{Datelike, NaiveDate};
use sea_orm::DeriveValueType;
use url::Url;

use super::unicode;

/// A first or last name.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PersonName(String);

super::redacted_debug!(PersonName);

/// The text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} characters, not only blanks, and no control character", PersonName::MAX)]
pub struct InvalidPersonName;

impl PersonName {
    /// The maximum number of characters.
    pub const MAX: usize = 100;

    /// Accepts 1 to [`PersonName::MAX`] characters: at least one that is not blank, and no control character.
    pub fn parse(text: &str) -> Result<Self, InvalidPersonName> {
        let fits = (1..=Self::MAX).contains(&text.chars().count());
        if fits && !text.chars().all(unicode::is_blank) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPersonName)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A date of birth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DateOfBirth(NaiveDate);

super::redacted_debug!(DateOfBirth);

/// The text is not a date of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a date such as 2010-05-04, not before {}", DateOfBirth::FIRST_YEAR)]
pub struct InvalidDateOfBirth;

impl DateOfBirth {
    /// The earliest year.
    pub const FIRST_YEAR: i32 = 1900;
    /// The number of characters.
    const LENGTH: usize = 10;

    /// Accepts a full date (RFC 3339 section 5.6) from [`DateOfBirth::FIRST_YEAR`] on.
    pub fn parse(text: &str) -> Result<Self, InvalidDateOfBirth> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| InvalidDateOfBirth)?;
        // The parser also accepts signs, blanks, and fewer or more digits.
        let exact = text.len() == Self::LENGTH && date.to_string() == text;
        if exact && date.year() >= Self::FIRST_YEAR { Ok(Self(date)) } else { Err(InvalidDateOfBirth) }
    }

    /// The date.
    pub fn date(self) -> NaiveDate {
        self.0
    }
}

/// A phone number, as its owner writes it.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PhoneNumber(String);

super::redacted_debug!(PhoneNumber);

/// The text is not a phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a phone number: 3 to {} digits, blanks and + - / ( ) .", PhoneNumber::MAX)]
pub struct InvalidPhoneNumber;

impl PhoneNumber {
    /// The maximum number of characters.
    pub const MAX: usize = 32;
    /// The minimum number of digits.
    const MIN_DIGITS: usize = 3;

    /// Accepts digits with the usual separators. The number is not changed.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let allowed = text.bytes().all(|byte| byte.is_ascii_digit() || b" +-/().".contains(&byte));
        if digits >= Self::MIN_DIGITS && text.len() <= Self::MAX && allowed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPhoneNumber)
        }
    }

    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The URL of a person's picture.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct AvatarUrl(String);

super::redacted_debug!(AvatarUrl);

/// The text is not the URL of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an https URL of at most {} characters, without user name and password", AvatarUrl::MAX)]
pub struct InvalidAvatarUrl;

impl AvatarUrl {
    /// The maximum number of characters.
    pub const MAX: usize = 2048;

    /// Accepts an `https` URL and keeps its normal form (URL standard). Another scheme could run as script in a page.
    pub fn parse(text: &str) -> Result<Self, InvalidAvatarUrl> {
        let url = Url::parse(text).map_err(|_| InvalidAvatarUrl)?;
        let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
        let text = String::from(url);
        if plain && text.chars().count() <= Self::MAX { Ok(Self(text)) } else { Err(InvalidAvatarUrl) }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_date_of_birth_accepts_full_dates_since_1900_alone() {
        for text in [
            "",
            "2010-5-4",
            "2010-02-30",
            "1899-12-31",
            "+2010-05-04",
            "12010-05-04",
            " 2010-05-04",
            "2010-05-04T00:00:00Z",
        ] {
            assert!(DateOfBirth::parse(text).is_err(), "{text:?}");
        }
        for text in ["1900-01-01", "2008-02-29", "2010-05-04"] {
            assert_eq!(DateOfBirth::parse(text).unwrap().date().to_string(), text);
        }
    }

    #[test]
    fn parse_name_of_blanks_or_with_control_character_is_refused() {
        for text in ["", " ", "a\n", "\u{200B}", &"a".repeat(101)] {
            assert!(PersonName::parse(text).is_err(), "{text:?}");
        }
        for text in ["Nguyễn Thị", "O'Brien", "X Æ A-12", &"é".repeat(100)] {
            assert_eq!(PersonName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn parse_phone_number_accepts_digits_and_separators_alone() {
        for text in ["", "12", "+49 30 1234x", "1\n23", "١٢٣", &"1".repeat(33)] {
            assert!(PhoneNumber::parse(text).is_err(), "{text:?}");
        }
        for text in ["110", "+84 (0) 24-1234.567", "030/123456"] {
            assert_eq!(PhoneNumber::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn parse_avatar_url_other_scheme_or_user_information_is_refused() {
        for text in [
            "",
            "a.png",
            "http://a.example/b.png",
            "javascript:alert(1)",
            "data:image/png,",
            "https://u:p@a.example/",
        ] {
            assert!(AvatarUrl::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(AvatarUrl::parse("https://A.example/b c").unwrap().as_str(), "https://a.example/b%20c");
    }
}
