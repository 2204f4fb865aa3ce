//! Strings with rules in the document.

use poem_openapi::types::ToJSON;
use serde_json::Value;

use crate::domain::id::{AppId, ClassId, EnrollmentId, KeyId, SessionId, UserId};

/// Implements a string type of the document: its schema, parsing from JSON and, after `shown`, writing to JSON.
///
/// The text of a JSON string is wiped after parsing, because it may be a secret.
macro_rules! text {
    ($value:ty, $name:literal, $parse:expr, { $($field:ident: $bound:expr),* $(,)? } shown $show:expr) => {
        $crate::http::string_types::text!($value, $name, $parse, { $($field: $bound),* });

        impl poem_openapi::types::ToJSON for $value {
            fn to_json(&self) -> Option<serde_json::Value> {
                let show: fn(&$value) -> &str = $show;
                Some(serde_json::Value::String(show(self).to_owned()))
            }
        }
    };
    ($value:ty, $name:literal, $parse:expr, { $($field:ident: $bound:expr),* $(,)? }) => {
        impl poem_openapi::types::Type for $value {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new(poem_openapi::registry::MetaSchema {
                    $($field: Some($bound),)*
                    ..poem_openapi::registry::MetaSchema::new("string")
                }))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl poem_openapi::types::ParseFromJSON for $value {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                let parse = $parse;
                match value {
                    Some(serde_json::Value::String(text)) => {
                        let text = zeroize::Zeroizing::new(text);
                        parse(text.as_str()).map_err(poem_openapi::types::ParseError::custom)
                    }
                    other => Err(poem_openapi::types::ParseError::expected_type(other.unwrap_or_default())),
                }
            }
        }
    };
}
pub(crate) use text;

/// Declares the type of a path, query or header parameter: any text, with this schema.
macro_rules! parameter {
    ($(#[$documentation:meta])* $name:ident, { $($field:ident: $bound:expr),* $(,)? }) => {
        $(#[$documentation])*
        #[derive(Debug)]
        pub struct $name(pub String);

        $crate::http::string_types::text!($name, "Parameter", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
            $($field: $bound),*
        } shown |parameter: &Self| &parameter.0);

        impl poem_openapi::types::ParseFromParameter for $name {
            fn parse_from_parameter(text: &str) -> poem_openapi::types::ParseResult<Self> {
                Ok(Self(text.to_owned()))
            }
        }
    };
}
pub(crate) use parameter;

/// Ids have a pattern in the document and no `format: uuid`. Libraries for that format refuse UUIDs without a version (RFC 9562
/// section 4), such as the one in the documented example.
macro_rules! id {
    ($($id:ident),*) => {$(
        text!($id, "Id", str::parse::<$id>, {
            max_length: uuid::fmt::Hyphenated::LENGTH,
            pattern: "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$".into(),
        });

        impl ToJSON for $id {
            fn to_json(&self) -> Option<Value> {
                Some(Value::String(self.to_string()))
            }
        }
    )*};
}

id!(AppId, ClassId, EnrollmentId, KeyId, SessionId, UserId);
