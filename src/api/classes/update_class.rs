//! `PUT /classes/{classId}`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, types::MaybeUndefined};
use sea_orm::ActiveValue;
use serde_json::{Map, Value, json};

use super::{
    class::{self, Class, ETAG},
    error::{self, ErrorCode},
    types::{ClassPath, EXAMPLE_CLASS, EXAMPLE_JOIN_CODE, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    classroom::classes::{ChangeError, ClassChange},
    domain::{
        class_name::ClassName, class_settings::ClassSettings, description::ClassDescription,
        max_students::MaxStudents,
    },
    http::{
        api_error::ApiError,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult, ResponseHeader},
        parameters::IfMatchHeader,
        received_at::ReceivedAt,
        validation::Violation,
    },
};

/// A change of a class. A property that is absent stays as it is.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UpdateClassRequest {
    /// The name of the class: at least one character that is not blank, and no control character. `null`: unchanged.
    name: MaybeUndefined<ClassName>,
    /// The description of the class: no control character except line breaks. `null` removes it.
    description: MaybeUndefined<ClassDescription>,
    /// Settings of the client: an object of any form, of at most 8,192 bytes and 8 levels, without U+0000. They replace the
    /// present settings. `null` removes them.
    settings: MaybeUndefined<ClassSettings>,
    /// Whether the class is active. An inactive class admits no student and shows no join code. `null`: unchanged.
    is_active: MaybeUndefined<bool>,
    /// The maximum number of active students. A number below the present one removes no student. `null`: no limit.
    max_students: MaybeUndefined<MaxStudents>,
    /// Whether joining with a code needs the owner's approval. `null`: unchanged.
    requires_approval: MaybeUndefined<bool>,
}

impl JsonBody for UpdateClassRequest {
    const NULL_REMOVES: bool = true;

    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        class::violations(members)
    }
}

impl From<UpdateClassRequest> for ClassChange {
    fn from(request: UpdateClassRequest) -> Self {
        let UpdateClassRequest { name, description, settings, is_active, max_students, requires_approval } =
            request;
        Self {
            name: name.take(),
            description: value(description),
            settings: value(settings),
            is_active: is_active.take(),
            max_students: value(max_students),
            requires_approval: requires_approval.take(),
        }
    }
}

/// `PUT /classes/{classId}`
#[derive(Default)]
pub struct UpdateClass;

#[OpenApi(tag = "Tag::Classes")]
impl UpdateClass {
    /// Change a class
    ///
    /// Changes the given properties. Only class owner can perform this action. A property that is absent stays as it is. `null`
    /// removes `description`, `settings` and `maxStudents`; for the other properties it means that they stay as they are.
    ///
    /// With the `ETag` of an earlier response in `If-Match`, the change is made only if the class is still the same. A body that
    /// changes nothing keeps the `ETag` and `updatedAt`.
    #[oai(path = "/classes/:classId", method = "put", operation_id = "updateClass")]
    async fn update_class(
        &self,
        caller: Caller,
        /// The class ID
        #[oai(name = "classId")]
        class_id: Path<ClassPath>,
        /// The tags of the versions that may be changed, or `*` (RFC 9110 section 13.1.1). Absent: every version
        #[oai(name = "If-Match")]
        if_match: IfMatchHeader,
        body: Json<UpdateClassRequest>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<UpdateClass> {
        let (id, change) = (class_id.known()?, body.0.into());
        let class = services.classroom.classes.update(id, caller.user, change, if_match.0, at.0).await?;
        Ok(class::response(class))
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

impl Operation for UpdateClass {
    type Body = Success<Class>;
    type Code = ErrorCode;
    const ID: &'static str = "updateClass";
    const SUCCESS: (u16, &'static str) = (200, "Class updated");
    const HEADERS: &'static [ResponseHeader] = &[ETAG];
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request("name must have at least 1 characters"),
        error::UNAUTHORIZED,
        NOT_OWNER,
        error::CLASS_NOT_FOUND,
        error::PRECONDITION_FAILED,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn request_example() -> Option<Value> {
        Some(json!({
            "name": "10A1 Mathematics",
            "description": null,
            "maxStudents": 32,
            "requiresApproval": true,
        }))
    }

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "id": EXAMPLE_CLASS,
                "ownerId": "019df262-4ec0-7000-8000-000000000003",
                "name": "10A1 Mathematics",
                "description": null,
                "joinCode": EXAMPLE_JOIN_CODE,
                "settings": null,
                "isActive": true,
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
                "maxStudents": 32,
                "requiresApproval": true,
            },
        })
    }
}

/// The caller does not own the class.
const NOT_OWNER: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "Forbidden - Only class owner can change the class",
    code: ErrorCode::Forbidden,
    message: "Only class owner can change the class",
};

impl From<ChangeError> for ApiError<ErrorCode> {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoSuchClass => Self::documented(error::CLASS_NOT_FOUND),
            ChangeError::NotOwner => Self::documented(NOT_OWNER),
            ChangeError::Changed => Self::documented(error::PRECONDITION_FAILED),
            ChangeError::Database(error) => error.into(),
        }
    }
}
