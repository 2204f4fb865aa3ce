//! `PUT /api/v1/user-confirm-hashes/{hash}`

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
};
use serde_json::{Value, json};

use super::{
    create_code::OriginHeader,
    error::{self, ErrorCode},
    request_origin::request_origin,
    types::{EXAMPLE_APP, List},
    user::{self, LINK_REFUSED, User},
};
use crate::{
    api::{Services, openapi::Tag, person::ConfirmHashPath},
    domain::{id::AppId, secret_token::ConfirmHash},
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
    },
    identity::registration::{ConfirmError, ConfirmRequest},
};

/// A request to confirm an e-mail address.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ConfirmUserRequest {
    /// The app of the registration. Required unless the `Origin` header names the app by one of its login domains.
    app_uuid: Option<AppId>,
}

impl JsonBody for ConfirmUserRequest {}

/// `PUT /api/v1/user-confirm-hashes/{hash}`
#[derive(Default)]
pub struct ConfirmUser;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl ConfirmUser {
    /// Confirm the e-mail address of a registration
    ///
    /// Creates the account, with the password of the registration that sent the link. The user can sign in from then on. A link
    /// is used once.
    #[oai(path = "/user-confirm-hashes/:hash", method = "put", operation_id = "confirmUser")]
    #[expect(clippy::too_many_arguments, reason = "the parameters of the documented operation")]
    async fn confirm_user(
        &self,
        /// The secret in the link of the mail: the value of its parameter `confirmHash`.
        hash: Path<ConfirmHashPath>,
        /// Used for custom-domain lookup, as in `POST /api/v1/users`.
        #[oai(name = "Origin")]
        _origin: Header<Option<OriginHeader>>,
        body: Json<ConfirmUserRequest>,
        request: &Request,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<ConfirmUser> {
        let confirmation = ConfirmRequest {
            app: body.0.app_uuid,
            origin: request_origin(request, &services.public_url),
            hash: ConfirmHash::presented(&hash.0.0),
            address: address.0,
        };
        Ok(List::response(services.identity.registrations.confirm(confirmation, at.0).await?))
    }
}

impl Operation for ConfirmUser {
    type Body = List<User>;
    type Code = ErrorCode;
    const ID: &'static str = "confirmUser";
    const SUCCESS: (u16, &'static str) = (200, "The user, whose e-mail address is confirmed");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[error::bad_request(LINK_REFUSED), error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn request_example() -> Option<Value> {
        Some(json!({ "appUuid": EXAMPLE_APP }))
    }

    fn success_example() -> Value {
        user::example("new.user@example.com", true)
    }
}

impl From<ConfirmError> for ApiError<ErrorCode> {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::App(error) => error.into(),
            ConfirmError::InvalidLink => Self::documented(error::bad_request(LINK_REFUSED)),
            ConfirmError::Database(error) => error.into(),
        }
    }
}
