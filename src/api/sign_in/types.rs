//! Types of several operations of the sign-in family.

use chrono::{DateTime, SecondsFormat, Utc};
use poem::Request;
use poem_openapi::{
    Object,
    types::{ParseFromJSON, ToJSON, Type},
};
use serde_json::{Map, Value};

use crate::{
    domain::{
        id::{AppId, InvalidId},
        redirect_uri::RedirectUri,
        state::State,
        user_agent::UserAgent,
    },
    http::{
        client_address::ClientAddress,
        constant_types::{Item, KindOf},
        operation::{Operation, OperationResponse},
        string_types::text,
        validation::Violation,
    },
    identity::tokens::Client,
};

/// The app of the examples.
pub(super) const EXAMPLE_APP: &str = "11111111-1111-1111-1111-111111111111";
/// The redirect URI of the examples.
pub(super) const EXAMPLE_REDIRECT_URI: &str = "https://app.example.com/callback";
/// The code of the examples: SHA-256 of nothing in base64url, which has the form of a code.
pub(super) const EXAMPLE_CODE: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

/// A success body of the sign-in family: a list of one item.
#[derive(Debug, Object)]
#[oai(rename = "List", rename_all = "camelCase")]
pub struct List<T: Item + Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// The kind of the items.
    kind: KindOf<T>,
    /// The number of all items.
    #[oai(validator(minimum(value = "1"), maximum(value = "1")))]
    total_items: i32,
    /// The number of items in this response.
    #[oai(validator(minimum(value = "1"), maximum(value = "1")))]
    items_length: i32,
    /// The items.
    #[oai(validator(min_items = 1, max_items = 1))]
    items: Vec<T>,
}

impl<T: Item + Type + ParseFromJSON + ToJSON + Send + Sync> List<T> {
    /// The success response of an operation.
    pub fn response<O: Operation<Body = Self>>(item: impl Into<T>) -> OperationResponse<O> {
        let items = vec![item.into()];
        OperationResponse::new(Self { kind: KindOf::default(), total_items: 1, items_length: 1, items })
    }
}

/// A success body of the sign-in family with any number of items.
#[derive(Debug, Object)]
#[oai(rename = "Items", rename_all = "camelCase")]
pub struct Items<T: Item + Type + ParseFromJSON + ToJSON + Send + Sync> {
    /// The kind of the items.
    kind: KindOf<T>,
    /// The number of all items.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    total_items: i32,
    /// The number of items in this response.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    items_length: i32,
    /// The items.
    #[oai(validator(max_items = 100))]
    items: Vec<T>,
}

impl<T: Item + Type + ParseFromJSON + ToJSON + Send + Sync> Items<T> {
    /// The success response of an operation with these items.
    pub fn response<O: Operation<Body = Self>>(
        items: impl IntoIterator<Item = impl Into<T>>,
    ) -> OperationResponse<O> {
        let items: Vec<T> = items.into_iter().map(Into::into).collect();
        let count = i32::try_from(items.len()).unwrap_or(i32::MAX);
        OperationResponse::new(Self {
            kind: KindOf::default(),
            total_items: count,
            items_length: count,
            items,
        })
    }
}

/// A client id, bare or with its prefix.
#[derive(Debug)]
pub struct ClientId {
    /// The text as the request writes it.
    pub text: String,
    /// The app.
    pub app: AppId,
}

impl ClientId {
    fn parse(text: &str) -> Result<Self, InvalidId> {
        let app = text.strip_prefix("app_").unwrap_or(text).parse()?;
        Ok(Self { text: text.to_owned(), app })
    }
}

text!(ClientId, "ClientId", ClientId::parse, {
    pattern: "^(app_)?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$".into(),
    max_length: 40,
} shown |id: &Self| &id.text);

/// A time of this family: RFC 3339 in UTC, milliseconds, `Z`.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub DateTime<Utc>);

text!(Instant, "Instant", |text: &str| DateTime::parse_from_rfc3339(text).map(|at| Self(at.to_utc())), {
    format: "date-time",
    example: "2026-05-04T09:42:00.250Z".into(),
});

impl ToJSON for Instant {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_rfc3339_opts(SecondsFormat::Millis, true)))
    }
}

/// The client that sends a request.
pub(super) fn client(request: &Request, ClientAddress(address): ClientAddress) -> Client {
    let header = request.headers().get(poem::http::header::USER_AGENT);
    Client { address, user_agent: header.and_then(|value| UserAgent::from_header(value.as_bytes())) }
}

/// A redirect URI in a request. Codes are sent only to a registered one.
#[derive(Debug)]
pub struct RequestedUri(pub String);

text!(RequestedUri, "RequestedUri", |text: &str| Ok::<_, &str>(Self(text.to_owned())), {
    format: "uri",
    min_length: 1,
    max_length: RedirectUri::MAX,
} shown |uri: &Self| &uri.0);

text!(State, "State", State::parse, {
    min_length: 1,
    max_length: State::MAX,
    pattern: r"^[^\x00-\x1F\x7F]*$".into(),
} shown State::as_str);

/// The violation of a `state` with a control character that its pattern accepts (U+0080 to U+009F). The pattern names only
/// ASCII, because some regular expression engines of clients cannot parse other escapes.
pub(super) fn state_violation(members: &Map<String, Value>) -> Option<Violation> {
    let state = members.get("state")?.as_str()?;
    let has_control = state.contains(|character| matches!(character, '\u{80}'..='\u{9F}'));
    has_control.then(|| Violation {
        property: "state".to_owned(),
        rule: "must have no control characters".to_owned(),
    })
}
