//! User names: the local parts of the addresses of accounts that the school makes.

use any_ascii::any_ascii;
use unicode_normalization::UnicodeNormalization;

use super::{
    email::{Email, InvalidEmail},
    mail_domain::MailDomain,
    person::PersonName,
};

/// A user name: 2 to [`UserName::MAX`] small letters, digits and single full stops, with a letter or digit at both ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// The maximum number of characters.
    pub const MAX: usize = 40;
    /// The minimum number of characters.
    const MIN: usize = 2;
    /// The user name of a person whose names have no letter that can be written in ASCII.
    const NAMELESS: &str = "pupil";

    /// The user name that a person gets if it is free: `wish`, of which a domain is left out, or `first.last`.
    pub fn base(first: Option<&PersonName>, last: Option<&PersonName>, wish: Option<&str>) -> Self {
        let wish = wish.and_then(|wish| wish.split('@').next()).map(plain);
        let base = wish.map(|wish| cut(&wish, Self::MAX)).filter(|wish| wish.len() >= Self::MIN);
        let base = base.unwrap_or_else(|| {
            // A full stop within a name separates nothing, as in `Jr.`.
            let names = [first, last].into_iter().flatten().map(|name| plain(name.as_str()).replace('.', ""));
            let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
            cut(&names.join("."), Self::MAX)
        });
        Self(if base.len() < Self::MIN { Self::NAMELESS.to_owned() } else { base })
    }

    /// The user name for the n-th person of the name: `linh.nguyen`, `linh.nguyen2`, `linh.nguyen3`.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        if number <= 1 {
            return self.clone();
        }
        let number = number.to_string();
        Self(cut(&self.0, Self::MAX - number.len()) + &number)
    }

    /// The address of the user name in a domain. It is too long for an address if the domain is.
    pub fn at(&self, domain: &MailDomain) -> Result<Email, InvalidEmail> {
        Email::parse(&format!("{}@{}", self.0, domain.as_str()))
    }

    /// The user name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The letters, digits and single full stops of a text, in lower-case ASCII.
fn plain(text: &str) -> String {
    let ascii = any_ascii(&text.nfkc().collect::<String>()).to_ascii_lowercase();
    let parts = ascii.split('.').map(|part| part.chars().filter(char::is_ascii_alphanumeric).collect());
    parts.filter(|part: &String| !part.is_empty()).collect::<Vec<_>>().join(".")
}

/// At most `max` characters of a plain text, without a full stop at the end.
fn cut(plain: &str, max: usize) -> String {
    plain[..max.min(plain.len())].trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(first: &str, last: &str, wish: Option<&str>) -> UserName {
        let [first, last] = [first, last].map(|name| PersonName::parse(name).unwrap());
        UserName::base(Some(&first), Some(&last), wish)
    }

    #[test]
    fn base_is_the_name_in_ascii() {
        for (first, last, expected) in [
            ("Linh", "Nguyễn", "linh.nguyen"),
            ("Đức", "Phạm Thị", "duc.phamthi"),
            ("Jörg", "Groß-Voß", "jorg.grossvoss"),
            ("Günther", "ẞ", "gunther.ss"),
            ("Иван", "Щербаков", "ivan.shcherbakov"),
            ("李", "小龙", "li.xiaolong"),
            ("Søren", "O'Brien, Jr.", "soren.obrienjr"),
            ("ＡＢ", "Ⅳ", "ab.iv"),
            ("!", "Roe", "roe"),
            ("A", "?", "pupil"),
            ("?", "!", "pupil"),
            ("...", "..", "pupil"),
        ] {
            assert_eq!(base(first, last, None).as_str(), expected, "{first} {last}");
        }
        assert_eq!(base(&"a".repeat(39), "b", None).as_str(), "a".repeat(39));
        assert_eq!(base(&"a".repeat(90), "b", None).as_str(), "a".repeat(40));
    }

    #[test]
    fn base_prefers_the_local_part_of_the_wish() {
        for (wish, expected) in [
            ("M.Roe@old.example", "m.roe"),
            ("m_roe+school@old.example", "mroeschool"),
            (".m..roe.@old.example", "m.roe"),
            ("x@old.example", "max.roe"),
            ("---@old.example", "max.roe"),
        ] {
            assert_eq!(base("Max", "Roe", Some(wish)).as_str(), expected, "{wish}");
        }
        let long = format!("{}@old.example", "a".repeat(64));
        assert_eq!(base("Max", "Roe", Some(&long)).as_str(), "a".repeat(40));
    }

    #[test]
    fn numbered_name_keeps_its_maximum_length() {
        let name = base("Linh", "Nguyễn", None);
        assert_eq!(name.numbered(1), name);
        assert_eq!(name.numbered(2).as_str(), "linh.nguyen2");
        assert_eq!(name.numbered(117).as_str(), "linh.nguyen117");
        let long = base(&"a".repeat(37), "bcd", None);
        assert_eq!(long.as_str(), format!("{}.bc", "a".repeat(37)));
        assert_eq!(long.numbered(12).as_str(), format!("{}12", "a".repeat(37)));
    }

    #[test]
    fn at_is_an_address_that_sign_in_reads_as_it_is() {
        let domain = MailDomain::parse("students.example").unwrap();
        let address = base("Linh", "Nguyễn", None).at(&domain).unwrap();
        assert_eq!(address.as_str(), "linh.nguyen@students.example");
        let long = format!("{}example", "a23456789.".repeat(24));
        assert!(base("Max", "Roe", None).at(&MailDomain::parse(&long).unwrap()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn base_and_numbered_of_any_name_are_user_names(first in "\\PC{1,30}", last in "\\PC{1,30}", number in 1_u32..) {
            let name = |text: &str| PersonName::parse(text).ok();
            let (Some(first), Some(last)) = (name(&first), name(&last)) else { return Ok(()) };
            let base = UserName::base(Some(&first), Some(&last), None);
            for name in [base.numbered(number), base] {
                let text = name.as_str();
                proptest::prop_assert!((UserName::MIN..=UserName::MAX).contains(&text.len()), "{text}");
                proptest::prop_assert!(text.split('.').all(|part| {
                    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
                }), "{text}");
            }
        }
    }
}
