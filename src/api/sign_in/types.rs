//! The bodies of the sign-in family.

use poem_openapi::{
    Enum, Object,
    types::{ParseFromJSON, ToJSON, Type},
};
use serde_json::{Map, Value};

use crate::{
    domain::{
        authorization_code::AuthorizationCode,
        email::Email,
        id::{AppId, InvalidId},
        password::Password,
        pkce::{CodeChallenge, CodeVerifier},
        redirect_uri::RedirectUri,
        state::State,
    },
    http::{
        constants::{Item, KindOf},
        text::text,
        validation::Form,
    },
    identity::tokens::IssuedTokens,
};

/// A success of the sign-in family: a list, of one here.
#[derive(Debug, Object)]
#[oai(rename = "List", rename_all = "camelCase")]
pub struct Items<T: Item + Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// What the items are.
    kind: KindOf<T>,
    /// How many items there are in all.
    #[oai(validator(minimum(value = "1"), maximum(value = "1")))]
    total_items: i32,
    /// How many of them are in this answer.
    #[oai(validator(minimum(value = "1"), maximum(value = "1")))]
    items_length: i32,
    /// The items.
    #[oai(validator(min_items = 1, max_items = 1))]
    items: Vec<T>,
}

impl<T: Item + Type + ParseFromJSON + ToJSON + Send + Sync> Items<T> {
    /// A list of one.
    pub fn one(item: impl Into<T>) -> Self {
        Self { kind: KindOf::default(), total_items: 1, items_length: 1, items: vec![item.into()] }
    }
}

/// A request to sign in.
#[derive(Debug, Object)]
#[oai(rename = "CreateCodeRequest", rename_all = "camelCase")]
pub struct CreateCode {
    /// The app to sign in to. Required unless the `Origin` header names the app by one of its login domains.
    pub app_uuid: Option<AppId>,
    /// The user's e-mail address, `local@domain`. The local part is ASCII; its upper and lower case are the same. The domain is
    /// compared in its ASCII form (UTS 46): every spelling of it is the same.
    pub email: Email,
    /// The user's password. It is brought to Unicode Normalization Form KC before its characters are counted and compared.
    #[oai(write_only)]
    pub password: Password,
    /// The client's own opaque value, without control characters. It comes back in the redirect URL, and the exchange must
    /// show it again.
    pub state: State,
    /// Where to send the code: one of the app's registered redirect URIs, to the letter; only on a loopback address may
    /// the port be another (RFC 8252 section 7.3).
    pub redirect_uri: RequestedUri,
    /// Whether the user accepts the app's current privacy policy. `true` is recorded; `false` is refused only if the
    /// app demands that policy and the user never accepted it.
    #[oai(default)]
    pub accept_privacy_policy: bool,
    /// The PKCE challenge (RFC 7636 section 4.2): the exchange then needs the `code_verifier` behind it.
    pub code_challenge: Option<CodeChallenge>,
    /// How the challenge was made: `S256`, the SHA-256 digest in base64url. Required with `codeChallenge`; without one it is
    /// ignored.
    pub code_challenge_method: Option<CodeChallengeMethod>,
}

impl Form for CreateCode {
    fn faults(object: &Map<String, Value>) -> Vec<String> {
        let has = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
        let method = (has("codeChallenge") && !has("codeChallengeMethod"))
            .then(|| "codeChallengeMethod is required with codeChallenge".to_owned());
        state_fault(object).into_iter().chain(method).collect()
    }
}

/// A control character of a state that its pattern lets pass. The pattern is ASCII, because some languages' regular
/// expressions read no other escapes.
fn state_fault(object: &Map<String, Value>) -> Option<String> {
    let state = object.get("state")?.as_str()?;
    let control = |character| matches!(character, '\u{80}'..='\u{9F}');
    state.contains(control).then(|| "state must have no control characters".to_owned())
}

/// How a PKCE challenge was made: `BASE64URL(SHA256(code_verifier))`. A text with a pattern and no enumeration, because
/// an enumeration in OpenAPI 3.0 would need `null` among its values to be nullable.
#[derive(Debug)]
pub struct CodeChallengeMethod;

/// A code, on its way to the app.
#[derive(Debug, Object)]
#[oai(rename = "IssuedCode", rename_all = "camelCase")]
pub struct Code {
    /// What to do next.
    next_action: NextAction,
}

/// What to do next: send the user's browser to a URL.
#[derive(Object)]
pub struct NextAction {
    /// What kind of action this is.
    action: Action,
    /// The redirect URI, continued with `code`, `state`, `client_id`, `redirect_uri`, `service` and `grant_type`, in this
    /// order.
    url: RedirectUrl,
    /// The HTTP method to use.
    method: Method,
}

impl std::fmt::Debug for NextAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NextAction(..)")
    }
}

impl Item for Code {
    const KIND: &'static str = "codes";
}

impl Item for Token {
    const KIND: &'static str = "tokens";
}

impl Code {
    /// The code inside `url`.
    pub fn at(url: String) -> Self {
        Self {
            next_action: NextAction {
                action: Action::HttpRequest,
                url: RedirectUrl(url),
                method: Method::Get,
            },
        }
    }
}

/// A kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "NextActionKind", rename_all = "camelCase")]
pub enum Action {
    /// Send an HTTP request.
    HttpRequest,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "NextActionMethod", rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    Get,
}

/// A request to swap a code for tokens (RFC 6749 section 4.1.3).
#[derive(Debug, Object)]
#[oai(rename = "CreateTokenRequest")]
pub struct CreateToken {
    /// The app's client id: its UUID, bare or as `app_<uuid>`, as it stands in the redirect URL.
    pub client_id: ClientId,
    /// How the user signed in.
    pub service: Service,
    /// What is swapped.
    pub grant_type: GrantType,
    /// The redirect URI that the code was sent to.
    pub redirect_uri: RequestedUri,
    /// The code.
    #[oai(write_only)]
    pub code: AuthorizationCode,
    /// The state that the code was sent with.
    pub state: State,
    /// The secret behind the `codeChallenge`; required if there was one, refused if there was none (RFC 9700 section
    /// 2.1.1).
    #[oai(write_only)]
    pub code_verifier: Option<CodeVerifier>,
    /// Echoed in the id token (OpenID Connect Core section 3.1.2.1).
    pub nonce: Option<Nonce>,
    /// When the client believes the user signed in, in seconds since 1970, as text. The id token says when the password was
    /// in fact checked; this is not used.
    pub auth_time: Option<EpochSeconds>,
    /// What the client wants to know, separated by blanks (RFC 6749 section 3.3). With `email` the id token holds `email`
    /// and `email_verified`.
    pub scope: Option<Scope>,
}

impl Form for CreateToken {
    fn faults(object: &Map<String, Value>) -> Vec<String> {
        state_fault(object).into_iter().collect()
    }
}

/// How a user signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "SignInService", rename_all = "camelCase")]
pub enum Service {
    /// With e-mail address and password.
    Email,
}

/// What is swapped for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "TokenGrantType", rename_all = "snake_case")]
pub enum GrantType {
    /// An authorization code.
    AuthorizationCode,
}

/// The tokens of one sign-in.
#[derive(Object)]
#[oai(rename = "TokenSet", rename_all = "camelCase")]
pub struct Token {
    /// Opens `/classes` for its bearer: a signed JWT of type `at+jwt` (RFC 9068).
    access_token: Jwt,
    /// Says who signed in: a signed JWT (OpenID Connect Core section 2).
    id_token: Jwt,
    /// When both expire, in seconds since 1970.
    expires_in: EpochSeconds,
    /// How to show the access token: `Authorization: Bearer <accessToken>`.
    token_type: TokenType,
    /// The redirect URI that the code was sent to.
    redirect_uri: RequestedUri,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl From<IssuedTokens> for Token {
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

/// How a token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AccessTokenType")]
pub enum TokenType {
    /// As a bearer token (RFC 6750).
    Bearer,
}

/// A redirect URI as a client says it. Only a registered one is ever answered to.
#[derive(Debug)]
pub struct RequestedUri(pub String);

/// The URL with which a code travels.
pub struct RedirectUrl(String);

/// A signed token.
pub struct Jwt(String);

/// Seconds since 1970, as text.
#[derive(Debug)]
pub struct EpochSeconds(String);

/// A client id, bare or with its prefix.
#[derive(Debug)]
pub struct ClientId {
    text: String,
    app: AppId,
}

impl ClientId {
    fn parse(text: &str) -> Result<Self, InvalidId> {
        let app = text.strip_prefix("app_").unwrap_or(text).parse()?;
        Ok(Self { text: text.to_owned(), app })
    }

    /// The app's id.
    pub fn app(&self) -> AppId {
        self.app
    }

    /// The client id as the request wrote it.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A nonce (OpenID Connect Core section 3.1.2.1).
#[derive(Debug)]
pub struct Nonce(pub String);

/// A scope (RFC 6749 section 3.3).
#[derive(Debug)]
pub struct Scope(pub String);

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

text!(State, "State", State::parse, {
    min_length: 1,
    max_length: State::MAX,
    pattern: r"^[^\x00-\x1F\x7F]*$".into(),
} shown State::as_str);

text!(RequestedUri, "RequestedUri", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    format: "uri",
    min_length: 1,
    max_length: RedirectUri::MAX,
} shown |uri: &Self| &uri.0);

text!(CodeChallenge, "CodeChallenge", CodeChallenge::parse, {
    min_length: 43,
    max_length: 43,
    // The last of 43 characters carries four bits of 32 bytes; the other two are zero.
    pattern: "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$".into(),
} shown CodeChallenge::as_str);

text!(CodeChallengeMethod, "CodeChallengeMethod", |_: &str| Ok::<_, &str>(Self), {
    max_length: 4,
    pattern: "^S256$".into(),
} shown |_: &Self| "S256");

text!(CodeVerifier, "CodeVerifier", CodeVerifier::parse, {
    min_length: CodeVerifier::MIN,
    max_length: CodeVerifier::MAX,
    pattern: "^[A-Za-z0-9._~-]*$".into(),
});

text!(AuthorizationCode, "AuthorizationCode", |text: &str| Ok::<_, &str>(Self::presented(text)), {
    min_length: 1,
    max_length: 512,
    pattern: r"^[\x20-\x7E]*$".into(),
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

// A URI, itself again with every byte escaped, 1,024 characters of state of up to four bytes each, and the rest.
text!(RedirectUrl, "RedirectUrl", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    format: "uri",
    max_length: 4 * RedirectUri::MAX + 12 * State::MAX + 256,
} shown |url: &Self| &url.0);

// The longest holds a nonce or a scope of 1,024 characters, in JSON and base64url, beside its claims and signature.
text!(Jwt, "Jwt", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    max_length: 12_288,
    pattern: r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$".into(),
} shown |token: &Self| &token.0);

text!(EpochSeconds, "EpochSeconds", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    pattern: "^[0-9]+$".into(),
    min_length: 1,
    max_length: 20,
} shown |seconds: &Self| &seconds.0);
