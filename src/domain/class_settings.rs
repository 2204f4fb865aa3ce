//! Settings of a class: a JSON object that clients define.

use sea_orm::{FromJsonQueryResult, prelude::Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The settings of a class. The server does not interpret them. PostgreSQL does not keep the order of the members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct ClassSettings(Json);

/// The value is not the settings of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClassSettings {
    /// It is not an object.
    #[error("must be an object")]
    NoObject,
    /// The object contains itself, and arrays and objects in it, too deeply.
    #[error("must have at most {} levels", ClassSettings::MAX_DEPTH)]
    TooDeep,
    /// A text or a name contains U+0000, which PostgreSQL cannot store in JSON.
    #[error("must not contain the character U+0000")]
    NullCharacter,
    /// It is too large.
    #[error("must have at most {} bytes as JSON", ClassSettings::MAX_BYTES)]
    TooLarge,
}

impl ClassSettings {
    /// The maximum number of bytes of the shortest JSON text.
    pub const MAX_BYTES: usize = 8192;
    /// The maximum number of levels. The object itself is the first one.
    pub const MAX_DEPTH: usize = 8;

    /// Accepts an object within the bounds.
    pub fn parse(value: Value) -> Result<Self, InvalidClassSettings> {
        if !value.is_object() {
            return Err(InvalidClassSettings::NoObject);
        }
        check(&value, Self::MAX_DEPTH)?;
        if value.to_string().len() > Self::MAX_BYTES {
            return Err(InvalidClassSettings::TooLarge);
        }
        Ok(Self(value))
    }

    /// The object.
    pub fn into_value(self) -> Value {
        self.0
    }
}

/// Checks the texts and the depth of a value that may have `levels` levels of arrays and objects.
fn check(value: &Value, levels: usize) -> Result<(), InvalidClassSettings> {
    let inner = || levels.checked_sub(1).ok_or(InvalidClassSettings::TooDeep);
    match value {
        Value::String(text) => check_text(text),
        Value::Array(items) => {
            let levels = inner()?;
            items.iter().try_for_each(|item| check(item, levels))
        }
        Value::Object(members) => {
            let levels = inner()?;
            members.iter().try_for_each(|(name, member)| {
                check_text(name)?;
                check(member, levels)
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), InvalidClassSettings> {
    if text.contains('\0') { Err(InvalidClassSettings::NullCharacter) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_an_object_within_their_bounds() {
        let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
        let sized = |bytes: usize| json!({ "a": "é".repeat((bytes - 8) / 2) });
        assert_eq!(sized(8192).to_string().len(), 8192);
        for valid in [json!({}), nested(8), sized(8192), json!({ "": [null, 1.5, { "b": "\u{1}" }] })] {
            assert!(ClassSettings::parse(valid.clone()).is_ok(), "{valid}");
        }
        for (invalid, error) in [
            (json!(null), InvalidClassSettings::NoObject),
            (json!([]), InvalidClassSettings::NoObject),
            (json!("a"), InvalidClassSettings::NoObject),
            (nested(9), InvalidClassSettings::TooDeep),
            (json!({ "a": [[[[[[[[]]]]]]]] }), InvalidClassSettings::TooDeep),
            (json!({ "a": "\0" }), InvalidClassSettings::NullCharacter),
            (json!({ "\0": 1 }), InvalidClassSettings::NullCharacter),
            (json!({ "a": [{ "b": "c\0" }] }), InvalidClassSettings::NullCharacter),
            (sized(8194), InvalidClassSettings::TooLarge),
        ] {
            assert_eq!(ClassSettings::parse(invalid.clone()), Err(error), "{invalid}");
        }
    }
}
