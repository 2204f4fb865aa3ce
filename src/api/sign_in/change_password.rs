//! `PUT /api/v1/users/me/password`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    types::Items,
    user::{self, User, confirmation_violation},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::password::Password,
    http::{
        api_error::ApiError,
        bearer::Challenge,
        client_address::ClientAddress,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        validation::Violation,
    },
    identity::own_account::ChangePasswordError,
};

/// A request to change the password of the signed-in user.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ChangePasswordRequest {
    /// The current password.
    #[oai(write_only)]
    current_password: Password,
    /// The new password. It has the minimum length of `POST /api/v1/users`, and must be neither common nor easy to guess.
    #[oai(write_only)]
    password: Password,
    /// The new password again.
    #[oai(write_only)]
    #[expect(dead_code, reason = "compared before the body is parsed")]
    password_confirmation: Password,
}

impl JsonBody for ChangePasswordRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        confirmation_violation(members).into_iter().collect()
    }
}

/// `PUT /api/v1/users/me/password`
#[derive(Default)]
pub struct ChangePassword;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl ChangePassword {
    /// Change the password of the signed-in user
    ///
    /// Ends all sessions of the user, also the one of the request: the user signs in again with the new password. A mail tells the user that the password was changed. A wrong current password counts as a
    /// failed sign-in.
    #[oai(path = "/users/me/password", method = "put", operation_id = "changePassword")]
    async fn change_password(
        &self,
        caller: Caller,
        body: Json<ChangePasswordRequest>,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<ChangePassword> {
        let ChangePasswordRequest { current_password, password, password_confirmation: _ } = body.0;
        let owner = caller.owner(address.0);
        services.identity.own_account.change_password(owner, current_password, password, at.0).await?;
        Ok(user::no_users())
    }
}

impl Operation for ChangePassword {
    type Body = Items<User>;
    type Code = ErrorCode;
    const ID: &'static str = "changePassword";
    const SUCCESS: (u16, &'static str) = (200, "The password is changed");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request(WRONG_PASSWORD),
        error::UNAUTHORIZED,
        error::APP_DISABLED,
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn request_example() -> Option<Value> {
        Some(json!({
            "currentPassword": "VeryStrongPass123!",
            "password": "violet-Kayak-39-lantern",
            "passwordConfirmation": "violet-Kayak-39-lantern",
        }))
    }

    fn success_example() -> Value {
        user::no_users_example()
    }
}

/// The current password is wrong.
const WRONG_PASSWORD: &str = "currentPassword is wrong";

impl From<ChangePasswordError> for ApiError<ErrorCode> {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::WrongPassword => Self::documented(error::bad_request(WRONG_PASSWORD)),
            ChangePasswordError::Weak(weakness) => user::weak_password("password", &weakness),
            ChangePasswordError::Limit(error) => error.into(),
            ChangePasswordError::Gone => Self::unauthorized(Challenge::InvalidToken),
            ChangePasswordError::Hash(error) => error.into(),
            ChangePasswordError::Database(error) => error.into(),
        }
    }
}
