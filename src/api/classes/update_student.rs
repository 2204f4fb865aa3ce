//! `PUT /students/{studentId}`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::Path,
    types::{MaybeUndefined, ToJSON},
};
use sea_orm::ActiveValue;
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    student::{self, InvalidStudentStatus, Student, StudentStatus},
    types::{StudentPath, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::rosters::{StudentChange, UpdateError},
    domain::person::{AvatarUrl, PersonName, PhoneNumber},
    entity::enrollment::Status,
    http::{
        api_error::ApiError,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::text,
        validation::Violation,
    },
};

/// A change of a student. A property that is absent stays as it is.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UpdateStudentRequest {
    /// The first name: at least one character that is not blank, and no control character. `null`: unchanged.
    first_name: MaybeUndefined<PersonName>,
    /// The last name: at least one character that is not blank, and no control character. `null`: unchanged.
    last_name: MaybeUndefined<PersonName>,
    /// The phone number: digits, blanks and `+ - / ( ) .`, with at least three digits. `null` removes it.
    phone_number: MaybeUndefined<PhoneNumber>,
    /// The URL of a picture, with the scheme `https`. The server never requests it. `null` removes it.
    avatar_url: MaybeUndefined<AvatarUrl>,
    /// The status: `active`, `transferred`, `graduated` or `dropped`. `null`: unchanged.
    status: MaybeUndefined<NewStatus>,
}

impl JsonBody for UpdateStudentRequest {
    const NULL_REMOVES: bool = true;

    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        let violations = [
            Violation::of(members, "firstName", PersonName::parse),
            Violation::of(members, "lastName", PersonName::parse),
            Violation::of(members, "phoneNumber", PhoneNumber::parse),
            Violation::of(members, "avatarUrl", AvatarUrl::parse),
        ];
        violations.into_iter().flatten().collect()
    }
}

impl From<UpdateStudentRequest> for StudentChange {
    fn from(request: UpdateStudentRequest) -> Self {
        let UpdateStudentRequest { first_name, last_name, phone_number, avatar_url, status } = request;
        Self {
            first_name: first_name.take(),
            last_name: last_name.take(),
            phone_number: value(phone_number),
            avatar_url: value(avatar_url),
            status: status.take().map(|NewStatus(status)| status),
        }
    }
}

/// A status that an owner gives. A student is pending only by joining.
#[derive(Debug)]
pub struct NewStatus(Status);

impl NewStatus {
    fn parse(text: &str) -> Result<Self, InvalidStudentStatus> {
        let status = StudentStatus::parse(text)?.status();
        if status == Status::Pending { Err(InvalidStudentStatus) } else { Ok(Self(status)) }
    }
}

text!(NewStatus, "NewStatus", NewStatus::parse, {
    max_length: 11,
    pattern: "^(active|transferred|graduated|dropped)$".into(),
});

impl ToJSON for NewStatus {
    fn to_json(&self) -> Option<Value> {
        StudentStatus::of(self.0).to_json()
    }
}

/// `PUT /students/{studentId}`
#[derive(Default)]
pub struct UpdateStudent;

#[OpenApi(tag = "Tag::Students")]
impl UpdateStudent {
    /// Change a student
    ///
    /// Changes the given properties. A property that is absent stays as it is. `null` removes `phoneNumber` and `avatarUrl`; for the
    /// other properties it means that they stay as they are.
    ///
    /// The caller must own a class in which the student is active or was. `status` applies to those of the caller's classes in which the
    /// student is active: `active` changes nothing there. If there is none, it applies to the enrollment that was created last. So
    /// `active` brings a former student back, if the class is active and has a free seat.
    ///
    /// The other properties belong to the account. They can be changed only if the school made the account, and only while the student
    /// is active in a class of the caller into which the school or the caller put the student. A student who joined with a code was not
    /// put into the class. Nor was one who left the class and came back, or one whom an import put into it and who came back without
    /// an import.
    ///
    /// The answer shows the enrollment that `status` applies to. If there are several, it shows the one that was created last.
    #[oai(path = "/students/:studentId", method = "put", operation_id = "updateStudent")]
    async fn update_student(
        &self,
        caller: Caller,
        /// The student ID
        #[oai(name = "studentId")]
        student_id: Path<StudentPath>,
        body: Json<UpdateStudentRequest>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<UpdateStudent> {
        let (student, change) = (student_id.known()?, body.0.into());
        let student = services.classroom.rosters.update(student, caller.user, change, at.0).await?;
        Ok(Success::response(student))
    }
}

/// The new value of a property.
fn value<T>(property: MaybeUndefined<T>) -> ActiveValue<Option<T>>
where
    Option<T>: Into<sea_orm::Value>,
{
    match property {
        MaybeUndefined::Undefined => ActiveValue::NotSet,
        MaybeUndefined::Null => ActiveValue::Set(None),
        MaybeUndefined::Value(value) => ActiveValue::Set(Some(value)),
    }
}

impl Operation for UpdateStudent {
    type Body = Success<Student>;
    type Code = ErrorCode;
    const ID: &'static str = "updateStudent";
    const SUCCESS: (u16, &'static str) = (200, "Student updated");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request("firstName must have at least 1 characters"),
        error::UNAUTHORIZED,
        OWN_PROFILE,
        ErrorSpec { description: "Student not found", ..error::STUDENT_NOT_FOUND },
        error::CLASS_FULL,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn request_example() -> Option<Value> {
        Some(json!({ "firstName": "Minh", "lastName": "Trần", "avatarUrl": null }))
    }

    fn success_example() -> Value {
        json!({ "success": true, "code": 200, "message": Self::SUCCESS.1, "data": student::example() })
    }
}

/// The caller has no power over the account.
const OWN_PROFILE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - The school did not make this account, or the student joined with a code or is not active",
    code: ErrorCode::NotSchoolAccount,
    message: "The school did not make this account, or the student joined with a code or is not active",
};

impl From<UpdateError> for ApiError<ErrorCode> {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::NoSuchStudent => Self::documented(error::STUDENT_NOT_FOUND),
            UpdateError::NotSchoolAccount => Self::documented(OWN_PROFILE),
            UpdateError::ClassFull => Self::documented(error::CLASS_FULL),
            UpdateError::ClassInactive => Self::documented(error::CLASS_INACTIVE),
            UpdateError::Database(error) => error.into(),
        }
    }
}
