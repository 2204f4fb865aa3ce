//! E-mail addresses that identify accounts.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use sea_orm::DeriveValueType;

use super::unicode;

/// An address in canonical form, which is the same for all spellings of a mailbox: the local part in lower case, the domain in its
/// ASCII form (UTS 46).
#[derive(Clone, PartialEq, Eq, Hash, DeriveValueType)]
pub struct Email(String);

super::redacted_debug!(Email);

/// The text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, local@domain, of {} to {} characters", Email::MIN, Email::MAX)]
pub struct InvalidEmail;

impl Email {
    /// The minimum number of characters.
    pub const MIN: usize = 3;
    /// The maximum number of characters, as typed and in canonical form: the limit of RFC 5321 section 4.5.3.1.3.
    pub const MAX: usize = 254;
    /// The maximum number of characters in the local part (RFC 5321 section 4.5.3.1.1).
    const MAX_LOCAL: usize = 64;

    /// Parses an address: an ASCII local part as in the HTML standard's `type=email`, and a domain name.
    ///
    /// The ASCII form of the domain is equal for upper and lower case, Unicode normalization forms, `xn--` spellings, full-width
    /// characters and full stops of other scripts. UTS 46 would drop invisible characters, so they are refused first.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        if !(Self::MIN..=Self::MAX).contains(&text.chars().count()) || text.chars().any(unicode::is_invisible)
        {
            return Err(InvalidEmail);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let domain = Uts46::new()
            .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
            .map_err(|_| InvalidEmail)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        let fits = (1..=Self::MAX_LOCAL).contains(&local.len()) && address.len() <= Self::MAX;
        if fits && local.bytes().all(is_local) { Ok(Self(address)) } else { Err(InvalidEmail) }
    }

    /// The address, in ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the byte is allowed in a local part (HTML standard, valid e-mail address).
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[test]
    fn parse_every_spelling_of_a_mailbox_gives_one_address() {
        for (canonical, spellings) in [
            (
                "user@example.com",
                &["User@Example.COM", "USER@ｅｘａｍｐｌｅ．com", "user@example。com", "user@example｡com"][..],
            ),
            (
                "user@xn--mnchen-3ya.example",
                &[
                    "user@münchen.example",
                    "user@MÜNCHEN.example",
                    "user@mu\u{308}nchen.example",
                    "user@MU\u{308}NCHEN．EXAMPLE",
                    "user@XN--Mnchen-3YA.example",
                ],
            ),
            // Non-transitional processing keeps the sharp s.
            ("user@xn--strae-oqa.example", &["user@straße.example", "user@STRAẞE.example"]),
            ("o'brien+a.b@a-b--c.example", &["O'Brien+A.B@A-b--C.example"]),
            ("a@b", &["A@B"]),
        ] {
            for spelling in spellings.iter().chain([&canonical]) {
                let email = Email::parse(spelling);
                assert_eq!(email.as_ref().map(Email::as_str), Ok(canonical), "{spelling:?}");
            }
        }
        assert_ne!(Email::parse("user@straße.example"), Email::parse("user@strasse.example"));
    }

    #[test]
    fn parse_text_that_is_not_an_address_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("{}@{}c", "a".repeat(64), "b23456789.".repeat(19));
        // 251 characters as typed, and more than 254 in ASCII.
        let long_in_ascii = format!("a@{}", ["üüüüüüüüüüüüüüüüüüü"; 12].join("."));
        for text in [
            "",
            "a@",
            "@b",
            "user",
            "user@@example.com",
            "us er@example.com",
            "user@exa mple.com",
            "user@example.com ",
            "\u{3000}user@example.com",
            "user@example.com.",
            "user@example.com。",
            "user@.example.com",
            "user@example..com",
            "user@-example.com",
            "user@exa_mple.com",
            "user＠example.com",
            "\"user\"@example.com",
            "user@xn--\u{FC}.example",
            "user@xn--a.example",
            "user@a／b.example",
            "user@℀.example",
            "user@example.com, other@example.com",
            // A local part that is not ASCII
            "usér@example.com",
            "\u{212A}im@example.com",
            "ｕser@example.com",
            // Domain literals, and characters that are not allowed before one
            "user@[127.0.0.1]",
            "user@[IPv6:::1]",
            "user@a\0b[127.0.0.1]",
            "user@<script>[127.0.0.1]",
            "user@a\r\nb[::1]",
            "a\0b@example.com",
            long_local.as_str(),
            long.as_str(),
            long_in_ascii.as_str(),
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn parse_address_with_invisible_or_control_character_is_refused() {
        let invisible = [
            '\u{AD}',
            '\u{34F}',
            '\u{61C}',
            '\u{115F}',
            '\u{180E}',
            '\u{200B}',
            '\u{200C}',
            '\u{200D}',
            '\u{200E}',
            '\u{200F}',
            '\u{202A}',
            '\u{202E}',
            '\u{2060}',
            '\u{2066}',
            '\u{3164}',
            '\u{FE0F}',
            '\u{FEFF}',
            '\u{E0020}',
        ];
        let controls = ('\0'..='\u{9F}').filter(|character| character.is_control());
        for character in invisible.into_iter().chain(controls) {
            for pattern in
                ["{}user@example.com", "us{}er@example.com", "user@exa{}mple.com", "user@example.com{}"]
            {
                let text = pattern.replace("{}", &character.to_string());
                assert_eq!(Email::parse(&text), Err(InvalidEmail), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn parse_canonical_address_is_unchanged(text in "[!-~]{1,8}@[a-zA-Zéüßßı。．－１Ａ\u{300}\u{308}.-]{1,20}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
                prop_assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", email.as_str());
                prop_assert!((Email::MIN..=Email::MAX).contains(&email.as_str().len()));
            }
        }

        #[test]
        fn parse_address_in_another_case_gives_the_same_address(local in "[a-zA-Z0-9.+-]{1,8}", domain in "[a-züéàñ]{1,8}(\\.[a-z]{2,5}){0,2}") {
            let read = Email::parse(&format!("{local}@{domain}"));
            prop_assert!(read.is_ok());
            let upper = format!("{}@{}", local.to_uppercase(), domain.to_uppercase());
            prop_assert_eq!(&read, &Email::parse(&upper));
            let decomposed = format!("{local}@{}", domain.nfd().collect::<String>());
            prop_assert_eq!(&read, &Email::parse(&decomposed));
        }

        #[test]
        fn parse_any_text_never_panics(text in "\\PC{0,20}@?.{0,20}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().is_ascii());
            }
        }
    }
}
