//! `GET /classes/{classId}/join-code`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path};
use serde_json::{Value, json};
use url::Url;

use super::{
    error::{self, ErrorCode},
    types::{ClassPath, EXAMPLE_JOIN_CODE, Instant, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::join_codes::{CodeView, ViewError},
    domain::join_code::JoinCode,
    http::{
        api_error::ApiError,
        operation::{ErrorSpec, Link, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::text,
    },
};

/// The current join code of a class.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CurrentJoinCode {
    /// The join code: 8 characters of Crockford's base 32 without `A` and `E`, unique among all classes.
    join_code: JoinCode,
    /// When the join code expires.
    expires_at: Instant,
    /// How many students joined with this code, including those who wait for the owner's approval.
    #[oai(validator(minimum(value = "0"), maximum(value = "2147483647")))]
    joins: i32,
    /// The page on which a student joins with this code, for links and QR codes. Null if the server's operator has set no page.
    #[oai(nullable)]
    join_url: Option<JoinUrl>,
}

/// The page on which a student joins.
#[derive(Debug)]
pub struct JoinUrl(Url);

text!(JoinUrl, "JoinUrl", |text: &str| Url::parse(text).map(Self), {
    format: "uri",
    max_length: 2048,
} shown |JoinUrl(url)| url.as_str());

impl From<CodeView> for CurrentJoinCode {
    fn from(CodeView { code, expires_at, joins, url }: CodeView) -> Self {
        Self { join_code: code, expires_at: Instant(expires_at), joins, join_url: url.map(JoinUrl) }
    }
}

/// `GET /classes/{classId}/join-code`
#[derive(Default)]
pub struct GetJoinCode;

#[OpenApi(tag = "Tag::Classes")]
impl GetJoinCode {
    /// See the join code of a class
    ///
    /// The current join code, and how many students joined with it. Only class owner can perform this action. A new code begins
    /// with 0 joins. While the class is inactive, the code is hidden: 404.
    #[oai(path = "/classes/:classId/join-code", method = "get", operation_id = "getJoinCode")]
    async fn get_join_code(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<GetJoinCode> {
        let view = services.classroom.join_codes.view(class_id.known()?, caller.user, at.0).await?;
        Ok(Success::response(view))
    }
}

impl Operation for GetJoinCode {
    type Body = Success<CurrentJoinCode>;
    type Code = ErrorCode;
    const ID: &'static str = "getJoinCode";
    const SUCCESS: (u16, &'static str) = (200, "Join code found");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        NOT_OWNER,
        NO_JOIN_CODE,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];
    const LINKS: &'static [Link] = &[Link {
        to: "joinClassByCode",
        parameter: "joinCode",
        value: "$response.body#/data/joinCode",
        description: "A student joins the class with this code.",
    }];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "joinCode": EXAMPLE_JOIN_CODE,
                "expiresAt": "2026-05-11T09:42:00Z",
                "joins": 0,
                "joinUrl": null,
            },
        })
    }
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can see the join code",
    code: ErrorCode::Forbidden,
    message: "Only class owner can see the join code",
};

/// The class has no code with which students can join.
const NO_JOIN_CODE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 404,
    description: "Class not found, or it is inactive or has no valid join code",
    code: ErrorCode::JoinCodeNotFound,
    message: "The class has no valid join code",
};

impl From<ViewError> for ApiError<ErrorCode> {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            ViewError::NotOwner => Self::documented(NOT_OWNER),
            ViewError::NoJoinCode => Self::documented(NO_JOIN_CODE),
            ViewError::Database(error) => error.into(),
        }
    }
}
