//! The operations of the sign-in family: a table of contents. Each handler extracts, calls and converts.

use std::sync::Arc;

use poem::{Request, http::header};
use poem_openapi::{OpenApi, param::Header};
use serde_json::{Value, json};
use url::Url;

use super::{
    error::{CODE_REFUSED, CREDENTIALS_REFUSED, Code as ErrorCode},
    types::{Code, CreateCode, CreateToken, Items, Token},
};
use crate::{
    api::openapi::Tag,
    domain::origin::Origin,
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        json::Json,
        middleware::ReceivedAt,
        operation::{ErrorSpec, Examples, Operation, OperationError, OperationResponse},
    },
    identity::{Identity, apps::RequestOrigin, sign_in::SignInRequest, tokens::ExchangeRequest},
};

/// The handlers, with the room they call.
pub struct SignInOperations {
    identity: Arc<Identity>,
    public_url: Url,
}

impl SignInOperations {
    /// Opens the family's operations on this room, for a server that is known as `public_url`.
    pub fn new(identity: Arc<Identity>, public_url: Url) -> Self {
        Self { identity, public_url }
    }

    /// The examples of every operation of this family.
    pub fn examples() -> Vec<Examples> {
        vec![Examples::of::<CreateCodeOperation>(), Examples::of::<CreateTokenOperation>()]
    }

    /// The page that a request was sent from. An empty header counts as absent. Two origins, or one that cannot be read,
    /// are no page's.
    fn page(&self, request: &Request) -> RequestOrigin {
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let (origin, another) = (origins.next(), origins.next());
        let Some(origin) = origin else { return RequestOrigin::Absent };
        if origin.is_empty() && another.is_none() {
            return RequestOrigin::Absent;
        }
        let (Ok(text), None) = (origin.to_str(), another) else { return RequestOrigin::Opaque };
        let Ok(origin) = Origin::parse(text) else { return RequestOrigin::Opaque };
        let Ok(url) = Url::parse(text) else { return RequestOrigin::Opaque };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        // Which scheme a proxy in front of us spoke, we cannot see: the host and the port decide.
        let asked = host.and_then(|host| Url::parse(&format!("{}://{host}", url.scheme())).ok());
        let ours = url.origin() == self.public_url.origin()
            || asked.is_some_and(|asked| asked.origin() == url.origin());
        if ours { RequestOrigin::SameOrigin } else { RequestOrigin::Web(origin) }
    }
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::SignIn")]
impl SignInOperations {
    /// Sign in with e-mail and password
    ///
    /// Creates a new codes resource: a single-use authorization code inside the URL that takes the user back to the app.
    /// `POST /api/v1/tokens` swaps the code for tokens.
    ///
    /// This operation is for an app's own sign-in page. A third party must never ask a user for this password (RFC 9700
    /// section 2.4).
    ///
    /// An unknown address, a wrong password, and an account that is not confirmed or is disabled are answered alike.
    #[oai(path = "/codes", method = "post", operation_id = "createCode")]
    async fn create_code(
        &self,
        /// Used for custom-domain lookup in public app resolution: without `appUuid`, the app that owns this login domain
        /// is signed in to. With it, a page that belongs neither to that app nor to this server is refused. An empty value
        /// counts as absent.
        #[oai(name = "Origin", example = "example_origin")]
        _origin: Header<Option<String>>,
        body: Json<CreateCode>,
        request: &Request,
        address: ClientAddress,
        at: ReceivedAt,
    ) -> Result<OperationResponse<CreateCodeOperation>, OperationError<CreateCodeOperation>> {
        let CreateCode {
            app_uuid,
            email,
            password,
            state,
            redirect_uri,
            accept_privacy_policy,
            code_challenge,
            code_challenge_method: _,
        } = body.0;
        let sign_in = SignInRequest {
            app: app_uuid,
            origin: self.page(request),
            email,
            password,
            state,
            redirect_uri: redirect_uri.0,
            code_challenge,
            accept_privacy_policy,
            address: address.0,
        };
        let url = self.identity.sign_in.issue_code(sign_in, at.0).await.map_err(ApiError::from)?;
        Ok(OperationResponse(Items::one(Code::at(url))))
    }

    /// Swap an authorization code for tokens
    ///
    /// The code must be shown together with all that it was issued for. It is redeemed once; what does not match does
    /// not use it up.
    #[oai(path = "/tokens", method = "post", operation_id = "createToken")]
    async fn create_token(
        &self,
        body: Json<CreateToken>,
        at: ReceivedAt,
    ) -> Result<OperationResponse<CreateTokenOperation>, OperationError<CreateTokenOperation>> {
        let CreateToken {
            client_id,
            service: _,
            grant_type: _,
            redirect_uri,
            code,
            state,
            code_verifier,
            nonce,
            auth_time: _,
            scope,
        } = body.0;
        let exchange = ExchangeRequest {
            app: client_id.app(),
            client_id: client_id.into_text(),
            code,
            redirect_uri: redirect_uri.0,
            state,
            code_verifier,
            nonce: nonce.map(|nonce| nonce.0),
            scope: scope.map(|scope| scope.0),
        };
        let tokens = self.identity.tokens.exchange(exchange, at.0).await.map_err(ApiError::from)?;
        Ok(OperationResponse(Items::one(tokens)))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the framework takes an example of the parameter's type")]
fn example_origin() -> Option<String> {
    Some("https://app.example.com".to_owned())
}

/// `POST /api/v1/codes`
pub struct CreateCodeOperation;

impl Operation for CreateCodeOperation {
    type Body = Items<Code>;
    type Code = ErrorCode;
    const ID: &'static str = "createCode";
    const SUCCESS: (u16, &'static str) = (201, "The code, inside the URL to send the user to");
    const FAILURES: &'static [ErrorSpec<ErrorCode>] =
        &[bad_request(CREDENTIALS_REFUSED), TOO_MANY_REQUESTS, INTERNAL_SERVER_ERROR, SERVICE_UNAVAILABLE];

    fn request() -> Option<Value> {
        Some(json!({
            "appUuid": "11111111-1111-1111-1111-111111111111",
            "email": "user@example.com",
            "password": "VeryStrongPass123!",
            "state": "state-from-client",
            "redirectUri": "https://app.example.com/callback",
            "acceptPrivacyPolicy": false,
        }))
    }

    fn success() -> Value {
        json!({
            "kind": "codes",
            "totalItems": 1,
            "itemsLength": 1,
            "items": [{
                "nextAction": {
                    "action": "httpRequest",
                    "url": format!(
                        "https://app.example.com/callback?code={EXAMPLE_CODE}&state=state-from-client\
                         &client_id=app_11111111-1111-1111-1111-111111111111\
                         &redirect_uri=https://app.example.com/callback&service=email\
                         &grant_type=authorization_code"
                    ),
                    "method": "GET",
                },
            }],
        })
    }
}

/// `POST /api/v1/tokens`
pub struct CreateTokenOperation;

impl Operation for CreateTokenOperation {
    type Body = Items<Token>;
    type Code = ErrorCode;
    const ID: &'static str = "createToken";
    const SUCCESS: (u16, &'static str) = (201, "The tokens");
    const FAILURES: &'static [ErrorSpec<ErrorCode>] =
        &[bad_request(CODE_REFUSED), INTERNAL_SERVER_ERROR, SERVICE_UNAVAILABLE];

    fn request() -> Option<Value> {
        Some(json!({
            "client_id": "11111111-1111-1111-1111-111111111111",
            "service": "email",
            "grant_type": "authorization_code",
            "redirect_uri": "https://app.example.com/callback",
            "code": EXAMPLE_CODE,
            "state": "state-from-client",
            "nonce": "n-0S6_WzA2Mj",
            "auth_time": "1777887714",
            "scope": "openid email",
        }))
    }

    fn success() -> Value {
        json!({
            "kind": "tokens",
            "totalItems": 1,
            "itemsLength": 1,
            "items": [{
                "accessToken": EXAMPLE_ACCESS_TOKEN,
                "idToken": EXAMPLE_ID_TOKEN,
                "expiresIn": "1777891320",
                "tokenType": "Bearer",
                "redirectUri": "https://app.example.com/callback",
            }],
        })
    }
}

/// SHA-256 of nothing, in base64url: the form of a code, and a secret of nobody's.
const EXAMPLE_CODE: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
/// An access token, but for its signature.
const EXAMPLE_ACCESS_TOKEN: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiIsImtpZCI6IjAxOTAwMDAwLTAwMDAtNzAwMC04MDAwLTAw\
    MDAwMDAwMDAwMSJ9.eyJpc3MiOiJodHRwczovL2hvbWVyb29tLmV4YW1wbGUuY29tIiwiYXVkIjoiaHR0cHM\
    6Ly9ob21lcm9vbS5leGFtcGxlLmNvbSIsInN1YiI6IjAxOWUwMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDA\
    wMDAwMSIsImNsaWVudF9pZCI6IjExMTExMTExLTExMTEtMTExMS0xMTExLTExMTExMTExMTExMSIsImlhdCI\
    6MTc3Nzg4NzcyMCwiZXhwIjoxNzc3ODkxMzIwLCJqdGkiOiIwMTllMDAwMC0wMDAwLTcwMDAtODAwMC0wMDA\
    wMDAwMDAwMDIiLCJhdXRoX3RpbWUiOjE3Nzc4ODc3MTR9.c2lnbmF0dXJl";
/// The id token beside it, likewise.
const EXAMPLE_ID_TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6IjAxOTAwMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAw\
    MDAwMDAwMSJ9.eyJpc3MiOiJodHRwczovL2hvbWVyb29tLmV4YW1wbGUuY29tIiwiYXVkIjoiMTExMTExMTE\
    tMTExMS0xMTExLTExMTEtMTExMTExMTExMTExIiwic3ViIjoiMDE5ZTAwMDAtMDAwMC03MDAwLTgwMDAtMDA\
    wMDAwMDAwMDAxIiwiaWF0IjoxNzc3ODg3NzIwLCJleHAiOjE3Nzc4OTEzMjAsImF1dGhfdGltZSI6MTc3Nzg\
    4NzcxNH0.c2lnbmF0dXJl";

/// A refused request. Both operations differ in the words of a refusal alone.
const fn bad_request(message: &'static str) -> ErrorSpec<ErrorCode> {
    ErrorSpec {
        status: 400,
        description: "Bad Request / validation error",
        code: ErrorCode::BadRequest,
        message,
    }
}

const TOO_MANY_REQUESTS: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 429,
    description: "Too Many Requests - Retry-After says when the next one is welcome",
    code: ErrorCode::TooManyRequests,
    message: "Too many requests; try again later",
};

/// A fault of the server. No request can cause it: the tests cause it by damage to the database.
const INTERNAL_SERVER_ERROR: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 500,
    description: "Internal Server Error",
    code: ErrorCode::InternalServerError,
    message: "Internal Server Error",
};

const SERVICE_UNAVAILABLE: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 503,
    description: "Service Unavailable - Busy, or the database is away; Retry-After says when to try again",
    code: ErrorCode::ServiceUnavailable,
    message: "The service is busy; try again later",
};
