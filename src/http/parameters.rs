//! Query and header parameters of several operations. A value is checked when it is read, and the error names the parameter alone.

use poem::{Request, RequestBody, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    error::ParseParamError,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};

use super::string_types::parameter;
use crate::domain::{e_tag::IfMatch, page::PageRequest};

/// Declares a parameter that is not a string: its schema, and parsing from text.
macro_rules! value_parameter {
    ($(#[$documentation:meta])* $name:ident($value:ty), $schema:expr, $parse:expr) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub $value);

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                let parse: fn(&str) -> Option<$value> = $parse;
                parse(text).map(Self).ok_or_else(|| ParseError::custom("not valid"))
            }
        }
    };
}
pub(crate) use value_parameter;

/// A number of digits alone, within these bounds.
fn number(text: &str, least: u32, greatest: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (least..=greatest).contains(number))
}

fn integer(least: u32, greatest: u32, default: u32) -> MetaSchema {
    MetaSchema {
        minimum: Some(least.into()),
        maximum: Some(greatest.into()),
        default: Some(default.into()),
        example: Some(default.into()),
        ..MetaSchema::new_with_format("integer", "int32")
    }
}

value_parameter!(
    /// The number of a page, from 1.
    PageNumber(u32),
    integer(1, 1_000_000, 1),
    |text| number(text, 1, 1_000_000)
);

value_parameter!(
    /// The number of items on a page.
    PageSize(u32),
    integer(1, 100, 10),
    |text| number(text, 1, 100)
);

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(10)
    }
}

/// The requested page: the first one with 10 items, unless the request says otherwise.
pub fn page_request(page: Option<PageNumber>, size: Option<PageSize>) -> PageRequest {
    let (PageNumber(page), PageSize(size)) = (page.unwrap_or_default(), size.unwrap_or_default());
    PageRequest { page, size }
}

value_parameter!(
    /// `true` or `false`.
    Flag(bool),
    MetaSchema { example: Some(true.into()), ..MetaSchema::new("boolean") },
    |text| text.parse().ok()
);

/// The maximum number of characters of the `If-Match` headers together.
const MAX_IF_MATCH: usize = 1024;

parameter!(
    /// The value of an `If-Match` header (RFC 9110 section 13.1.1).
    IfMatchText, { max_length: MAX_IF_MATCH, example: "\"0\"".into() }
);

/// The `If-Match` headers of a request. A header that is not text is a condition that matches nothing, and not an absent one.
#[derive(Debug)]
pub struct IfMatchHeader(pub IfMatch);

impl<'a> ApiExtractor<'a> for IfMatchHeader {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = false;

    type ParamType = IfMatchText;
    type ParamRawType = IfMatchText;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(IfMatchText::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<IfMatchText>,
    ) -> Result<Self> {
        let lines = request.headers().get_all(header::IF_MATCH).iter();
        let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        // Several lines are one list (RFC 9110 section 5.3).
        let list = lines.join(",");
        if list.chars().count() > MAX_IF_MATCH {
            return Err(ParseParamError { name: "If-Match", reason: "too long".to_owned() }.into());
        }
        Ok(Self(if lines.is_empty() { IfMatch::Any } else { IfMatch::parse(&list) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_of_digits_and_within_its_bounds() {
        for (text, expected) in [("1", Some(1)), ("100", Some(100)), ("007", Some(7))] {
            assert_eq!(number(text, 1, 100), expected, "{text}");
        }
        for text in ["", "0", "101", "-1", "+1", "1.0", " 1", "1e1", "99999999999", "\0"] {
            assert_eq!(number(text, 1, 100), None, "{text:?}");
        }
    }
}
