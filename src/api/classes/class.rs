//! A class in responses, and the types of its properties.

use std::{borrow::Cow, collections::BTreeMap};

use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef},
    types::{Any, ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::{Map, Value};

use super::types::{Instant, Success};
use crate::{
    classroom::classes::VisibleClass,
    domain::{
        class_name::ClassName,
        class_settings::ClassSettings,
        description::ClassDescription,
        e_tag::ETag,
        id::{ClassId, UserId},
        join_code::JoinCode,
        max_students::MaxStudents,
    },
    entity::class,
    http::{
        operation::{Operation, OperationResponse, ResponseHeader},
        string_types::text,
        validation::Violation,
    },
};

/// The tag of the version of a class.
pub(super) const ETAG: ResponseHeader = ResponseHeader {
    name: "ETag",
    description: "The tag of this version of the class (RFC 9110 section 8.8.3), for `If-Match`. The join code is no part of it.",
    example: "\"0\"",
};

/// A class.
#[derive(Debug, Object)]
#[oai(rename = "SchoolClass", rename_all = "camelCase")]
pub struct Class {
    /// The class ID.
    id: ClassId,
    /// The owner: the id of a user.
    owner_id: UserId,
    /// The name of the class.
    name: ClassName,
    /// The description of the class.
    #[oai(nullable)]
    description: Option<ClassDescription>,
    /// The current join code of the class. Null for everyone but the owner, while the class is inactive, and if there is no valid code.
    #[oai(nullable)]
    join_code: Option<JoinCode>,
    /// Settings of the client, an object of any form.
    #[oai(nullable)]
    settings: Option<ClassSettings>,
    /// Whether the class is active. An inactive class admits no student. Its owner and its students can still read it.
    is_active: bool,
    /// When the class was created.
    created_at: Instant,
    /// When a property that the owner may change was last changed.
    updated_at: Instant,
    /// The maximum number of active students. Null if there is no limit.
    #[oai(nullable)]
    max_students: Option<MaxStudents>,
    /// Whether joining with a code needs the owner's approval.
    requires_approval: bool,
}

impl From<VisibleClass> for Class {
    fn from(VisibleClass { class, join_code }: VisibleClass) -> Self {
        let class::Model {
            id,
            owner_id,
            name,
            description,
            settings,
            is_active,
            created_at,
            updated_at,
            name_key: _,
            max_students,
            requires_approval,
            version: _,
            sourced_id: _,
            left_roster: _,
        } = class;
        Self {
            id,
            owner_id,
            name,
            description,
            join_code,
            settings,
            is_active,
            created_at: Instant(created_at),
            updated_at: Instant(updated_at),
            max_students,
            requires_approval,
        }
    }
}

/// The success response of an operation on one class, with its tag.
pub(super) fn response<O: Operation<Body = Success<Class>>>(class: VisibleClass) -> OperationResponse<O> {
    let tag = ETag(class.class.version).to_string();
    Success::response(class).with_header(ETAG, &tag)
}

/// Violations of the rules for the properties of a class in a request body.
pub(super) fn violations(members: &Map<String, Value>) -> Vec<Violation> {
    let settings = members.get("settings").filter(|settings| settings.is_object());
    let settings = settings.and_then(|settings| ClassSettings::parse(settings.clone()).err());
    let settings =
        settings.map(|error| Violation { property: "settings".to_owned(), rule: error.to_string() });
    let violations = [
        Violation::of(members, "name", ClassName::parse),
        Violation::of(members, "description", ClassDescription::parse),
        settings,
    ];
    violations.into_iter().flatten().collect()
}

text!(ClassDescription, "ClassDescription", ClassDescription::parse, {
    max_length: ClassDescription::MAX,
} shown ClassDescription::as_str);

/// Implements a type of the document that is no string.
macro_rules! value {
    ($value:ty, $name:literal, $schema:expr, $parse:expr, $write:expr) => {
        impl Type for $value {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                $schema
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromJSON for $value {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                let parse: fn(Value) -> Result<Self, String> = $parse;
                parse(value.unwrap_or_default()).map_err(ParseError::custom)
            }
        }

        impl ToJSON for $value {
            fn to_json(&self) -> Option<Value> {
                let write: fn(&Self) -> Value = $write;
                Some(write(self))
            }
        }
    };
}

value!(
    ClassSettings,
    "ClassSettings",
    BTreeMap::<String, Any<Value>>::schema_ref(),
    |value| Self::parse(value).map_err(|error| error.to_string()),
    |settings| settings.clone().into_value()
);

value!(
    MaxStudents,
    "MaxStudents",
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        minimum: Some(Self::LEAST.into()),
        maximum: Some(Self::GREATEST.into()),
        ..MetaSchema::new_with_format("integer", "int32")
    })),
    |value| Self::new(value.as_i64().unwrap_or_default()).map_err(|error| error.to_string()),
    |max| max.get().into()
);
