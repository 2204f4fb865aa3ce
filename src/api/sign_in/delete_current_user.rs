//! `DELETE /api/v1/users/me`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use serde_json::Value;

use super::{
    error::{self, ErrorCode},
    types::List,
    user::{self, User},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    http::{
        api_error::ApiError,
        bearer::Challenge,
        client_address::ClientAddress,
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
    },
    identity::own_account::DeleteError,
};

/// `DELETE /api/v1/users/me`
#[derive(Default)]
pub struct DeleteCurrentUser;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl DeleteCurrentUser {
    /// Delete the signed-in user
    ///
    /// Deletes the account with all personal data immediately: the profile, the sessions, the enrollments, and the classes that the
    /// user owns. It cannot be undone. Before, an operator can give the classes to another user. A mail confirms the deletion.
    /// An account that the school made is deleted by the school alone.
    #[oai(path = "/users/me", method = "delete", operation_id = "deleteCurrentUser")]
    async fn delete_current_user(
        &self,
        caller: Caller,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<DeleteCurrentUser> {
        let owner = caller.owner(address.0);
        Ok(List::response(services.identity.own_account.delete(owner, at.0).await?))
    }
}

impl Operation for DeleteCurrentUser {
    type Body = List<User>;
    type Code = ErrorCode;
    const ID: &'static str = "deleteCurrentUser";
    const SUCCESS: (u16, &'static str) = (200, "The user, who is deleted");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[error::UNAUTHORIZED, FORBIDDEN, error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn success_example() -> Value {
        user::example("user@example.com", true)
    }
}

/// The school made the account, or the app of the access token is disabled.
const FORBIDDEN: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 403,
    description: "App Is Disabled - An operator disabled the app of the access token; or Account Belongs To The School - \
                  The school made the account",
    code: ErrorCode::Forbidden,
    message: error::APP_DISABLED.message,
};

impl From<DeleteError> for ApiError<ErrorCode> {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::SchoolAccount => {
                Self::documented(ErrorSpec { message: "Account Belongs To The School", ..FORBIDDEN })
            }
            DeleteError::Gone => Self::unauthorized(Challenge::InvalidToken),
            DeleteError::Database(error) => error.into(),
        }
    }
}
