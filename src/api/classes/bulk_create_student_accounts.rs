//! `POST /classes/{classId}/students/bulk-create-accounts`

use std::{sync::Arc, time::Duration};

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    student::{ShownPassword, ShownUserName},
    types::{ClassPath, EXAMPLE_STUDENT, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::id::UserId,
    http::{
        api_error::ApiError,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::text,
    },
    school::{
        ownership::OwnershipError,
        student_passwords::{AccountsError, FirstPassword, FirstPasswords, Refusal},
    },
};

/// The maximum time for a response: each password takes a hash.
pub(super) const TIME_LIMIT: Duration = Duration::from_mins(5);

/// The id of a student in the examples. This student is in no class.
const NO_STUDENT: &str = "44444444-4444-4444-4444-444444444444";

/// The students that get first passwords.
#[derive(Debug, Object)]
#[oai(rename = "BulkCreateStudentAccountsRequest", rename_all = "camelCase")]
pub struct BulkRequest {
    /// The student IDs.
    #[oai(validator(min_items = 1, max_items = 500, unique_items))]
    student_ids: Vec<StudentReference>,
}

impl JsonBody for BulkRequest {}

/// A student ID in a request. Text that is no ID is a failure of this student alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StudentReference(String);

text!(StudentReference, "StudentReference", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 64,
} shown |reference: &Self| &reference.0);

/// The outcome for several students.
#[derive(Debug, Object)]
#[oai(rename = "BulkCreateStudentAccountsResult", rename_all = "camelCase")]
pub struct BulkResult {
    /// The number of `createdAccounts`.
    #[oai(validator(minimum(value = "0"), maximum(value = "500")))]
    total_created: i32,
    /// The number of `failedAccounts`.
    #[oai(validator(minimum(value = "0"), maximum(value = "500")))]
    total_failed: i32,
    /// The students with a new password.
    #[oai(validator(max_items = 500))]
    created_accounts: Vec<CreatedAccount>,
    /// The students without one.
    #[oai(validator(max_items = 500))]
    failed_accounts: Vec<FailedAccount>,
}

/// A student with a first password.
#[derive(Debug, Object)]
#[oai(rename = "CreatedStudentAccount", rename_all = "camelCase")]
pub struct CreatedAccount {
    /// The student ID.
    student_id: UserId,
    /// The user name, with which the student signs in.
    username: ShownUserName,
    /// The one-time password. It is not shown again.
    temporary_password: ShownPassword,
}

/// A student without a first password.
#[derive(Debug, Object)]
#[oai(rename = "FailedStudentAccount", rename_all = "camelCase")]
pub struct FailedAccount {
    /// The student ID of the request.
    student_id: StudentReference,
    /// The reason: `not in this class`, `joined this class with a code`, `the school did not make this account`, `has a password already;
    /// reset it instead`, or `was not stored; try again`.
    #[oai(validator(max_length = 200))]
    reason: String,
}

impl From<FirstPasswords> for BulkResult {
    fn from(FirstPasswords { created, failed }: FirstPasswords) -> Self {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            total_created: number(created.len()),
            total_failed: number(failed.len()),
            created_accounts: created.into_iter().map(CreatedAccount::from).collect(),
            failed_accounts: failed.into_iter().map(FailedAccount::from).collect(),
        }
    }
}

impl From<FirstPassword> for CreatedAccount {
    fn from(FirstPassword { student, user_name, password }: FirstPassword) -> Self {
        Self {
            student_id: student,
            username: ShownUserName(user_name),
            temporary_password: ShownPassword(password.password()),
        }
    }
}

impl From<(String, Refusal)> for FailedAccount {
    fn from((student_id, reason): (String, Refusal)) -> Self {
        Self { student_id: StudentReference(student_id), reason: reason.to_string() }
    }
}

/// `POST /classes/{classId}/students/bulk-create-accounts`
#[derive(Default)]
pub struct BulkCreateStudentAccounts;

#[OpenApi(tag = "Tag::Students")]
impl BulkCreateStudentAccounts {
    /// Create passwords for several students
    ///
    /// Generates first passwords for imported accounts that have no password. Only class owner can perform this action. The
    /// response shows the user names and the passwords once.
    ///
    /// If one account gets no password, the others still do: `failedAccounts` names the reason. Each password takes a few
    /// hundredths of a second, so allow a minute for 500 students.
    #[oai(
        path = "/classes/:classId/students/bulk-create-accounts",
        method = "post",
        operation_id = "bulkCreateStudentAccounts"
    )]
    async fn bulk_create_student_accounts(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        body: Json<BulkRequest>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<BulkCreateStudentAccounts> {
        let class = class_id.known()?;
        let ids = body.0.student_ids.into_iter().map(|reference| reference.0).collect();
        Ok(Success::response(services.school.passwords.create(class, caller.user, ids, at.0).await?))
    }
}

impl Operation for BulkCreateStudentAccounts {
    type Body = Success<BulkResult>;
    type Code = ErrorCode;
    const ID: &'static str = "bulkCreateStudentAccounts";
    const SUCCESS: (u16, &'static str) = (200, "Student accounts created");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request("studentIds is required"),
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const TIME_LIMIT: Duration = TIME_LIMIT;

    fn request_example() -> Option<Value> {
        Some(json!({ "studentIds": [EXAMPLE_STUDENT, NO_STUDENT] }))
    }

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "totalCreated": 1,
                "totalFailed": 1,
                "createdAccounts": [{
                    "studentId": EXAMPLE_STUDENT,
                    "username": "linh.nguyen@students.example",
                    "temporaryPassword": "apple-river-zebra-moon",
                }],
                "failedAccounts": [{
                    "studentId": NO_STUDENT,
                    "reason": Refusal::NotInClass.to_string(),
                }],
            },
        })
    }
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can create accounts",
    code: ErrorCode::Forbidden,
    message: "Only class owner can create accounts",
};

impl From<AccountsError> for ApiError<ErrorCode> {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Class(OwnershipError::NoSuchClass) => Self::documented(error::CLASS_NOT_FOUND),
            AccountsError::Class(OwnershipError::NotOwner) => Self::documented(NOT_OWNER),
            AccountsError::Limit(error) => error.into(),
            AccountsError::Busy(busy) => Self::unavailable(busy.0, None),
            AccountsError::Hash(error) => error.into(),
            AccountsError::Class(OwnershipError::Database(error)) | AccountsError::Database(error) => {
                error.into()
            }
        }
    }
}
