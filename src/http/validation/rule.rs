//! The keywords of a schema that requests have here, each with its test and its complaint.

use std::fmt;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::domain::{email::Email, password::Password};

/// A keyword of a schema, which says nothing of what is of another type.
#[derive(Debug)]
pub(super) enum Rule {
    Type(Kind),
    OneOf(Vec<Value>),
    MinLength(u64),
    MaxLength(u64),
    Pattern(Regex),
    Format(Format),
}

/// The types that properties have here.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    String,
    Boolean,
}

/// The formats.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Email,
    Uri,
    /// Any text. Its greatest length counts after normalization.
    Password,
}

impl Rule {
    /// The rule that this keyword and its value are, if it is one that is understood.
    pub(super) fn read(keyword: &str, value: &Value) -> Option<Self> {
        Some(match keyword {
            "type" => Self::Type(Kind::deserialize(value).ok()?),
            "enum" => Self::OneOf(value.as_array()?.clone()),
            "minLength" => Self::MinLength(value.as_u64()?),
            "maxLength" => Self::MaxLength(value.as_u64()?),
            "pattern" => Self::Pattern(Regex::new(value.as_str()?).ok()?),
            "format" => Self::Format(Format::deserialize(value).ok()?),
            _ => return None,
        })
    }

    pub(super) fn is_kept_by(&self, value: &Value) -> bool {
        let text = |kept: &dyn Fn(&str) -> bool| value.as_str().is_none_or(kept);
        match self {
            Self::Type(Kind::String) => value.is_string(),
            Self::Type(Kind::Boolean) => value.is_boolean(),
            Self::OneOf(values) => values.contains(value),
            Self::MinLength(least) => text(&|text| length(text) >= *least),
            Self::MaxLength(most) => text(&|text| length(text) <= *most),
            Self::Pattern(pattern) => text(&|text| pattern.is_match(text)),
            Self::Format(Format::Email) => text(&|text| Email::parse(text).is_ok()),
            Self::Format(Format::Uri) => text(&|text| Url::parse(text).is_ok()),
            Self::Format(Format::Password) => text(&|text| Password::parse(text).is_ok()),
        }
    }
}

/// How long a text is: characters, as RFC 8259 knows them.
fn length(text: &str) -> u64 {
    text.chars().count() as u64
}

/// What a value must do to keep the rule.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(Kind::String) => f.write_str("be of type string"),
            Self::Type(Kind::Boolean) => f.write_str("be of type boolean"),
            Self::OneOf(values) => match values.as_slice() {
                [only] => write!(f, "be {only}"),
                several => write!(f, "be one of {}", json!(several)),
            },
            Self::MinLength(least) => write!(f, "have at least {least} characters"),
            Self::MaxLength(most) => write!(f, "have at most {most} characters"),
            Self::Pattern(pattern) => write!(f, "match {pattern}"),
            Self::Format(Format::Email) => f.write_str("be an e-mail address"),
            Self::Format(Format::Uri) => f.write_str("be an absolute URI"),
            Self::Format(Format::Password) => write!(f, "have at most {} characters", Password::MAX),
        }
    }
}
