//! Texts with rules, as the document knows them.

use poem_openapi::types::ToJSON;
use serde_json::Value;

use crate::domain::id::{AppId, ClassId, EnrollmentId, KeyId, UserId};

/// Gives a value of the domain its schema and its reading: the bounds that are documented are the domain's own.
macro_rules! text {
    ($value:ty, $name:literal, $parse:expr, { $($field:ident: $bound:expr),* $(,)? } shown $show:expr) => {
        text!($value, $name, $parse, { $($field: $bound),* });

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
                        parse(text.as_str()).map_err(poem_openapi::types::ParseError::custom)
                    }
                    other => Err(poem_openapi::types::ParseError::expected_type(other.unwrap_or_default())),
                }
            }
        }
    };
}
pub(crate) use text;

/// Ids have a pattern in the document and no `format: uuid`: libraries for that format reject UUIDs without a version (RFC 9562
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

id!(AppId, ClassId, EnrollmentId, KeyId, UserId);
