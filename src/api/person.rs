//! String types about persons, for the operations of both families.

use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, ToJSON};
use serde_json::Value;

use crate::{
    domain::{
        language::Language,
        person::{AvatarUrl, DateOfBirth, PersonName, PhoneNumber},
        secret_token::ConfirmHash,
    },
    http::string_types::{parameter, text},
};

text!(PersonName, "PersonName", PersonName::parse, {
    min_length: 1,
    max_length: PersonName::MAX,
} shown PersonName::as_str);

text!(PhoneNumber, "PhoneNumber", PhoneNumber::parse, {
    max_length: PhoneNumber::MAX,
    // At least three digits.
    pattern: "^[ +/().-]*([0-9][ +/().-]*){3}[0-9 +/().-]*$".into(),
} shown PhoneNumber::as_str);

text!(AvatarUrl, "AvatarUrl", AvatarUrl::parse, {
    format: "uri",
    max_length: AvatarUrl::MAX,
    pattern: "^[Hh][Tt][Tt][Pp][Ss]:".into(),
} shown AvatarUrl::as_str);

text!(DateOfBirth, "Date", DateOfBirth::parse, {
    format: "date",
    example: "2010-05-04".into(),
});

impl ToJSON for DateOfBirth {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.date().to_string()))
    }
}

text!(Language, "Language", |text: &str| Ok::<_, &str>(Self::from_tag(text)), {
    max_length: 2,
    pattern: "^[a-z]{2}$".into(),
} shown |language: &Self| language.tag());

text!(ConfirmHash, "ConfirmHash", |text: &str| Ok::<_, &str>(Self::presented(text)), {
    min_length: 1,
    max_length: 512,
    pattern: r"^[\x20-\x7E]*$".into(),
});

/// The text is not a language tag.
#[derive(Debug, thiserror::Error)]
#[error("must be a language tag such as en or de-AT")]
struct InvalidLanguageTag;

/// The language that a client asks for, as a language tag (RFC 5646).
#[derive(Debug)]
pub(super) struct RequestedLanguage(pub Language);

impl RequestedLanguage {
    /// The maximum number of characters (RFC 5646 section 4.4.1).
    const MAX: usize = 35;

    fn parse(text: &str) -> Result<Self, InvalidLanguageTag> {
        let is_tag = text.len() <= Self::MAX
            && text.split(['-', '_']).all(|part| {
                (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        if is_tag { Ok(Self(Language::from_tag(text))) } else { Err(InvalidLanguageTag) }
    }
}

text!(RequestedLanguage, "RequestedLanguage", RequestedLanguage::parse, {
    min_length: 1,
    max_length: RequestedLanguage::MAX,
    pattern: "^[A-Za-z0-9]{1,8}([_-][A-Za-z0-9]{1,8})*$".into(),
    example: "en".into(),
});

impl ParseFromParameter for RequestedLanguage {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::parse(text).map_err(ParseError::custom)
    }
}

parameter!(
    /// The secret in the link of a mail, in a path.
    ConfirmHashPath, { max_length: 512, example: "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU".into() }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_requested_language_accepts_language_tags_alone() {
        for text in ["", "-", "de-", "d e", "de--AT", "abcdefghi", &"a-".repeat(20), "d\u{E9}"] {
            assert!(RequestedLanguage::parse(text).is_err(), "{text:?}");
        }
        for (text, language) in
            [("de-AT", Language::German), ("vi_VN", Language::Vietnamese), ("fr", Language::English)]
        {
            assert_eq!(RequestedLanguage::parse(text).unwrap().0, language, "{text}");
        }
    }
}
