//! The bodies of the classroom family.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use poem_openapi::{
    Enum, Object,
    types::{Any, ParseFromJSON, ToJSON, Type},
};
use serde_json::Value;

use crate::{
    classroom::{classes::VisibleClass, join_codes::Generated},
    domain::{
        self,
        class_name::ClassName,
        id::{ClassId, EnrollmentId, UserId},
    },
    entity::{class, enrollment},
    http::{constants::Always, text::text},
};

/// A success of the classroom family.
#[derive(Debug, Object)]
pub struct Success<T: Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// Always `true`.
    success: Always<true>,
    /// The HTTP status.
    #[oai(validator(minimum(value = "200"), maximum(value = "299")))]
    code: i32,
    /// What was done, for a person to read.
    #[oai(validator(max_length = 200))]
    message: String,
    /// What came of it.
    data: T,
}

impl<T: Type + ParseFromJSON + ToJSON + Send + Sync> Success<T> {
    /// What an operation that succeeds with `status` answers.
    pub fn new((status, message): (u16, &str), data: impl Into<T>) -> Self {
        Self { success: Always, code: status.into(), message: message.to_owned(), data: data.into() }
    }
}

/// A join code that was just drawn.
#[derive(Debug, Object)]
#[oai(rename = "GeneratedJoinCode", rename_all = "camelCase")]
pub struct JoinCode {
    /// The generated join code: 8 characters of Crockford base 32 without `A` and `E`, unique among all classes.
    join_code: domain::join_code::JoinCode,
    /// When the join code expires.
    expires_at: Instant,
}

impl From<Generated> for JoinCode {
    fn from(Generated { code, expires_at }: Generated) -> Self {
        Self { join_code: code, expires_at: Instant(expires_at) }
    }
}

/// A class.
#[derive(Debug, Object)]
#[oai(rename = "SchoolClass", rename_all = "camelCase")]
pub struct Class {
    /// The class ID.
    id: ClassId,
    /// The user who owns the class.
    owner_id: UserId,
    /// What the class is called.
    name: ClassName,
    /// What the class is about, if anybody said.
    #[oai(nullable, validator(max_length = 1000))]
    description: Option<String>,
    /// The join code that admits to the class now. Null for everyone but the owner, and when there is none.
    #[oai(nullable)]
    join_code: Option<domain::join_code::JoinCode>,
    /// The client's own settings, an object of any shape, if it has any.
    #[oai(nullable)]
    settings: Option<BTreeMap<String, Any<Value>>>,
    /// Whether the class takes part in lessons still.
    is_active: bool,
    /// When the class was made.
    created_at: Instant,
    /// When its name, description, settings or standing last changed.
    updated_at: Instant,
}

impl From<VisibleClass> for Class {
    fn from(VisibleClass { class, join_code }: VisibleClass) -> Self {
        let class::Model { id, owner_id, name, description, settings, is_active, created_at, updated_at } =
            class;
        Self {
            id,
            owner_id,
            name,
            description,
            join_code,
            settings: settings.and_then(members),
            is_active,
            created_at: Instant(created_at),
            updated_at: Instant(updated_at),
        }
    }
}

/// The members of a class's settings, which are an object.
fn members(settings: Value) -> Option<BTreeMap<String, Any<Value>>> {
    match settings {
        Value::Object(members) => {
            Some(members.into_iter().map(|(name, member)| (name, Any(member))).collect())
        }
        _ => None,
    }
}

/// A student's place in a class.
#[derive(Debug, Object)]
#[oai(rename = "ClassEnrollment", rename_all = "camelCase")]
pub struct Enrollment {
    /// The enrollment ID.
    id: EnrollmentId,
    /// The class.
    class_id: ClassId,
    /// The student.
    student_id: UserId,
    /// The day on which the student joined, in UTC.
    enrolled_at: Day,
    /// How the enrollment stands.
    status: EnrollmentStatus,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

/// How an enrollment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ClassEnrollmentStatus", rename_all = "camelCase")]
pub enum EnrollmentStatus {
    /// The student is in the class.
    Active,
    /// The student has left it.
    Dropped,
    /// The class is over.
    Completed,
}

impl From<enrollment::Model> for Enrollment {
    fn from(enrollment: enrollment::Model) -> Self {
        let enrollment::Model { id, class_id, student_id, enrolled_at, status, created_at, updated_at } =
            enrollment;
        Self {
            id,
            class_id,
            student_id,
            enrolled_at: Day(enrolled_at),
            status: match status {
                enrollment::Status::Active => EnrollmentStatus::Active,
                enrollment::Status::Dropped => EnrollmentStatus::Dropped,
                enrollment::Status::Completed => EnrollmentStatus::Completed,
            },
            created_at: Instant(created_at),
            updated_at: Instant(updated_at),
        }
    }
}

text!(domain::join_code::JoinCode, "JoinCode", domain::join_code::JoinCode::parse, {
    min_length: domain::join_code::JoinCode::LENGTH,
    max_length: domain::join_code::JoinCode::LENGTH,
    pattern: "^[0-9B-DF-HJKMNP-TV-Z]*$".into(),
} shown domain::join_code::JoinCode::expose);

text!(ClassName, "ClassName", ClassName::parse, {
    min_length: 1,
    max_length: ClassName::MAX,
} shown ClassName::as_str);

/// An instant of this family: RFC 3339 in UTC, whole seconds, `Z`.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub DateTime<Utc>);

text!(Instant, "Instant", |text: &str| DateTime::parse_from_rfc3339(text).map(|at| Self(at.to_utc())), {
    format: "date-time",
    example: "2026-05-04T09:42:00Z".into(),
});

impl ToJSON for Instant {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_rfc3339_opts(SecondsFormat::Secs, true)))
    }
}

/// A day, in UTC.
#[derive(Debug, Clone, Copy)]
pub struct Day(pub NaiveDate);

text!(Day, "Day", |text: &str| text.parse().map(Self), {
    format: "date",
    example: "2026-05-04".into(),
});

impl ToJSON for Day {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}
