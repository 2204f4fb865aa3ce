//! `POST /classes/{classId}/students/import`

use std::{sync::Arc, time::Duration};

use poem::{http::StatusCode, web::Data};
use poem_openapi::{Object, OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    bulk_create_student_accounts::TIME_LIMIT,
    error::{self, ErrorCode},
    student::{ShownPassword, ShownUserName},
    types::{ClassPath, EXAMPLE_STUDENT, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::rosters::RosterRow,
    csv_table::Faults,
    domain::{email::Email, id::UserId, person::PersonName},
    http::{
        api_error::ApiError,
        constant_types::Always,
        file_upload::FileUpload,
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
    },
    school::{
        ownership::OwnershipError,
        student_import::MAX_FILE,
        students::{AddError, Added, ImportError},
    },
};

/// The outcome of an import.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ImportResult {
    /// Always `true`: a file with a fault is refused as a whole.
    success: Always<true>,
    /// The number of new students.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "5000")))]
    students_created: Option<i32>,
    /// The outcome, for a person to read.
    #[oai(nullable, validator(max_length = 200))]
    message: Option<String>,
    /// The credentials of the students, in the order of the file. They are not shown again.
    #[oai(validator(max_items = 5000))]
    credentials: Vec<StudentCredential>,
    /// Always empty: a file with a fault is refused as a whole.
    #[oai(nullable, validator(max_items = 64))]
    errors: Option<Vec<String>>,
}

/// The credentials of a new student.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct StudentCredential {
    /// The student ID.
    student_id: UserId,
    /// The user name, with which the student signs in.
    username: ShownUserName,
    /// The one-time password.
    password: ShownPassword,
    /// Always null: the server keeps no e-mail address of the student.
    #[oai(nullable)]
    email: Option<Email>,
    /// The first and the last name.
    #[oai(nullable, validator(max_length = 201))]
    full_name: Option<String>,
}

impl From<Vec<Added>> for ImportResult {
    fn from(added: Vec<Added>) -> Self {
        let count = i32::try_from(added.len()).unwrap_or(i32::MAX);
        Self {
            success: Always,
            students_created: Some(count),
            message: Some(format!("{count} {} created", if count == 1 { "student" } else { "students" })),
            credentials: added.into_iter().map(StudentCredential::from).collect(),
            errors: Some(Vec::new()),
        }
    }
}

impl From<Added> for StudentCredential {
    fn from(Added { row: RosterRow { user, .. }, password }: Added) -> Self {
        let names = [&user.first_name, &user.last_name];
        let names: Vec<&str> = names.into_iter().flatten().map(PersonName::as_str).collect();
        Self {
            student_id: user.id,
            full_name: Some(names.join(" ")),
            username: ShownUserName(user.email),
            password: ShownPassword(password.password()),
            email: None,
        }
    }
}

/// `POST /classes/{classId}/students/import`
#[derive(Default)]
pub struct SubmitImport;

#[OpenApi(tag = "Tag::Students")]
impl SubmitImport {
    /// Import students into a class
    ///
    /// Makes accounts for the students in a CSV file, and puts them into the class. Only class owner can perform this action. The
    /// answer shows the user names and the passwords, this once.
    ///
    /// The first line of the file names the columns, in any order: `firstName` and `lastName`, and if you like `email` and
    /// `phoneNumber`. Case, blanks, `_` and `-` in these names do not matter. `email` is a wish for the user name, as in
    /// `createAndEnrollStudent`. The separator is a comma or a semicolon. The file is UTF-8, with or without a byte order mark. It
    /// has at most 5,000 students and 2,097,152 bytes. Lines without a value, such as `,,`, are skipped. Two equal lines are two
    /// students.
    ///
    /// Either all students are created or none: a file with a fault gets 400. The message names the first 64 faults with their
    /// line, and with their column if one cell has the fault. Of the others it names the lines, as far as there is room. A
    /// faulty file counts in the limit of requests, but an upload that is larger or is no form does not. Each password takes a few hundredths of a second, so allow two minutes for 5,000 students. If the connection
    /// ends before the answer, reload the roster before you send the file again.
    #[oai(path = "/classes/:classId/students/import", method = "post", operation_id = "submitImport")]
    async fn submit_import(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        file: FileUpload<MAX_FILE>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<SubmitImport> {
        let class = class_id.known()?;
        Ok(Success::response(services.school.students.import(class, caller.user, file.0, at.0).await?))
    }
}

impl Operation for SubmitImport {
    type Body = Success<ImportResult>;
    type Code = ErrorCode;
    const ID: &'static str = "submitImport";
    const SUCCESS: (u16, &'static str) = (200, "Students imported");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        INVALID_FILE,
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::CLASS_FULL,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const TIME_LIMIT: Duration = TIME_LIMIT;

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "success": true,
                "studentsCreated": 2,
                "message": "2 students created",
                "credentials": [
                    {
                        "studentId": EXAMPLE_STUDENT,
                        "username": "linh.nguyen@students.example",
                        "password": "apple-river-zebra-moon",
                        "email": null,
                        "fullName": "Linh Nguyễn",
                    },
                    {
                        "studentId": "019df262-4ec0-7000-8000-000000000004",
                        "username": "max.gross@students.example",
                        "password": "garden-seven-music-boat",
                        "email": null,
                        "fullName": "Max Groß",
                    },
                ],
                "errors": [],
            },
        })
    }
}

/// The file is no CSV of students.
const INVALID_FILE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 400,
    description: "Bad Request - The file is not a valid CSV of students, or the operator of the server has set no domain for students",
    code: ErrorCode::InvalidFile,
    message: "line 2, column 1 (firstName): must not be empty",
};

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can import students",
    code: ErrorCode::Forbidden,
    message: "Only class owner can import students",
};

/// The faults of a file.
fn invalid_file(faults: &Faults) -> ApiError<ErrorCode> {
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidFile, faults.message())
}

impl From<ImportError> for ApiError<ErrorCode> {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::File(faults) => invalid_file(&faults),
            ImportError::Unread => Self::internal(error),
            ImportError::Add(AddError::Class(OwnershipError::NotOwner)) => Self::documented(NOT_OWNER),
            ImportError::Add(error) => error.into(),
        }
    }
}
