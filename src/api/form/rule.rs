//! The keywords of a schema that requests have here, each with its test and its complaint.

use std::fmt;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::domain::email::Email;

/// A keyword of a schema, which says nothing of what is of another type.
#[derive(Debug)]
pub(super) enum Rule {
    Type(Kind),
    OneOf(Vec<Value>),
    MinLength(u64),
    MaxLength(u64),
    Minimum(f64),
    Maximum(f64),
    Pattern(Regex),
    Format(Format),
}

/// The types that properties have here.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    String,
    Boolean,
    Integer,
}

/// The formats.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Email,
    Uuid,
    Uri,
    /// How it is shown. It may be any text.
    Password,
    /// How large it may be, which a maximum says as well.
    Int64,
}

impl Rule {
    /// The rule that this keyword and its value are, if it is one that is understood.
    pub(super) fn read(keyword: &str, value: &Value) -> Option<Self> {
        Some(match keyword {
            "type" => Self::Type(Kind::deserialize(value).ok()?),
            "enum" => Self::OneOf(value.as_array()?.clone()),
            "minLength" => Self::MinLength(value.as_u64()?),
            "maxLength" => Self::MaxLength(value.as_u64()?),
            "minimum" => Self::Minimum(value.as_f64()?),
            "maximum" => Self::Maximum(value.as_f64()?),
            "pattern" => Self::Pattern(Regex::new(value.as_str()?).ok()?),
            "format" => Self::Format(Format::deserialize(value).ok()?),
            _ => return None,
        })
    }

    pub(super) fn is_kept_by(&self, value: &Value) -> bool {
        let text = |kept: &dyn Fn(&str) -> bool| value.as_str().is_none_or(kept);
        let number = |kept: &dyn Fn(f64) -> bool| value.as_f64().is_none_or(kept);
        match self {
            Self::Type(Kind::String) => value.is_string(),
            Self::Type(Kind::Boolean) => value.is_boolean(),
            Self::Type(Kind::Integer) => value.is_i64() || value.is_u64(),
            Self::OneOf(values) => values.contains(value),
            Self::MinLength(least) => text(&|text| length(text) >= *least),
            Self::MaxLength(most) => text(&|text| length(text) <= *most),
            Self::Minimum(least) => number(&|number| number >= *least),
            Self::Maximum(most) => number(&|number| number <= *most),
            Self::Pattern(pattern) => text(&|text| pattern.is_match(text)),
            Self::Format(Format::Email) => text(&|text| Email::parse(text).is_ok()),
            Self::Format(Format::Uuid) => text(&|text| Uuid::try_parse(text).is_ok()),
            Self::Format(Format::Uri) => text(&|text| Url::parse(text).is_ok()),
            Self::Format(Format::Password | Format::Int64) => true,
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
            Self::Type(Kind::Integer) => f.write_str("be of type integer"),
            Self::OneOf(values) => match values.as_slice() {
                [only] => write!(f, "be {only}"),
                several => write!(f, "be one of {}", json!(several)),
            },
            Self::MinLength(least) => write!(f, "have at least {least} characters"),
            Self::MaxLength(most) => write!(f, "have at most {most} characters"),
            Self::Minimum(least) => write!(f, "be at least {least:.0}"),
            Self::Maximum(most) => write!(f, "be at most {most:.0}"),
            Self::Pattern(pattern) => write!(f, "match {pattern}"),
            Self::Format(Format::Email) => f.write_str("be an e-mail address"),
            Self::Format(Format::Uuid) => f.write_str("be a UUID"),
            Self::Format(Format::Uri) => f.write_str("be an absolute URI"),
            Self::Format(format @ (Format::Password | Format::Int64)) => {
                write!(f, "have the format {format:?}")
            }
        }
    }
}
