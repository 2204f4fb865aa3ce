//! `DELETE /api/v1/users/me/sessions/{sessionId}`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, param::Path};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    get_sessions::{self, EXAMPLE_SESSION, UserSession},
    types::List,
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::id::SessionId,
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::parameter,
    },
    identity::sessions::EndError,
};

parameter!(
    /// A session id in a path.
    SessionPath, { example: EXAMPLE_SESSION.into() }
);

impl SessionPath {
    /// The session id. Text that is not a UUID is the id of no session: 404.
    fn known(&self) -> Result<SessionId, EndError> {
        self.0.parse().map_err(|_| EndError::NotFound)
    }
}

/// `DELETE /api/v1/users/me/sessions/{sessionId}`
#[derive(Default)]
pub struct DeleteSession;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::SignIn")]
impl DeleteSession {
    /// End a session of the signed-in user
    ///
    /// Ends a session of the user in any app, for example on a lost device. Its refresh token is invalid from now on, and within
    /// five seconds its access tokens are too. The session of the access token can be ended like every other one.
    #[oai(path = "/users/me/sessions/:sessionId", method = "delete", operation_id = "deleteSession")]
    async fn delete_session(
        &self,
        caller: Caller,
        /// The session ID
        #[oai(name = "sessionId")]
        session_id: Path<SessionPath>,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<DeleteSession> {
        let sessions = &services.identity.sessions;
        let ended = sessions.end(caller.user, session_id.known()?, address.0, at.0).await?;
        Ok(List::response(UserSession::of(ended, caller.session)))
    }
}

impl Operation for DeleteSession {
    type Body = List<UserSession>;
    type Code = ErrorCode;
    const ID: &'static str = "deleteSession";
    const SUCCESS: (u16, &'static str) = (200, "The ended session");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::UNAUTHORIZED,
        error::APP_DISABLED,
        NO_SUCH_SESSION,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn success_example() -> Value {
        json!({ "kind": "sessions", "totalItems": 1, "itemsLength": 1, "items": [get_sessions::example()] })
    }
}

/// The user has no such session.
const NO_SUCH_SESSION: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 404,
    description: "Not Found - The user has no session with this ID, or it has ended",
    code: ErrorCode::NotFound,
    message: "There is no such session",
};

impl From<EndError> for ApiError<ErrorCode> {
    fn from(error: EndError) -> Self {
        match error {
            EndError::NotFound => Self::documented(NO_SUCH_SESSION),
            EndError::Database(error) => error.into(),
        }
    }
}
