//! `POST /api/v1/tokens`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    types::{EXAMPLE_APP, EXAMPLE_CODE, EXAMPLE_REDIRECT_URI, List, RequestedUri, state_violation},
};
use crate::{
    api::{Services, openapi::Tag},
    domain::{
        id::{AppId, InvalidId},
        pkce::CodeVerifier,
        secret_token::AuthorizationCode,
        state::State,
    },
    http::{
        api_error::ApiError,
        constant_types::Item,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::text,
        validation::Violation,
    },
    identity::tokens::{ExchangeError, ExchangeRequest, IssuedTokens},
};

/// A request to exchange a code for tokens (RFC 6749 section 4.1.3).
#[derive(Debug, Object)]
pub struct CreateTokenRequest {
    /// The app's client id: its UUID, bare or as `app_<uuid>`, as in the redirect URL.
    client_id: ClientId,
    /// How the user signed in.
    service: SignInService,
    /// The grant that is exchanged.
    grant_type: GrantType,
    /// The redirect URI that the code was sent to.
    redirect_uri: RequestedUri,
    /// The code.
    #[oai(write_only)]
    code: AuthorizationCode,
    /// The state that the code was sent with.
    state: State,
    /// The verifier of the `codeChallenge`. Required if there was a challenge, refused if there was none (RFC 9700 section
    /// 2.1.1).
    #[oai(write_only)]
    code_verifier: Option<CodeVerifier>,
    /// Repeated in the id token (OpenID Connect Core section 3.1.2.1).
    nonce: Option<Nonce>,
    /// When the user signed in, as the client believes, in seconds since 1970, as text. It is not used: the id token has the
    /// time at which the server checked the password.
    auth_time: Option<EpochSeconds>,
    /// The requested scope, separated by blanks (RFC 6749 section 3.3). With `email` the id token has `email` and
    /// `email_verified`.
    scope: Option<Scope>,
}

impl JsonBody for CreateTokenRequest {
    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        state_violation(members).into_iter().collect()
    }
}

/// How a user signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "camelCase")]
enum SignInService {
    /// With e-mail address and password.
    Email,
}

/// A grant that is exchanged for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "TokenGrantType", rename_all = "snake_case")]
enum GrantType {
    /// An authorization code.
    AuthorizationCode,
}

/// The tokens of one sign-in.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TokenSet {
    /// The access token for `/classes`: a signed JWT of type `at+jwt` (RFC 9068).
    access_token: Jwt,
    /// The id token, which names the user: a signed JWT (OpenID Connect Core section 2).
    id_token: Jwt,
    /// When both expire, in seconds since 1970.
    expires_in: EpochSeconds,
    /// How to send the access token: `Authorization: Bearer <accessToken>`.
    token_type: TokenType,
    /// The redirect URI that the code was sent to.
    redirect_uri: RequestedUri,
}

impl Item for TokenSet {
    const KIND: &'static str = "tokens";
}

impl From<IssuedTokens> for TokenSet {
    fn from(IssuedTokens { access_token, id_token, expires_at, redirect_uri }: IssuedTokens) -> Self {
        Self {
            access_token: Jwt(access_token),
            id_token: Jwt(id_token),
            expires_in: EpochSeconds(expires_at.timestamp().to_string()),
            token_type: TokenType::Bearer,
            redirect_uri: RequestedUri(redirect_uri.as_str().to_owned()),
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

/// A client id, bare or with its prefix.
#[derive(Debug)]
struct ClientId {
    text: String,
    app: AppId,
}

impl ClientId {
    fn parse(text: &str) -> Result<Self, InvalidId> {
        let app = text.strip_prefix("app_").unwrap_or(text).parse()?;
        Ok(Self { text: text.to_owned(), app })
    }
}

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
    /// Exchange an authorization code for tokens
    ///
    /// The request must repeat everything that the code was issued for. A code is redeemed once. A request that does not match
    /// does not redeem it.
    #[oai(path = "/tokens", method = "post", operation_id = "createToken")]
    async fn create_token(
        &self,
        body: Json<CreateTokenRequest>,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<CreateToken> {
        let CreateTokenRequest {
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
            app: client_id.app,
            client_id: client_id.text,
            code,
            redirect_uri: redirect_uri.0,
            state,
            code_verifier,
            nonce: nonce.map(|nonce| nonce.0),
            scope: scope.map(|scope| scope.0),
        };
        Ok(List::response(services.identity.tokens.exchange(exchange, at.0).await?))
    }
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
            }],
        })
    }
}

/// The one message for every code that cannot be redeemed.
const CODE_REFUSED: &str =
    "The code is invalid, has expired or was redeemed, or was issued for something else";

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
    min_length: 1,
    max_length: 512,
    pattern: r"^[\x20-\x7E]*$".into(),
});

text!(CodeVerifier, "CodeVerifier", CodeVerifier::parse, {
    min_length: CodeVerifier::MIN,
    max_length: CodeVerifier::MAX,
    pattern: "^[A-Za-z0-9._~-]*$".into(),
});

text!(ClientId, "ClientId", ClientId::parse, {
    pattern: "^(app_)?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$".into(),
    max_length: 40,
} shown |id: &Self| &id.text);

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

/// An access token with an invalid signature.
const EXAMPLE_ACCESS_TOKEN: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiIsImtpZCI6IjAxOTAwMDAwLTAwMDAtNzAwMC04MDAwLTAw\
    MDAwMDAwMDAwMSJ9.eyJpc3MiOiJodHRwczovL2hvbWVyb29tLmV4YW1wbGUuY29tIiwiYXVkIjoiaHR0cHM\
    6Ly9ob21lcm9vbS5leGFtcGxlLmNvbSIsInN1YiI6IjAxOWUwMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDA\
    wMDAwMSIsImNsaWVudF9pZCI6IjExMTExMTExLTExMTEtMTExMS0xMTExLTExMTExMTExMTExMSIsImlhdCI\
    6MTc3Nzg4NzcyMCwiZXhwIjoxNzc3ODkxMzIwLCJqdGkiOiIwMTllMDAwMC0wMDAwLTcwMDAtODAwMC0wMDA\
    wMDAwMDAwMDIiLCJhdXRoX3RpbWUiOjE3Nzc4ODc3MTR9.c2lnbmF0dXJl";
/// An id token with an invalid signature.
const EXAMPLE_ID_TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6IjAxOTAwMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAw\
    MDAwMDAwMSJ9.eyJpc3MiOiJodHRwczovL2hvbWVyb29tLmV4YW1wbGUuY29tIiwiYXVkIjoiMTExMTExMTE\
    tMTExMS0xMTExLTExMTEtMTExMTExMTExMTExIiwic3ViIjoiMDE5ZTAwMDAtMDAwMC03MDAwLTgwMDAtMDA\
    wMDAwMDAwMDAxIiwiaWF0IjoxNzc3ODg3NzIwLCJleHAiOjE3Nzc4OTEzMjAsImF1dGhfdGltZSI6MTc3Nzg\
    4NzcxNH0.c2lnbmF0dXJl";
