//! `POST /classes/{classId}/students`

use std::sync::Arc;

use poem::{http::StatusCode, web::Data};
use poem_openapi::{Object, OpenApi, param::Path};
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    student::{self, Student},
    types::{ClassPath, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::{
        email::Email,
        person::{AvatarUrl, PersonName, PhoneNumber},
        retry_after::RetryAfter,
    },
    http::{
        api_error::ApiError,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Link, Operation, OperationResult},
        received_at::ReceivedAt,
        validation::Violation,
    },
    school::{
        credentials::MakeError,
        ownership::OwnershipError,
        students::{AddError, Added, NewStudent},
    },
};

/// A student to add to a class.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CreateStudentRequest {
    /// The first name: at least one character that is not blank, and no control character.
    first_name: PersonName,
    /// The last name: at least one character that is not blank, and no control character.
    last_name: PersonName,
    /// An e-mail address. The server proposes its part before the `@` as the user name. It stores no other part, and sends no mail.
    /// Absent: the user name is made from the names.
    email: Option<Email>,
    /// The phone number: digits, blanks and `+ - / ( ) .`, with at least three digits.
    phone_number: Option<PhoneNumber>,
    /// The URL of a picture, with the scheme `https`. The server never requests it.
    avatar_url: Option<AvatarUrl>,
}

impl JsonBody for CreateStudentRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        let violations = [
            Violation::of(members, "firstName", PersonName::parse),
            Violation::of(members, "lastName", PersonName::parse),
            Violation::of(members, "email", Email::parse),
            Violation::of(members, "phoneNumber", PhoneNumber::parse),
            Violation::of(members, "avatarUrl", AvatarUrl::parse),
        ];
        violations.into_iter().flatten().collect()
    }
}

impl From<CreateStudentRequest> for NewStudent {
    fn from(request: CreateStudentRequest) -> Self {
        let CreateStudentRequest { first_name, last_name, email, phone_number, avatar_url } = request;
        Self { first_name, last_name, wish: email, phone_number, avatar_url }
    }
}

impl From<Added> for Student {
    fn from(Added { row, password }: Added) -> Self {
        let user_name = row.user.email.clone();
        Self::from(row).with_credentials(user_name, password.password())
    }
}

/// `POST /classes/{classId}/students`
#[derive(Default)]
pub struct CreateAndEnrollStudent;

#[OpenApi(tag = "Tag::Students")]
impl CreateAndEnrollStudent {
    /// Create a student and enroll them in a class
    ///
    /// Creates an account for a student without an e-mail address, and enrolls the student in the class. Only class owner can perform
    /// this action.
    ///
    /// The answer shows the user name and the password, this once. The student signs in with the user name as `email`. It is the
    /// name of the student in the domain that the operator of the server chose, with a number if it is taken. The operator decides
    /// whether the student must choose another password at the first sign-in.
    #[oai(path = "/classes/:classId/students", method = "post", operation_id = "createAndEnrollStudent")]
    async fn create_and_enroll_student(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        body: Json<CreateStudentRequest>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<CreateAndEnrollStudent> {
        let (class, student) = (class_id.known()?, body.0.into());
        Ok(Success::response(services.school.students.add(class, caller.user, student, at.0).await?))
    }
}

impl Operation for CreateAndEnrollStudent {
    type Body = Success<Student>;
    type Code = ErrorCode;
    const ID: &'static str = "createAndEnrollStudent";
    const SUCCESS: (u16, &'static str) = (200, "Student created and enrolled");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        ErrorSpec {
            description: "Bad Request - The request is not valid, or the operator of the server has set no domain for students",
            ..error::bad_request("firstName is required; lastName is required")
        },
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::CLASS_FULL,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[
        Link {
            to: "updateStudent",
            parameter: "studentId",
            value: "$response.body#/data/id",
            description: "The owner changes the student.",
        },
        Link {
            to: "removeStudentFromClass",
            parameter: "studentId",
            value: "$response.body#/data/id",
            description: "The owner removes the student from the class.",
        },
    ];

    fn request_example() -> Option<Value> {
        Some(json!({
            "firstName": "Linh",
            "lastName": "Nguyễn",
            "email": null,
            "phoneNumber": "+84 24 1234 567",
            "avatarUrl": "https://pictures.example.com/linh.png",
        }))
    }

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": student::example_with_password("apple-river-zebra-moon"),
        })
    }
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can add students",
    code: ErrorCode::Forbidden,
    message: "Only class owner can add students",
};

/// The wait that is proposed if other requests take the user names.
const AT_ONCE: RetryAfter = RetryAfter::MIN;

impl From<AddError> for ApiError<ErrorCode> {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Disabled | AddError::Credentials(MakeError::NoDomain) => Self::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::StudentAccountsDisabled,
                "This server makes no student accounts: its operator has not set a student domain",
            ),
            AddError::Class(OwnershipError::NoSuchClass) => Self::documented(error::CLASS_NOT_FOUND),
            AddError::Class(OwnershipError::NotOwner) => Self::documented(NOT_OWNER),
            AddError::Limit(error) => error.into(),
            AddError::Inactive => Self::documented(error::CLASS_INACTIVE),
            AddError::Full => Self::documented(error::CLASS_FULL),
            AddError::Busy(busy) => Self::unavailable(busy.0, None),
            AddError::NamesTaken => Self::unavailable(AT_ONCE, Some(error.into())),
            AddError::Credentials(MakeError::Hash(error)) => error.into(),
            AddError::Credentials(MakeError::Domain(error)) => Self::internal(error),
            AddError::Class(OwnershipError::Database(error))
            | AddError::Credentials(MakeError::Database(error))
            | AddError::Database(error) => error.into(),
        }
    }
}
