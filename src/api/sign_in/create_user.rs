//! `POST /api/v1/users`

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Query},
    types::{ParseError, ParseFromParameter, ParseResult},
};
use serde_json::{Map, Value, json};

use super::{
    create_code::OriginHeader,
    error::{self, ErrorCode},
    request_origin::request_origin,
    types::{EXAMPLE_APP, List},
    user::{self, User, confirmation_violation},
};
use crate::{
    api::{Services, openapi::Tag, person::RequestedLanguage},
    domain::{email::Email, id::AppId, password::Password, person::PhoneNumber},
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::text,
        validation::Violation,
    },
    identity::registration::{RegisterError, RegisterRequest},
};

/// A request to register.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CreateUserRequest {
    /// The app to register in. Required unless the `Origin` header names the app by one of its login domains.
    app_uuid: Option<AppId>,
    /// The e-mail address, `local@domain`. The local part is ASCII, and its case does not matter. The domain is compared in its
    /// ASCII form (UTS 46).
    email: Email,
    /// The password. It must have at least 15 characters, unless the operator sets another minimum, and must be neither common nor
    /// easy to guess.
    #[oai(write_only)]
    password: Password,
    /// The password again.
    #[oai(write_only)]
    #[expect(dead_code, reason = "compared before the body is parsed")]
    password_confirmation: Password,
    /// Whether the person accepts the terms and conditions. It must be `true`.
    accepted_terms_and_conditions: bool,
    /// Whether the person accepts the processing of personal data. It must be `true`.
    accepted_data_privacy: bool,
    /// Whether the person accepts the app's current privacy policy. `true` is recorded once the e-mail address is
    /// confirmed.
    #[oai(default)]
    accept_privacy_policy: bool,
    /// The phone number: digits, blanks and `+ - / ( ) .`, with at least three digits.
    phone_number: Option<PhoneNumber>,
    /// Accepted for clients that send it, and not used.
    referrer: Option<Referrer>,
}

impl JsonBody for CreateUserRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        let refused = |name: &str| members.get(name) == Some(&Value::Bool(false));
        let terms =
            ["acceptedTermsAndConditions", "acceptedDataPrivacy"].into_iter().filter(|name| refused(name));
        let terms =
            terms.map(|name| Violation { property: name.to_owned(), rule: "must be true".to_owned() });
        confirmation_violation(members).into_iter().chain(terms).collect()
    }
}

/// The kind of the mail that a registration sends. There is one kind, so that the value is not used.
#[derive(Debug)]
struct MailKind;

/// The page from which a person registers, as clients of the source's API may send it.
#[derive(Debug)]
struct Referrer(String);

text!(Referrer, "Referrer", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 2048,
    pattern: r"^[^\x00-\x1F\x7F]*$".into(),
    example: "https://app.example.com/register".into(),
} shown |referrer: &Self| &referrer.0);

/// `POST /api/v1/users`
#[derive(Default)]
pub struct CreateUser;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl CreateUser {
    /// Register
    ///
    /// Mails a link that confirms the e-mail address, if the app is open for registration. The link leads to the account page of the
    /// app, with the parameters `action=confirm` and `confirmHash`. That page sends `PUT /api/v1/user-confirm-hashes/{hash}`, which
    /// creates the account. If the app has no account page, the mail contains the secret instead of a link. The link is valid for 24
    /// hours.
    ///
    /// An e-mail address that has an account already gets the same response, with an id that no account has. The mail tells its
    /// owner. An e-mail address gets at most five mails of `createUser` and `updateUser` together in an hour. Further ones are not
    /// sent, and the response is the same.
    #[oai(path = "/users", method = "post", operation_id = "createUser")]
    #[expect(clippy::too_many_arguments, reason = "the parameters of the documented operation")]
    async fn create_user(
        &self,
        /// The language of the mail and of the account, as a language tag. Other languages than English, German and Vietnamese get
        /// English.
        language: Query<RequestedLanguage>,
        /// The kind of the mail: `confirmation`.
        #[oai(name = "type")]
        _kind: Query<Option<MailKind>>,
        /// Used for custom-domain lookup: without `appUuid`, it selects the app that has this login domain. With
        /// `appUuid`, a page that belongs neither to that app nor to this server is refused. An empty value counts as absent.
        #[oai(name = "Origin")]
        _origin: Header<Option<OriginHeader>>,
        body: Json<CreateUserRequest>,
        request: &Request,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<CreateUser> {
        let CreateUserRequest {
            app_uuid,
            email,
            password,
            password_confirmation: _,
            accepted_terms_and_conditions: _,
            accepted_data_privacy: _,
            accept_privacy_policy,
            phone_number,
            referrer: _,
        } = body.0;
        let registration = RegisterRequest {
            app: app_uuid,
            origin: request_origin(request, &services.public_url),
            email,
            password,
            phone_number,
            language: language.0.0,
            accept_privacy_policy,
            address: address.0,
        };
        Ok(List::response(services.identity.registrations.register(registration, at.0).await?))
    }
}

impl Operation for CreateUser {
    type Body = List<User>;
    type Code = ErrorCode;
    const ID: &'static str = "createUser";
    const SUCCESS: (u16, &'static str) = (201, "The future user, whose e-mail address is not confirmed");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request(CLOSED),
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn request_example() -> Option<Value> {
        Some(json!({
            "appUuid": EXAMPLE_APP,
            "email": "new.user@example.com",
            "password": "violet-Kayak-39-lantern",
            "passwordConfirmation": "violet-Kayak-39-lantern",
            "acceptedTermsAndConditions": true,
            "acceptedDataPrivacy": true,
            "acceptPrivacyPolicy": false,
        }))
    }

    fn success_example() -> Value {
        user::example("new.user@example.com", false)
    }
}

/// The app is not open for registration.
const CLOSED: &str = "The app is not open for registration";

impl From<RegisterError> for ApiError<ErrorCode> {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::App(error) => error.into(),
            RegisterError::Closed => Self::documented(error::bad_request(CLOSED)),
            RegisterError::DomainNotAllowed => Self::documented(error::bad_request(
                "email has a mail domain that may not register in the app",
            )),
            RegisterError::Weak(weakness) => user::weak_password("password", &weakness),
            RegisterError::Limit(error) => error.into(),
            RegisterError::Hash(error) => error.into(),
            RegisterError::Database(error) => error.into(),
        }
    }
}

text!(MailKind, "MailKind", |_: &str| Ok::<_, &str>(Self), {
    max_length: 12,
    pattern: "^confirmation$".into(),
    example: "confirmation".into(),
});

impl ParseFromParameter for MailKind {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        if text == "confirmation" { Ok(Self) } else { Err(ParseError::custom("must be confirmation")) }
    }
}
