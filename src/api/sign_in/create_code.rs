//! `POST /api/v1/codes`

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{Enum, Object, OpenApi, param::Header};
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    request_origin::request_origin,
    types::{EXAMPLE_APP, EXAMPLE_CODE, EXAMPLE_REDIRECT_URI, List, RequestedUri, state_violation},
    user,
};
use crate::{
    api::{Services, openapi::Tag},
    domain::{
        email::Email, id::AppId, password::Password, pkce::CodeChallenge, redirect_uri::RedirectUri,
        state::State,
    },
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        constant_types::Item,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::{parameter, text},
        validation::Violation,
    },
    identity::{
        apps::ResolveError,
        sign_in::{NewPasswordError, SignInError, SignInRequest},
    },
};

parameter!(
    /// The value of an `Origin` header.
    OriginHeader, { max_length: RedirectUri::MAX, example: "https://app.example.com".into() }
);

/// A request to sign in.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CreateCodeRequest {
    /// The app to sign in to. Required unless the `Origin` header names the app by one of its login domains.
    app_uuid: Option<AppId>,
    /// The user's e-mail address, `local@domain`. The local part is ASCII, and its case does not matter. The domain is compared
    /// in its ASCII form (UTS 46).
    email: Email,
    /// The user's password. It is normalized to Unicode Normalization Form KC before its characters are counted and compared.
    #[oai(write_only)]
    password: Password,
    /// The password that replaces `password`. Required at the first sign-in with a password that the server generated for a student,
    /// unless the operator lets students keep it. Refused with any other password. It has the minimum length of
    /// `POST /api/v1/users`, and must be neither common nor easy to guess.
    #[oai(write_only)]
    new_password: Option<Password>,
    /// An opaque value of the client, without control characters. The redirect URL returns it, and the exchange must repeat it.
    state: State,
    /// Where to send the code: one of the app's registered redirect URIs. The match is exact, except for the port of a loopback
    /// address (RFC 8252 section 7.3).
    redirect_uri: RequestedUri,
    /// Whether the user accepts the app's current privacy policy. `true` is recorded. `false` is refused only if the app
    /// requires that policy and the user never accepted it.
    #[oai(default)]
    accept_privacy_policy: bool,
    /// The PKCE challenge (RFC 7636 section 4.2). With it, the exchange needs the matching `code_verifier`.
    code_challenge: Option<CodeChallenge>,
    /// The method of the challenge: `S256`, the SHA-256 digest in base64url. Required with `codeChallenge`, ignored without it.
    code_challenge_method: Option<CodeChallengeMethod>,
}

impl JsonBody for CreateCodeRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        let has = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
        let method = (has("codeChallenge") && !has("codeChallengeMethod")).then(|| Violation {
            property: "codeChallengeMethod".to_owned(),
            rule: "is required with codeChallenge".to_owned(),
        });
        state_violation(members).into_iter().chain(method).collect()
    }
}

/// The method of a PKCE challenge: `BASE64URL(SHA256(code_verifier))`. It has a pattern and no `enum`, because a nullable
/// `enum` of OpenAPI 3.0 would need `null` among its values.
#[derive(Debug)]
struct CodeChallengeMethod;

/// An authorization code on its way to the app.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct IssuedCode {
    /// The next action of the client.
    next_action: NextAction,
}

impl Item for IssuedCode {
    const KIND: &'static str = "codes";
}

impl From<RedirectUrl> for IssuedCode {
    fn from(url: RedirectUrl) -> Self {
        Self { next_action: NextAction { action: ActionKind::HttpRequest, url, method: Method::Get } }
    }
}

/// The next action: send the user's browser to a URL.
#[derive(Debug, Object)]
pub struct NextAction {
    /// The kind of the action.
    action: ActionKind,
    /// The redirect URI, continued with `code`, `state`, `client_id`, `redirect_uri`, `service` and `grant_type`, in this
    /// order.
    url: RedirectUrl,
    /// The HTTP method of the action.
    method: Method,
}

/// The kind of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "NextActionKind", rename_all = "camelCase")]
enum ActionKind {
    /// Send an HTTP request.
    HttpRequest,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "NextActionMethod", rename_all = "UPPERCASE")]
enum Method {
    /// GET.
    Get,
}

/// The redirect URL with the authorization code.
struct RedirectUrl(String);

impl std::fmt::Debug for RedirectUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedirectUrl(..)")
    }
}

/// `POST /api/v1/codes`
#[derive(Default)]
pub struct CreateCode;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::SignIn")]
impl CreateCode {
    /// Sign in with e-mail and password
    ///
    /// Creates a new codes resource: a single-use authorization code inside the URL that takes the user back to the app.
    /// `POST /api/v1/tokens` exchanges the code for tokens.
    ///
    /// This operation is for an app's own sign-in page. A third party must never ask a user for this password (RFC 9700
    /// section 2.4).
    ///
    /// An unknown address, a wrong password, and an account that is not confirmed or is disabled get the same response.
    ///
    /// If the message begins with `newPassword is required`, the sign-in page asks for a new password, and sends the request again with
    /// `newPassword`. Only a client that sends the right password gets this message.
    #[oai(path = "/codes", method = "post", operation_id = "createCode")]
    async fn create_code(
        &self,
        /// Used for custom-domain lookup in public app resolution: without `appUuid`, the app that owns this login domain
        /// is signed in to. With `appUuid`, a page that belongs neither to that app nor to this server is refused. An empty
        /// value counts as absent.
        #[oai(name = "Origin")]
        _origin: Header<Option<OriginHeader>>,
        body: Json<CreateCodeRequest>,
        request: &Request,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<CreateCode> {
        let CreateCodeRequest {
            app_uuid,
            email,
            password,
            new_password,
            state,
            redirect_uri,
            accept_privacy_policy,
            code_challenge,
            code_challenge_method: _,
        } = body.0;
        let sign_in = SignInRequest {
            app: app_uuid,
            origin: request_origin(request, &services.public_url),
            email,
            password,
            new_password,
            state,
            redirect_uri: redirect_uri.0,
            code_challenge,
            accept_privacy_policy,
            address: address.0,
        };
        let url = services.identity.sign_in.issue_code(sign_in, at.0).await?;
        Ok(List::response(RedirectUrl(url)))
    }
}

impl Operation for CreateCode {
    type Body = List<IssuedCode>;
    type Code = ErrorCode;
    const ID: &'static str = "createCode";
    const SUCCESS: (u16, &'static str) = (201, "The code, inside the URL to send the user to");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] = &[
        error::bad_request(WRONG_CREDENTIALS),
        error::TOO_MANY_REQUESTS,
        error::INTERNAL_SERVER_ERROR,
        error::SERVICE_UNAVAILABLE,
    ];

    fn request_example() -> Option<Value> {
        Some(json!({
            "appUuid": EXAMPLE_APP,
            "email": "user@example.com",
            "password": "VeryStrongPass123!",
            "state": "state-from-client",
            "redirectUri": EXAMPLE_REDIRECT_URI,
            "acceptPrivacyPolicy": false,
        }))
    }

    fn success_example() -> Value {
        json!({
            "kind": "codes",
            "totalItems": 1,
            "itemsLength": 1,
            "items": [{
                "nextAction": {
                    "action": "httpRequest",
                    "url": format!(
                        "{EXAMPLE_REDIRECT_URI}?code={EXAMPLE_CODE}&state=state-from-client\
                         &client_id=app_{EXAMPLE_APP}&redirect_uri={EXAMPLE_REDIRECT_URI}&service=email\
                         &grant_type=authorization_code"
                    ),
                    "method": "GET",
                },
            }],
        })
    }
}

/// The one message for every account that cannot sign in.
const WRONG_CREDENTIALS: &str = "The e-mail address or the password is wrong";

impl From<SignInError> for ApiError<ErrorCode> {
    fn from(error: SignInError) -> Self {
        let message = match error {
            SignInError::App(error) => return error.into(),
            SignInError::ChallengeMissing => "codeChallenge is required by the app",
            SignInError::RedirectUriUnregistered => "redirectUri is not registered for the app",
            SignInError::Credentials(_) => WRONG_CREDENTIALS,
            SignInError::ConsentMissing => {
                "acceptPrivacyPolicy must be true: the app demands its current privacy policy"
            }
            SignInError::NewPassword(error) => return error.into(),
            SignInError::Limit(error) => return error.into(),
            SignInError::Hash(error) => return error.into(),
            SignInError::Database(error) => return error.into(),
        };
        Self::documented(error::bad_request(message))
    }
}

impl From<NewPasswordError> for ApiError<ErrorCode> {
    fn from(error: NewPasswordError) -> Self {
        let message = match error {
            NewPasswordError::Missing => {
                "newPassword is required: this password must be changed at the first sign-in"
            }
            NewPasswordError::Unexpected => "newPassword is only for passwords that must be changed",
            NewPasswordError::Unchanged => "newPassword must differ from password",
            NewPasswordError::Weak(weakness) => return user::weak_password("newPassword", &weakness),
            NewPasswordError::Hash(error) => return error.into(),
        };
        Self::documented(error::bad_request(message))
    }
}

impl From<ResolveError> for ApiError<ErrorCode> {
    fn from(error: ResolveError) -> Self {
        let message = match error {
            ResolveError::NotNamed => "appUuid is required unless the Origin header names the app",
            ResolveError::Unknown => "appUuid is not the id of an enabled app",
            ResolveError::ForeignOrigin => "Origin does not belong to the app",
            ResolveError::Database(error) => return error.into(),
        };
        Self::documented(error::bad_request(message))
    }
}

text!(Email, "Email", Email::parse, {
    format: "email",
    min_length: Email::MIN,
    max_length: Email::MAX,
} shown Email::as_str);

text!(Password, "Password", Password::parse, {
    format: "password",
    min_length: 1,
    max_length: Password::MAX,
});

text!(CodeChallenge, "CodeChallenge", CodeChallenge::parse, {
    min_length: 43,
    max_length: 43,
    // The last of 43 characters carries four bits of 32 bytes. Its other two bits are zero.
    pattern: "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$".into(),
} shown CodeChallenge::as_str);

text!(CodeChallengeMethod, "CodeChallengeMethod", |_: &str| Ok::<_, &str>(Self), {
    max_length: 4,
    pattern: "^S256$".into(),
} shown |_: &Self| "S256");

// The URL holds the redirect URI twice, once with every byte escaped, a state of up to 1,024 characters, and the rest.
text!(RedirectUrl, "RedirectUrl", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    format: "uri",
    max_length: 4 * RedirectUri::MAX + 12 * State::MAX + 256,
} shown |url: &Self| &url.0);
