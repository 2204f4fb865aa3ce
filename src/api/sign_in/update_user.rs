//! `PUT /api/v1/users`

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Query},
};
use serde_json::{Map, Value, json};

use super::{
    create_code::OriginHeader,
    error::{self, ErrorCode},
    request_origin::request_origin,
    types::{EXAMPLE_APP, Items},
    user::{self, LINK_REFUSED, User, confirmation_violation, has},
};
use crate::{
    api::{Services, openapi::Tag, person::RequestedLanguage},
    domain::{email::Email, id::AppId, password::Password, secret_token::ConfirmHash},
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        validation::Violation,
    },
    identity::password_reset::{LinkError, LinkRequest, ResetError, ResetRequest},
};

/// A request to reset a password: for a link, or with the link's secret and the new password.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UpdateUserRequest {
    /// The app. Required unless the `Origin` header names the app by one of its login domains.
    app_uuid: Option<AppId>,
    /// The e-mail address of the account. Required without `confirmHash`. With `confirmHash` it must be the one that the
    /// link was sent to.
    email: Option<Email>,
    /// The secret in the link of the mail: the value of its parameter `confirmHash`. Without it, the request asks for a link.
    #[oai(write_only)]
    confirm_hash: Option<ConfirmHash>,
    /// The new password. Required with `confirmHash`. The rules of `POST /api/v1/users` apply.
    #[oai(write_only)]
    password: Option<Password>,
    /// The new password again. Required with `confirmHash`.
    #[oai(write_only)]
    #[expect(dead_code, reason = "compared before the body is parsed")]
    password_confirmation: Option<Password>,
    /// Accepted for clients that send it, and not used.
    accept_privacy_policy: Option<bool>,
    /// Accepted for clients that send it, and not used.
    accepted_terms_and_conditions: Option<bool>,
    /// Accepted for clients that send it, and not used.
    accepted_data_privacy: Option<bool>,
}

impl JsonBody for UpdateUserRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        const OF_RESET: [&str; 3] = ["confirmHash", "password", "passwordConfirmation"];
        let (required, rule): (&[&str], _) = if OF_RESET.iter().any(|name| has(members, name)) {
            (&OF_RESET, "is required to set a new password")
        } else {
            (&["email"], "is required to ask for a link")
        };
        let missing = required.iter().filter(|name| !has(members, name));
        let missing = missing.map(|name| Violation { property: (*name).to_owned(), rule: rule.to_owned() });
        missing.chain(confirmation_violation(members)).collect()
    }
}

/// `PUT /api/v1/users`
#[derive(Default)]
pub struct UpdateUser;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl UpdateUser {
    /// Reset a password
    ///
    /// Without `confirmHash`, the request mails a link to the e-mail address, if it has an enabled account. The link leads to the
    /// account page of the app, with `action=reset` and `confirmHash`. It is valid for 30 minutes. The response is the same for every
    /// e-mail address. An e-mail address gets at most five mails of `createUser` and `updateUser` together in an hour. Further ones
    /// are not sent, and the response is the same.
    ///
    /// With `confirmHash`, `password` and `passwordConfirmation`, the request sets the new password. It confirms the e-mail address
    /// and ends all sessions of the user. A link is used once.
    #[oai(path = "/users", method = "put", operation_id = "updateUser")]
    #[expect(clippy::too_many_arguments, reason = "the parameters of the documented operation")]
    async fn update_user(
        &self,
        /// The language of the mail, as a language tag. Other languages than English, German and Vietnamese get English.
        language: Query<RequestedLanguage>,
        /// Used for custom-domain lookup, as in `POST /api/v1/users`.
        #[oai(name = "Origin")]
        _origin: Header<Option<OriginHeader>>,
        body: Json<UpdateUserRequest>,
        request: &Request,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<UpdateUser> {
        let (origin, language) = (request_origin(request, &services.public_url), language.0.0);
        let UpdateUserRequest { app_uuid: app, email, confirm_hash, password, .. } = body.0;
        let (resets, address) = (&services.identity.password_resets, address.0);
        match (confirm_hash, password, email) {
            (Some(hash), Some(password), email) => {
                let reset = ResetRequest { app, origin, email, hash, password, language, address };
                resets.reset(reset, at.0).await?;
            }
            (_, _, Some(email)) => {
                resets.send_link(LinkRequest { app, origin, email, language, address }, at.0).await?;
            }
            // The validation of the body excludes it.
            (_, _, None) => return Err(ApiError::documented(error::bad_request(EMAIL_REQUIRED)).into()),
        }
        Ok(user::no_users())
    }
}

impl Operation for UpdateUser {
    type Body = Items<User>;
    type Code = ErrorCode;
    const ID: &'static str = "updateUser";
    const SUCCESS: (u16, &'static str) =
        (200, "The request for a link is accepted, or the new password is set; the list is empty");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request(LINK_REFUSED),
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn request_example() -> Option<Value> {
        Some(json!({ "appUuid": EXAMPLE_APP, "email": "user@example.com", "acceptPrivacyPolicy": false }))
    }

    fn success_example() -> Value {
        user::no_users_example()
    }
}

/// The request names no address.
const EMAIL_REQUIRED: &str = "email is required to ask for a link";

impl From<LinkError> for ApiError<ErrorCode> {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::App(error) => error.into(),
            LinkError::Limit(error) => error.into(),
            LinkError::Database(error) => error.into(),
        }
    }
}

impl From<ResetError> for ApiError<ErrorCode> {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::App(error) => error.into(),
            ResetError::InvalidLink => Self::documented(error::bad_request(LINK_REFUSED)),
            ResetError::Weak(weakness) => user::weak_password("password", &weakness),
            ResetError::Hash(error) => error.into(),
            ResetError::Database(error) => error.into(),
        }
    }
}
