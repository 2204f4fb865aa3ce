//! The operations of the classroom family: a table of contents. Each handler extracts, calls and converts.

use std::sync::Arc;

use poem_openapi::{OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    types::{Class, Enrollment, JoinCode, Success},
};
use crate::{
    api::openapi::{AccessToken, Tag},
    classroom::Classroom,
    domain::id::ClassId,
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        middleware::ReceivedAt,
        operation::{ErrorSpec, Examples, Operation, OperationError, OperationResponse},
    },
    identity::{Identity, tokens::Bearer},
};

/// The handlers, with the rooms they call.
pub struct Classes {
    classroom: Arc<Classroom>,
    identity: Arc<Identity>,
}

impl Classes {
    /// Opens the family's operations on these rooms.
    pub fn new(classroom: Arc<Classroom>, identity: Arc<Identity>) -> Self {
        Self { classroom, identity }
    }

    async fn bearer(&self, token: &AccessToken, at: ReceivedAt) -> Result<Bearer, ApiError<ErrorCode>> {
        Ok(self.identity.tokens.bearer(&token.0.token, at.0).await?)
    }

    /// The examples of every operation of this family.
    pub fn examples() -> Vec<Examples> {
        vec![
            Examples::of::<GenerateJoinCode>(),
            Examples::of::<JoinClassByCode>(),
            Examples::of::<GetClassById>(),
        ]
    }
}

#[OpenApi(tag = "Tag::Classes")]
impl Classes {
    /// Generate or regenerate the join code of a class
    ///
    /// Generates or regenerates a unique join code for the class. Only class owner can perform this action.
    ///
    /// The new code takes the place of the one before: once it was answered, nobody gets in with the old one. A body
    /// is not read. `/api/classes/{classId}/join-code` is answered too, for clients whose base ends in `/api`; the same
    /// holds for every path under `/classes`.
    #[oai(path = "/classes/:classId/join-code", method = "post", operation_id = "generateJoinCode")]
    async fn generate_join_code(
        &self,
        token: AccessToken,
        /// The class ID
        #[oai(name = "classId", example = "example_class")]
        class_id: Path<String>,
        at: ReceivedAt,
    ) -> Result<OperationResponse<GenerateJoinCode>, OperationError<GenerateJoinCode>> {
        let bearer = self.bearer(&token, at).await?;
        let class = class(&class_id)?;
        let generated =
            self.classroom.join_codes.generate(class, bearer.user, at.0).await.map_err(ApiError::from)?;
        Ok(OperationResponse(Success::new(GenerateJoinCode::SUCCESS, generated)))
    }

    /// Join a class by its join code
    ///
    /// Enrols the bearer in the class that the code admits to. The code is taken as a person types it: case, blanks, dashes
    /// and invisible characters do not count, full-width characters are read as ASCII, `O` as `0`, `I` and `L` as `1`.
    #[oai(path = "/classes/join/:joinCode", method = "post", operation_id = "joinClassByCode")]
    async fn join_class_by_code(
        &self,
        token: AccessToken,
        /// The join code, as a person types it
        #[oai(name = "joinCode", example = "example_join_code")]
        join_code: Path<String>,
        address: ClientAddress,
        at: ReceivedAt,
    ) -> Result<OperationResponse<JoinClassByCode>, OperationError<JoinClassByCode>> {
        let bearer = self.bearer(&token, at).await?;
        let joined = self.classroom.enrollments.join(&join_code, bearer.user, address.0, at.0).await;
        let enrollment = joined.map_err(ApiError::from)?;
        Ok(OperationResponse(Success::new(JoinClassByCode::SUCCESS, enrollment)))
    }

    /// Read a class
    ///
    /// Its owner and the students enrolled in it may. The owner sees the join code that admits to it now.
    #[oai(path = "/classes/:classId", method = "get", operation_id = "getClassById")]
    async fn get_class_by_id(
        &self,
        token: AccessToken,
        /// The class ID
        #[oai(name = "classId", example = "example_class")]
        class_id: Path<String>,
        at: ReceivedAt,
    ) -> Result<OperationResponse<GetClassById>, OperationError<GetClassById>> {
        let bearer = self.bearer(&token, at).await?;
        let class = class(&class_id)?;
        let class = self.classroom.classes.read(class, bearer.user, at.0).await.map_err(ApiError::from)?;
        Ok(OperationResponse(Success::new(GetClassById::SUCCESS, class)))
    }
}

/// The class id in a path. Text that is not a UUID is the id of no class: 404.
fn class(id: &str) -> Result<ClassId, ApiError<ErrorCode>> {
    id.parse().map_err(|_| ApiError::documented(error::CLASS_NOT_FOUND))
}

fn example_class() -> String {
    "22222222-2222-2222-2222-222222222222".to_owned()
}

fn example_join_code() -> String {
    "7KQ2M9XD".to_owned()
}

/// `POST /classes/{classId}/join-code`
pub struct GenerateJoinCode;

impl Operation for GenerateJoinCode {
    type Body = Success<JoinCode>;
    type Code = ErrorCode;
    const ID: &'static str = "generateJoinCode";
    const SUCCESS: (u16, &'static str) = (200, "Join code generated successfully");
    const FAILURES: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        error::NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn success() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": { "joinCode": example_join_code(), "expiresAt": "2026-05-11T09:42:00Z" },
        })
    }
}

/// `POST /classes/join/{joinCode}`
pub struct JoinClassByCode;

impl Operation for JoinClassByCode {
    type Body = Success<Enrollment>;
    type Code = ErrorCode;
    const ID: &'static str = "joinClassByCode";
    const SUCCESS: (u16, &'static str) = (201, "Joined the class successfully");
    const FAILURES: &'static [ErrorSpec<ErrorCode>] = &[
        error::INVALID_JOIN_CODE,
        error::UNAUTHORIZED,
        error::ALREADY_ENROLLED,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn success() -> Value {
        json!({
            "success": true,
            "code": 201,
            "message": Self::SUCCESS.1,
            "data": {
                "id": "019df262-4ec0-7000-8000-000000000001",
                "classId": example_class(),
                "studentId": "019df262-4ec0-7000-8000-000000000002",
                "enrolledAt": "2026-05-04",
                "status": "active",
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
            },
        })
    }
}

/// `GET /classes/{classId}`
pub struct GetClassById;

impl Operation for GetClassById {
    type Body = Success<Class>;
    type Code = ErrorCode;
    const ID: &'static str = "getClassById";
    const SUCCESS: (u16, &'static str) = (200, "Class found");
    const FAILURES: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        error::NOT_MEMBER,
        error::CLASS_NOT_FOUND,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn success() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "id": example_class(),
                "ownerId": "019df262-4ec0-7000-8000-000000000003",
                "name": "10A1",
                "description": null,
                "joinCode": example_join_code(),
                "settings": null,
                "isActive": true,
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
            },
        })
    }
}
