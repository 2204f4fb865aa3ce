//! A student in responses, and the types of its properties.

use poem_openapi::{Object, types::ToJSON};
use serde_json::{Value, json};

use super::types::{Date, EXAMPLE_STUDENT, Instant};
use crate::{
    classroom::rosters::{RosterRow, View},
    domain::{
        email::Email,
        id::UserId,
        password::Password,
        person::{AvatarUrl, PersonName, PhoneNumber},
    },
    entity::{enrollment::Status, user},
    http::string_types::text,
};

/// A student of a class.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Student {
    /// The student ID: the ID of the student's account.
    id: UserId,
    /// The account of the student. It equals `id`.
    user_id: UserId,
    /// The day on which the student joined the class, in UTC. Null for readers who do not own the class.
    #[oai(nullable)]
    enrollment_date: Option<Date>,
    /// Always null: the server keeps no postal addresses.
    #[oai(nullable, validator(max_length = 200))]
    address: Option<String>,
    /// Always null: the server keeps no addresses of parents.
    #[oai(nullable, validator(max_length = 254))]
    parent_contact_email: Option<String>,
    /// The status of the student in the class: `active`, `transferred`, `graduated`, `dropped` or `pending`. A pending student waits
    /// for the owner's approval.
    #[oai(nullable)]
    status: Option<StudentStatus>,
    /// When the student was added to the class. Null for readers who do not own the class.
    #[oai(nullable)]
    created_at: Option<Instant>,
    /// When the student's enrollment or profile last changed. Null for readers who do not own the class.
    #[oai(nullable)]
    updated_at: Option<Instant>,
    /// The user name, with which the student signs in. Null except in the answer that also shows a password.
    #[oai(nullable)]
    username: Option<ShownUserName>,
    /// The one-time password. Null except in the answer to the request that generated it. It is not shown again.
    #[oai(nullable)]
    password: Option<ShownPassword>,
    /// The first name.
    #[oai(nullable)]
    first_name: Option<PersonName>,
    /// The last name.
    #[oai(nullable)]
    last_name: Option<PersonName>,
    /// The phone number. Null for readers who do not own the class, and for a student who is not active.
    #[oai(nullable)]
    phone_number: Option<PhoneNumber>,
    /// The URL of a picture. Null for readers who do not own the class, and for a student who is not active.
    #[oai(nullable)]
    avatar_url: Option<AvatarUrl>,
}

impl Student {
    /// Adds the user name and the password, which the server generated for this request.
    #[must_use]
    pub fn with_credentials(self, user_name: Email, password: Password) -> Self {
        Self { username: Some(ShownUserName(user_name)), password: Some(ShownPassword(password)), ..self }
    }
}

/// The student of the examples, as the owner of the class sees it.
pub(super) fn example() -> Value {
    json!({
        "id": EXAMPLE_STUDENT,
        "userId": EXAMPLE_STUDENT,
        "enrollmentDate": "2026-05-04",
        "address": null,
        "parentContactEmail": null,
        "status": "active",
        "createdAt": "2026-05-04T09:42:00Z",
        "updatedAt": "2026-05-04T09:42:00Z",
        "username": null,
        "password": null,
        "firstName": "Minh",
        "lastName": "Trần",
        "phoneNumber": null,
        "avatarUrl": null,
    })
}

/// The student of the examples in a response that shows a new password.
pub(super) fn example_with_password(password: &str) -> Value {
    let mut student = example();
    for (property, value) in [
        ("username", "linh.nguyen@students.example"),
        ("password", password),
        ("firstName", "Linh"),
        ("lastName", "Nguyễn"),
        ("phoneNumber", "+84 24 1234 567"),
        ("avatarUrl", "https://pictures.example.com/linh.png"),
    ] {
        student[property] = value.into();
    }
    student
}

impl From<RosterRow> for Student {
    fn from(RosterRow { user, enrollment, view }: RosterRow) -> Self {
        let user::Model { id, first_name, last_name, phone_number, avatar_url, updated_at, .. } = user;
        let names = Self {
            id,
            user_id: id,
            enrollment_date: None,
            address: None,
            parent_contact_email: None,
            status: Some(StudentStatus::of(enrollment.status)),
            created_at: None,
            updated_at: None,
            username: None,
            password: None,
            first_name,
            last_name,
            phone_number: None,
            avatar_url: None,
        };
        let (phone_number, avatar_url) =
            if enrollment.status == Status::Active { (phone_number, avatar_url) } else { (None, None) };
        match view {
            View::NamesOnly => names,
            View::Full => Self {
                enrollment_date: Some(Date(enrollment.enrolled_at)),
                created_at: Some(Instant(enrollment.created_at)),
                updated_at: Some(Instant(
                    updated_at.map_or(enrollment.updated_at, |profile| profile.max(enrollment.updated_at)),
                )),
                phone_number,
                avatar_url,
                ..names
            },
        }
    }
}

/// The status of a student in a class. It is a pattern in the document, because a nullable `enum` of OpenAPI 3.0 must contain null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StudentStatus(Status);

/// The text is not a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be active, transferred, graduated, dropped or pending")]
pub struct InvalidStudentStatus;

impl StudentStatus {
    /// The values, as a regular expression.
    pub const PATTERN: &str = "^(active|transferred|graduated|dropped|pending)$";
    /// The length of the longest value.
    pub const MAX: usize = "transferred".len();

    /// The status of a student with an enrollment of this status. A student who finished the class counts as graduated.
    pub fn of(status: Status) -> Self {
        Self(if status == Status::Completed { Status::Graduated } else { status })
    }

    /// The status of the enrollment.
    pub fn status(self) -> Status {
        self.0
    }

    /// Reads a status.
    pub fn parse(text: &str) -> Result<Self, InvalidStudentStatus> {
        let known =
            [Status::Active, Status::Transferred, Status::Graduated, Status::Dropped, Status::Pending];
        known.map(Self).into_iter().find(|status| status.as_str() == text).ok_or(InvalidStudentStatus)
    }

    fn as_str(self) -> &'static str {
        match self.0 {
            Status::Active => "active",
            Status::Pending => "pending",
            Status::Dropped => "dropped",
            Status::Transferred => "transferred",
            Status::Graduated | Status::Completed => "graduated",
        }
    }
}

text!(StudentStatus, "StudentStatus", StudentStatus::parse, {
    max_length: StudentStatus::MAX,
    pattern: StudentStatus::PATTERN.into(),
} shown |status: &Self| status.as_str());

/// A user name in a response.
#[derive(Debug)]
pub struct ShownUserName(pub(super) Email);

text!(ShownUserName, "UserName", |text: &str| Email::parse(text).map(Self), {
    min_length: 3,
    max_length: Email::MAX,
} shown |user_name: &Self| user_name.0.as_str());

/// A one-time password in a response. It is the only type that shows a password.
#[derive(Debug)]
pub struct ShownPassword(pub(super) Password);

text!(ShownPassword, "ShownPassword", |text: &str| Password::parse(text).map(Self), {
    min_length: 1,
    max_length: Password::MAX,
});

impl ToJSON for ShownPassword {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.expose().to_owned()))
    }
}
