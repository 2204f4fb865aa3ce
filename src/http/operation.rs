//! Operations: what one may answer, declared once. The document is generated from it and the handler is held to it.

use std::marker::PhantomData;

use chrono::DateTime;
use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use serde_json::Value;

use super::{
    api_error::{ApiError, Challenge, Envelope},
    json::Json,
};

/// A failing status: what the document says of it, and the words of one such failure, as its example.
#[derive(Debug, Clone, Copy)]
pub struct ErrorSpec<C> {
    /// The HTTP status.
    pub status: u16,
    /// When it is answered.
    pub description: &'static str,
    /// A code that comes with it.
    pub code: C,
    /// What is said with that code.
    pub message: &'static str,
}

/// An operation's statuses and bodies.
pub trait Operation: Send + Sync + 'static {
    /// The body of its success.
    type Body: Type + ToJSON;
    /// The codes of its failures.
    type Code: Envelope;
    /// Its `operationId`.
    const ID: &'static str;
    /// The status of its success, with what the document says of it.
    const SUCCESS: (u16, &'static str);
    /// Its failures, all of them.
    const FAILURES: &'static [ErrorSpec<Self::Code>];

    /// A request body that succeeds on the sample school, if the operation takes one.
    fn request() -> Option<Value> {
        None
    }

    /// A success body as the sample school's server answers it.
    fn success() -> Value;
}

/// The examples of an operation, by its id.
pub struct Examples {
    /// The `operationId`.
    pub id: &'static str,
    /// The request body.
    pub request: Option<Value>,
    /// A body for each status.
    pub responses: Vec<(u16, Value)>,
}

impl Examples {
    /// An operation's examples. The failures are written down by the code that writes down the real ones.
    pub fn of<O: Operation>() -> Self {
        let at = DateTime::from_timestamp_millis(EXAMPLE_INSTANT).unwrap_or_default();
        let failures = O::FAILURES.iter().map(|documented| {
            let status = StatusCode::from_u16(documented.status).unwrap_or_default();
            let failure = ApiError::new(status, documented.code, documented.message);
            (documented.status, O::Code::body(&failure, at).to_json().unwrap_or_default())
        });
        let success = (O::SUCCESS.0, O::success());
        Self {
            id: O::ID,
            request: O::request(),
            responses: std::iter::once(success).chain(failures).collect(),
        }
    }
}

/// When the requests of the examples were received: the instant on the documented pages, in milliseconds.
const EXAMPLE_INSTANT: i64 = 1_777_887_720_000;

/// The success of an operation.
pub struct OperationResponse<O: Operation>(pub O::Body);

/// A failure of an operation.
pub struct OperationError<O: Operation>(ApiError<O::Code>, PhantomData<O>);

impl<O: Operation> From<ApiError<O::Code>> for OperationError<O> {
    fn from(failure: ApiError<O::Code>) -> Self {
        debug_assert!(
            O::FAILURES.iter().any(|documented| documented.status == failure.status.as_u16()),
            "{failure} is not documented for this operation"
        );
        Self(failure, PhantomData)
    }
}

impl<O: Operation> From<OperationError<O>> for poem::Error {
    fn from(refused: OperationError<O>) -> Self {
        refused.0.into()
    }
}

impl<O: Operation> IntoResponse for OperationResponse<O> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        response.set_status(StatusCode::from_u16(O::SUCCESS.0).unwrap_or_default());
        response
    }
}

impl<O: Operation> ApiResponse for OperationResponse<O> {
    fn meta() -> MetaResponses {
        let (status, description) = O::SUCCESS;
        MetaResponses { responses: vec![documented::<O::Body>(status, description)] }
    }

    fn register(registry: &mut Registry) {
        O::Body::register(registry);
    }
}

impl<O: Operation> ApiResponse for OperationError<O> {
    fn meta() -> MetaResponses {
        let failures = O::FAILURES.iter();
        let response = |failure: &ErrorSpec<O::Code>| {
            documented::<<O::Code as Envelope>::Body>(failure.status, failure.description)
        };
        MetaResponses { responses: failures.map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        <O::Code as Envelope>::Body::register(registry);
    }
}

fn documented<B: Type + ToJSON>(status: u16, description: &'static str) -> MetaResponse {
    let mut headers = vec![header(
        "Cache-Control",
        true,
        "Always `no-store`: the answer is for its asker alone.",
        "no-store",
    )];
    if status == 401 {
        let description = "How to authenticate (RFC 6750 section 3); `error` only if a token was sent.";
        headers.push(header("WWW-Authenticate", true, description, Challenge::NoToken.value()));
    }
    if matches!(status, 429 | 503) {
        let description = "After how many seconds the same request may succeed, from 1 to 86400.";
        headers.push(header("Retry-After", true, description, "1"));
    }
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: Json::<B>::CONTENT_TYPE, schema: B::schema_ref() }],
        headers,
    }
}

/// A header is a text with an example. Readers of the document disagree about all else in a header's schema.
pub(super) fn header(name: &str, required: bool, description: &str, example: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
            max_length: Some(256),
            example: Some(example.into()),
            ..MetaSchema::new("string")
        })),
    }
}
