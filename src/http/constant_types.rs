//! Types with fewer values than their JSON type.

use std::{borrow::Cow, marker::PhantomData};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// A boolean that is always `VALUE`.
#[derive(Debug, Clone, Copy)]
pub struct Always<const VALUE: bool>;

/// The HTTP status of an error. It has no `format` in the document, because the documented page has none.
#[derive(Debug, Clone, Copy)]
pub struct ErrorStatus(pub u16);

/// An item of a list of the sign-in family.
pub trait Item {
    /// The `kind` of its list.
    const KIND: &'static str;
}

/// The `kind` of a list.
#[derive(Debug, Clone, Copy)]
pub struct KindOf<T>(PhantomData<fn() -> T>);

impl<T> Default for KindOf<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// Implements the schema of a type, parsing from JSON and writing to JSON.
macro_rules! constant {
    ([$($parameters:tt)*] $value:ty, $name:literal, $schema:expr, $read:expr, $write:expr) => {
        impl<$($parameters)*> Type for $value {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
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

        impl<$($parameters)*> ParseFromJSON for $value {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                let read: fn(&Value) -> Option<Self> = $read;
                value.as_ref().and_then(read).ok_or_else(|| ParseError::expected_type(value.unwrap_or_default()))
            }
        }

        impl<$($parameters)*> ToJSON for $value {
            fn to_json(&self) -> Option<Value> {
                let write: fn(&Self) -> Value = $write;
                Some(write(self))
            }
        }
    };
}

constant!(
    [const VALUE: bool] Always<VALUE>,
    "Always",
    MetaSchema { enum_items: vec![VALUE.into()], ..MetaSchema::new("boolean") },
    |value| (value.as_bool() == Some(VALUE)).then_some(Self),
    |_| VALUE.into()
);

constant!(
    [] ErrorStatus,
    "ErrorStatus",
    MetaSchema { minimum: Some(400.0), maximum: Some(599.0), ..MetaSchema::new("integer") },
    |value| value.as_u64().and_then(|status| status.try_into().ok()).map(Self),
    |status| status.0.into()
);

constant!(
    [T: Item] KindOf<T>,
    "Kind",
    MetaSchema { enum_items: vec![T::KIND.into()], ..MetaSchema::new("string") },
    |value| (value.as_str() == Some(T::KIND)).then(Self::default),
    |_| T::KIND.into()
);
