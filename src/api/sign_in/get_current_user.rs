//! `GET /api/v1/users/me`

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
        operation::{ErrorSpec, Operation, OperationResult},
    },
    identity::own_account::OwnAccountError,
};

/// `GET /api/v1/users/me`
#[derive(Default)]
pub struct GetCurrentUser;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl GetCurrentUser {
    /// Read the signed-in user
    ///
    /// Returns the account of the access token's user. `GET /user/me` returns all properties of the profile.
    #[oai(path = "/users/me", method = "get", operation_id = "getCurrentUser")]
    async fn get_current_user(
        &self,
        caller: Caller,
        services: Data<&Arc<Services>>,
    ) -> OperationResult<GetCurrentUser> {
        Ok(List::response(services.identity.own_account.find(caller.user).await?))
    }
}

impl Operation for GetCurrentUser {
    type Body = List<User>;
    type Code = ErrorCode;
    const ID: &'static str = "getCurrentUser";
    const SUCCESS: (u16, &'static str) = (200, "The user");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[error::UNAUTHORIZED, error::APP_DISABLED, error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn success_example() -> Value {
        user::example("user@example.com", true)
    }
}

impl From<OwnAccountError> for ApiError<ErrorCode> {
    fn from(error: OwnAccountError) -> Self {
        match error {
            OwnAccountError::Gone => Self::unauthorized(Challenge::InvalidToken),
            OwnAccountError::Database(error) => error.into(),
        }
    }
}
