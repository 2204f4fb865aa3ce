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
        client_address::ClientAddress,
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
    },
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
        &[error::UNAUTHORIZED, error::APP_DISABLED, error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn success_example() -> Value {
        user::example("user@example.com", true)
    }
}
