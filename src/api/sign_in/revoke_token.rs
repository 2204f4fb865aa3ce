//! `POST /api/v1/tokens/revoke`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    create_token::TokenSet,
    error::{self, ErrorCode},
    types::{ClientId, EXAMPLE_APP, Items},
};
use crate::{
    api::{Services, openapi::Tag},
    http::{
        api_error::ApiError,
        client_address::ClientAddress,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        string_types::text,
    },
    identity::tokens::{RevokeError, RevokeRequest},
};

/// A request to revoke a token (RFC 7009 section 2.1).
#[derive(Debug, Object)]
pub struct RevokeTokenRequest {
    /// The app's client id: its UUID, bare or as `app_<uuid>`.
    client_id: ClientId,
    /// A refresh token or an access token.
    #[oai(write_only)]
    token: AnyToken,
    /// The kind of the token, such as `refresh_token`. It is not used: the server recognizes both kinds.
    token_type_hint: Option<TokenTypeHint>,
}

impl JsonBody for RevokeTokenRequest {}

/// A token of any kind.
#[derive(Debug)]
struct AnyToken(SecretString);

/// The kind of a token, as the client believes.
#[derive(Debug)]
struct TokenTypeHint(String);

/// `POST /api/v1/tokens/revoke`
#[derive(Default)]
pub struct RevokeToken;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::SignIn")]
impl RevokeToken {
    /// Sign out
    ///
    /// Ends the session of a token (RFC 7009). The server refuses the refresh token at once, and all access tokens of the session
    /// within five seconds. An unknown token, an expired one and one of an ended session get the same response.
    #[oai(path = "/tokens/revoke", method = "post", operation_id = "revokeToken")]
    async fn revoke_token(
        &self,
        body: Json<RevokeTokenRequest>,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<RevokeToken> {
        let RevokeTokenRequest { client_id, token, token_type_hint: _ } = body.0;
        let revoke = RevokeRequest { app: client_id.app, token: token.0, address: address.0 };
        services.identity.tokens.revoke(revoke, at.0).await?;
        Ok(Items::response(std::iter::empty::<TokenSet>()))
    }
}

impl Operation for RevokeToken {
    type Body = Items<TokenSet>;
    type Code = ErrorCode;
    const ID: &'static str = "revokeToken";
    const SUCCESS: (u16, &'static str) = (200, "The token is invalid now; the list is empty");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[error::bad_request(OTHER_APP), error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn request_example() -> Option<Value> {
        Some(json!({
            "client_id": EXAMPLE_APP,
            "token": "ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs",
            "token_type_hint": "refresh_token",
        }))
    }

    fn success_example() -> Value {
        json!({ "kind": "tokens", "totalItems": 0, "itemsLength": 0, "items": [] })
    }
}

/// The message for a token of another app.
const OTHER_APP: &str = "token was not issued to the app of client_id";

impl From<RevokeError> for ApiError<ErrorCode> {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::OtherApp => Self::documented(error::bad_request(OTHER_APP)),
            RevokeError::Database(error) => error.into(),
        }
    }
}

// The maximum length is that of an access token.
text!(AnyToken, "AnyToken", |text: &str| Ok::<_, &str>(Self(SecretString::from(text))), {
    min_length: 1,
    max_length: 12_288,
    pattern: r"^[\x21-\x7E]*$".into(),
});

text!(TokenTypeHint, "TokenTypeHint", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 64,
    pattern: r"^[\x20-\x7E]*$".into(),
} shown |hint: &Self| &hint.0);
