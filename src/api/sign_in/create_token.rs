//! `POST /api/v1/tokens`

use std::sync::Arc;

use poem::{Request, http::StatusCode, web::Data};
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    types::{
        ClientId, EXAMPLE_APP, EXAMPLE_CODE, EXAMPLE_REDIRECT_URI, List, RequestedUri, client,
        state_violation,
    },
};
use crate::{
    api::{Services, openapi::Tag},
    domain::{
        pkce::CodeVerifier,
        secret_token::{AuthorizationCode, RefreshToken},
        state::State,
    },
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        constant_types::Item,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::text,
        validation::Violation,
    },
    identity::tokens::{Client, ExchangeError, ExchangeRequest, IssuedTokens, RefreshError, RefreshRequest},
};

/// A request for tokens: with a code (RFC 6749 section 4.1.3), or with a refresh token (RFC 6749 section 6).
#[derive(Debug, Object)]
pub struct CreateTokenRequest {
    /// The app's client id: its UUID, bare or as `app_<uuid>`, as in the redirect URL.
    client_id: ClientId,
    /// How the user signed in.
    service: SignInService,
    /// The grant that is exchanged.
    grant_type: GrantType,
    /// The redirect URI that the code was sent to. Required with a code, ignored with a refresh token.
    redirect_uri: Option<RequestedUri>,
    /// The code. Required without a refresh token, ignored with one. An empty value counts as absent.
    #[oai(write_only)]
    code: Option<AuthorizationCode>,
    /// The state that the code was sent with. Required with a code, ignored with a refresh token.
    state: Option<State>,
    /// The verifier of the `codeChallenge`. Required if there was a challenge, refused if there was none (RFC 9700 section
    /// 2.1.1). Ignored with a refresh token.
    #[oai(write_only)]
    code_verifier: Option<CodeVerifier>,
    /// Repeated in the id token (OpenID Connect Core section 3.1.2.1).
    nonce: Option<Nonce>,
    /// When the user signed in, as the client believes, in seconds since 1970, as text. It is not used: the id token has the
    /// time at which the server checked the password.
    auth_time: Option<EpochSeconds>,
    /// The requested scope, separated by blanks (RFC 6749 section 3.3). With `email` the id token has `email` and
    /// `email_verified`. With `profile` it has those of `name`, `given_name` and `family_name` that the user gave. A refresh
    /// token can request a part of the scope of the code; an empty scope requests all of it.
    scope: Option<Scope>,
    /// The `refreshToken` of the previous response. An empty value counts as absent.
    #[oai(write_only)]
    refresh_token: Option<RefreshToken>,
    /// Accepted from clients that send it, and ignored: this operation never prompts the user.
    prompt: Option<Prompt>,
}

impl JsonBody for CreateTokenRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        let has = |name: &str| members.get(name).is_some_and(|value| !value.is_null() && value != "");
        let required = |name: &str| Violation { property: name.to_owned(), rule: "is required".to_owned() };
        let missing =
            |names: &[&str]| names.iter().filter(|name| !has(name)).map(|name| required(name)).collect();
        let mut violations: Vec<Violation> = match members.get("grant_type").and_then(Value::as_str) {
            _ if has("refresh_token") => Vec::new(),
            Some("refresh_token") => vec![required("refresh_token")],
            _ => missing(&["redirect_uri", "code", "state"]),
        };
        violations.extend(state_violation(members));
        violations
    }
}

/// A valid request.
enum Grant {
    Code(ExchangeRequest),
    RefreshToken(RefreshRequest),
}

impl CreateTokenRequest {
    /// The grant of a request of this client. None if the body was not validated.
    fn grant(self, client: Client) -> Option<Grant> {
        let Self {
            client_id: ClientId { text: client_id, app },
            service: _,
            grant_type: _,
            redirect_uri,
            code,
            state,
            code_verifier,
            nonce,
            auth_time: _,
            scope,
            refresh_token,
            prompt: _,
        } = self;
        let (nonce, scope) = (nonce.map(|nonce| nonce.0), scope.map(|scope| scope.0));
        if let Some(refresh_token) = refresh_token.filter(|token| !token.expose().is_empty()) {
            let Client { address, user_agent: _ } = client;
            let refresh = RefreshRequest { app, client_id, refresh_token, nonce, scope, address };
            return Some(Grant::RefreshToken(refresh));
        }
        Some(Grant::Code(ExchangeRequest {
            app,
            client_id,
            code: code?,
            redirect_uri: redirect_uri?.0,
            state: state?,
            code_verifier,
            nonce,
            scope,
            client,
        }))
    }
}

/// How a user signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "camelCase")]
enum SignInService {
    /// With e-mail address and password.
    Email,
}

/// The grant that is exchanged for tokens. A request with a `refresh_token` that is not empty is a refresh with either value.
/// `refresh_token` requires that property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "TokenGrantType", rename_all = "snake_case")]
enum GrantType {
    /// An authorization code.
    AuthorizationCode,
    /// A refresh token.
    RefreshToken,
}

/// The tokens of a session.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TokenSet {
    /// The access token for all operations that require one: a signed JWT of type `at+jwt` (RFC 9068).
    access_token: Jwt,
    /// The id token, which names the user: a signed JWT (OpenID Connect Core section 2).
    id_token: Jwt,
    /// When both expire, in seconds since 1970.
    expires_in: EpochSeconds,
    /// How to send the access token: `Authorization: Bearer <accessToken>`.
    token_type: TokenType,
    /// The redirect URI that the code was sent to.
    redirect_uri: RequestedUri,
    /// The refresh token. `POST /api/v1/tokens` exchanges it once, and returns the next one.
    refresh_token: IssuedRefreshToken,
}

impl Item for TokenSet {
    const KIND: &'static str = "tokens";
}

impl From<IssuedTokens> for TokenSet {
    fn from(tokens: IssuedTokens) -> Self {
        let IssuedTokens { access_token, id_token, refresh_token, expires_at, redirect_uri } = tokens;
        Self {
            access_token: Jwt(access_token),
            id_token: Jwt(id_token),
            expires_in: EpochSeconds(expires_at.timestamp().to_string()),
            token_type: TokenType::Bearer,
            redirect_uri: RequestedUri(redirect_uri.as_str().to_owned()),
            refresh_token: IssuedRefreshToken(refresh_token),
        }
    }
}

/// How an access token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AccessTokenType")]
enum TokenType {
    /// As a bearer token (RFC 6750).
    Bearer,
}

/// A signed token.
struct Jwt(String);

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jwt(..)")
    }
}

/// Seconds since 1970, as text.
#[derive(Debug)]
struct EpochSeconds(String);

/// A refresh token in a response.
#[derive(Debug)]
struct IssuedRefreshToken(RefreshToken);

/// `prompt` of OpenID Connect Core section 3.1.2.1.
#[derive(Debug)]
struct Prompt(String);

/// A nonce (OpenID Connect Core section 3.1.2.1).
#[derive(Debug)]
struct Nonce(String);

/// A scope (RFC 6749 section 3.3).
#[derive(Debug)]
struct Scope(String);

/// `POST /api/v1/tokens`
#[derive(Default)]
pub struct CreateToken;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::SignIn")]
impl CreateToken {
    /// Exchange an authorization code or a refresh token for tokens
    ///
    /// A code begins a session. The request must repeat everything that the code was issued for. A code is redeemed once. A
    /// request that does not match does not redeem it, and a second one that matches ends the session. The session keeps the
    /// client's address and `User-Agent` for the list of `getSessions`.
    ///
    /// A refresh token continues its session and is used once: the response has the next one. A second use of a refresh token is
    /// always refused. It ends the session if it comes more than 10 seconds after the first use, or another interval that the
    /// operator sets. A session ends 24 hours after its last refresh, and 30 days after its start, unless the app has other limits.
    #[oai(path = "/tokens", method = "post", operation_id = "createToken")]
    async fn create_token(
        &self,
        body: Json<CreateTokenRequest>,
        request: &Request,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<CreateToken> {
        let tokens = &services.identity.tokens;
        let grant = body.0.grant(client(request, address));
        Ok(List::response(match grant.ok_or_else(not_validated)? {
            Grant::Code(exchange) => tokens.exchange(exchange, at.0).await?,
            Grant::RefreshToken(refresh) => tokens.refresh(refresh, at.0).await?,
        }))
    }
}

/// The validation of the body guarantees that this does not happen.
fn not_validated() -> ApiError<ErrorCode> {
    ApiError::standard(StatusCode::BAD_REQUEST)
}

impl Operation for CreateToken {
    type Body = List<TokenSet>;
    type Code = ErrorCode;
    const ID: &'static str = "createToken";
    const SUCCESS: (u16, &'static str) = (201, "The tokens");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[error::bad_request(CODE_REFUSED), error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn request_example() -> Option<Value> {
        Some(json!({
            "client_id": EXAMPLE_APP,
            "service": "email",
            "grant_type": "authorization_code",
            "redirect_uri": EXAMPLE_REDIRECT_URI,
            "code": EXAMPLE_CODE,
            "state": "state-from-client",
            "nonce": "n-0S6_WzA2Mj",
            "auth_time": "1777887714",
            "scope": "openid email",
        }))
    }

    fn success_example() -> Value {
        json!({
            "kind": "tokens",
            "totalItems": 1,
            "itemsLength": 1,
            "items": [{
                "accessToken": EXAMPLE_ACCESS_TOKEN,
                "idToken": EXAMPLE_ID_TOKEN,
                "expiresIn": "1777891320",
                "tokenType": "Bearer",
                "redirectUri": EXAMPLE_REDIRECT_URI,
                "refreshToken": EXAMPLE_REFRESH_TOKEN,
            }],
        })
    }
}

/// The one message for every code that cannot be redeemed.
const CODE_REFUSED: &str =
    "The code is invalid, has expired or was redeemed, or was issued for something else";

/// The one message for every refresh token that cannot be used.
const REFRESH_TOKEN_REFUSED: &str =
    "The refresh token is invalid, was used before, or was issued to another app, or its session has ended";

impl From<RefreshError> for ApiError<ErrorCode> {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::InvalidGrant => Self::documented(error::bad_request(REFRESH_TOKEN_REFUSED)),
            RefreshError::Sign(error) => Self::internal(error),
            RefreshError::Database(error) => error.into(),
        }
    }
}

impl From<ExchangeError> for ApiError<ErrorCode> {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::InvalidGrant => Self::documented(error::bad_request(CODE_REFUSED)),
            ExchangeError::Sign(error) => Self::internal(error),
            ExchangeError::Database(error) => error.into(),
        }
    }
}

text!(AuthorizationCode, "AuthorizationCode", |text: &str| Ok::<_, &str>(Self::presented(text)), {
    max_length: 512,
    pattern: r"^[\x20-\x7E]*$".into(),
});

text!(CodeVerifier, "CodeVerifier", CodeVerifier::parse, {
    min_length: CodeVerifier::MIN,
    max_length: CodeVerifier::MAX,
    pattern: "^[A-Za-z0-9._~-]*$".into(),
});

text!(RefreshToken, "RefreshToken", |text: &str| Ok::<_, &str>(Self::presented(text)), {
    max_length: 512,
    pattern: r"^[\x20-\x7E]*$".into(),
});

text!(IssuedRefreshToken, "IssuedRefreshToken", |text: &str| Ok::<_, &str>(Self(RefreshToken::presented(text))), {
    min_length: 43,
    max_length: 43,
    pattern: "^[A-Za-z0-9_-]*$".into(),
} shown |token: &Self| token.0.expose());

text!(Prompt, "Prompt", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 64,
    pattern: "^[a-z_ ]*$".into(),
} shown |prompt: &Self| &prompt.0);

text!(Nonce, "Nonce", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    min_length: 1,
    max_length: 1024,
    pattern: r"^[\x20-\x7E]*$".into(),
} shown |nonce: &Self| &nonce.0);

text!(Scope, "Scope", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 1024,
    pattern: r"^([\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*)?$".into(),
} shown |scope: &Self| &scope.0);

// The longest token holds a nonce or a scope of 1,024 characters, its claims and its signature, in base64url.
text!(Jwt, "Jwt", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 12_288,
    pattern: r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$".into(),
} shown |token: &Self| &token.0);

text!(EpochSeconds, "EpochSeconds", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    pattern: "^[0-9]+$".into(),
    min_length: 1,
    max_length: 20,
} shown |seconds: &Self| &seconds.0);

/// A refresh token that was never issued: SHA-256 of the letter `a` in base64url.
const EXAMPLE_REFRESH_TOKEN: &str = "ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs";
/// An access token with an invalid signature.
const EXAMPLE_ACCESS_TOKEN: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiIsImtpZCI6IjAxOTAwMDAwLTAw\
    MDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSJ9.eyJpc3MiOiJodHRwczovL2hvbWVyb29tLmV4YW1wbGUuY29tIiwiYXVkIjoiaHR\
    0cHM6Ly9ob21lcm9vbS5leGFtcGxlLmNvbSIsInN1YiI6IjAxOWUwMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImN\
    saWVudF9pZCI6IjExMTExMTExLTExMTEtMTExMS0xMTExLTExMTExMTExMTExMSIsImlhdCI6MTc3Nzg4NzcyMCwiZXhwIjoxNzc\
    3ODkxMzIwLCJqdGkiOiIwMTllMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDIiLCJzaWQiOiIwMTlkZjI2Mi00ZWZhLTc\
    wMDAtODAwMC0wMDAwMDAwMDAwMDUiLCJhdXRoX3RpbWUiOjE3Nzc4ODc3MTQsInNjb3BlIjoib3BlbmlkIGVtYWlsIn0.c2lnbmF\
    0dXJl";
/// An id token with an invalid signature.
const EXAMPLE_ID_TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6IjAxOTAwMDAwLTAwMDAtNzAw\
    MC04MDAwLTAwMDAwMDAwMDAwMSJ9.eyJpc3MiOiJodHRwczovL2hvbWVyb29tLmV4YW1wbGUuY29tIiwiYXVkIjoiMTExMTExMTE\
    tMTExMS0xMTExLTExMTEtMTExMTExMTExMTExIiwic3ViIjoiMDE5ZTAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAxIiw\
    iaWF0IjoxNzc3ODg3NzIwLCJleHAiOjE3Nzc4OTEzMjAsImF1dGhfdGltZSI6MTc3Nzg4NzcxNCwibm9uY2UiOiJuLTBTNl9XekE\
    yTWoiLCJlbWFpbCI6InVzZXJAZXhhbXBsZS5jb20iLCJlbWFpbF92ZXJpZmllZCI6dHJ1ZX0.c2lnbmF0dXJl";
