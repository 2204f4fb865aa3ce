//! Operations: one declaration of the responses of an operation. The document is generated from it, and the types of the handler
//! enforce it.

use std::{borrow::Cow, marker::PhantomData, time::Duration};

use chrono::DateTime;
use poem::{
    IntoResponse, Response,
    http::{HeaderName, HeaderValue, StatusCode},
};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use serde_json::Value;

use super::{
    api_error::{ApiError, Envelope},
    bearer::Challenge,
    json::Json,
};

/// The maximum time for a response, so that a client does not wait without end for a database that does not answer.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);

/// An error response: its entry in the document, and the code and message of its example.
#[derive(Debug, Clone, Copy)]
pub struct ErrorSpec<C> {
    /// The HTTP status.
    pub status: u16,
    /// The description in the document.
    pub description: &'static str,
    /// A code that comes with the status.
    pub code: C,
    /// The message that comes with the code.
    pub message: &'static str,
}

/// A link from a response to an operation that takes a value of it (OpenAPI 3.0 section 4.7.20).
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The `operationId` of the target.
    pub to: &'static str,
    /// The parameter of the target.
    pub parameter: &'static str,
    /// The value of the parameter, as a runtime expression.
    pub value: &'static str,
    /// The description in the document.
    pub description: &'static str,
}

/// A header of a success response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHeader {
    /// The name.
    pub name: &'static str,
    /// The description in the document.
    pub description: &'static str,
    /// A value.
    pub example: &'static str,
}

/// The body of a 204: none.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl Type for NoContent {
    const IS_REQUIRED: bool = false;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "NoContent".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::ANY))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for NoContent {
    fn to_json(&self) -> Option<Value> {
        None
    }
}

/// An operation with the success and error bodies of a family.
pub trait Operation: Send + Sync + 'static {
    /// The body of the success response.
    type Body: Type + ToJSON;
    /// The codes of the error responses.
    type Code: Envelope;
    /// The `operationId`.
    const ID: &'static str;
    /// The status of the success response and its description in the document.
    const SUCCESS: (u16, &'static str);
    /// The headers of the success response, besides those of every response.
    const HEADERS: &'static [ResponseHeader] = &[];
    /// All error responses.
    const ERRORS: &'static [ErrorSpec<Self::Code>];
    /// The links of the success response.
    const LINKS: &'static [Link] = &[];
    /// The maximum time for a response.
    const TIME_LIMIT: Duration = TIME_LIMIT;

    /// A request body that succeeds on the sample school. None if the operation takes no body.
    fn request_example() -> Option<Value> {
        None
    }

    /// The success body on the sample school. A 204 has none.
    fn success_example() -> Value {
        Value::Null
    }
}

/// The part of an operation's documentation that the generator cannot express.
pub struct OperationDetails {
    /// The `operationId`.
    pub id: &'static str,
    /// The example of the request body.
    pub request_example: Option<Value>,
    /// An example body for each status.
    pub response_examples: Vec<(u16, Value)>,
    /// The links of the first response in `response_examples`.
    pub links: &'static [Link],
    /// Whether pages of every origin may read the responses (CORS).
    pub is_public: bool,
    /// The maximum time for a response.
    pub time_limit: Duration,
}

impl OperationDetails {
    /// The details of an operation without examples and links.
    pub fn new(id: &'static str) -> Self {
        Self {
            id,
            request_example: None,
            response_examples: Vec::new(),
            links: &[],
            is_public: false,
            time_limit: TIME_LIMIT,
        }
    }

    /// Adds an example body.
    #[must_use]
    pub fn response_example(mut self, status: u16, body: Value) -> Self {
        self.response_examples.push((status, body));
        self
    }

    /// Lets pages of every origin read the responses.
    #[must_use]
    pub fn public(self) -> Self {
        Self { is_public: true, ..self }
    }
}

/// The details of an operation, or of a tuple of operations.
pub trait Describe {
    /// The details of each operation.
    fn details() -> Vec<OperationDetails>;
}

impl<O: Operation> Describe for O {
    fn details() -> Vec<OperationDetails> {
        let time = DateTime::from_timestamp_millis(EXAMPLE_TIME).unwrap_or_default();
        let errors = O::ERRORS.iter().map(|spec| {
            let error = ApiError::documented(*spec);
            (spec.status, O::Code::body(&error, time).to_json().unwrap_or_default())
        });
        let success = Some((O::SUCCESS.0, O::success_example())).filter(|(status, _)| *status != NO_CONTENT);
        vec![OperationDetails {
            request_example: O::request_example(),
            response_examples: success.into_iter().chain(errors).collect(),
            links: O::LINKS,
            time_limit: O::TIME_LIMIT,
            ..OperationDetails::new(O::ID)
        }]
    }
}

/// Describes tuples as poem-openapi serves them: an operation or a tuple in each field.
macro_rules! describe_tuples {
    ($head:ident $($tail:ident)*) => {
        impl<$head: Describe, $($tail: Describe),*> Describe for ($head, $($tail,)*) {
            fn details() -> Vec<OperationDetails> {
                [$head::details(), $($tail::details()),*].into_iter().flatten().collect()
            }
        }
        describe_tuples!($($tail)*);
    };
    () => {};
}

describe_tuples!(A B C D E F G H I J K L M N O P);

/// The time of the example requests in milliseconds: the time on the documented pages.
const EXAMPLE_TIME: i64 = 1_777_887_720_000;

/// The result of a handler.
pub type OperationResult<O> = Result<OperationResponse<O>, OperationError<O>>;

/// The status of a success without a body.
const NO_CONTENT: u16 = 204;

/// The success response of an operation.
pub struct OperationResponse<O: Operation> {
    body: O::Body,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl<O: Operation> OperationResponse<O> {
    /// A response with this body.
    pub fn new(body: O::Body) -> Self {
        Self { body, headers: Vec::new() }
    }

    /// Adds a header, which [`Operation::HEADERS`] documents. A value that is not visible ASCII is left out.
    #[must_use]
    pub fn with_header(mut self, header: ResponseHeader, value: &str) -> Self {
        debug_assert!(
            O::HEADERS.iter().any(|known| known.name == header.name),
            "{} is not documented",
            header.name
        );
        let name = HeaderName::from_bytes(header.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            self.headers.push((name, value));
        }
        self
    }
}

impl<O: Operation<Body = NoContent>> OperationResponse<O> {
    /// A response without a body.
    pub fn no_content() -> Self {
        Self::new(NoContent)
    }
}

/// An error response of an operation.
pub struct OperationError<O: Operation>(ApiError<O::Code>, PhantomData<O>);

impl<O: Operation, E: Into<ApiError<O::Code>>> From<E> for OperationError<O> {
    fn from(error: E) -> Self {
        let error = error.into();
        debug_assert!(
            O::ERRORS.iter().any(|spec| spec.status == error.status.as_u16()),
            "{error} is not documented for {}",
            O::ID
        );
        Self(error, PhantomData)
    }
}

impl<O: Operation> From<OperationError<O>> for poem::Error {
    fn from(error: OperationError<O>) -> Self {
        error.0.into()
    }
}

impl<O: Operation> IntoResponse for OperationResponse<O> {
    fn into_response(self) -> Response {
        let mut response = match O::SUCCESS.0 {
            NO_CONTENT => Response::default(),
            _ => Json(self.body).into_response(),
        };
        response.set_status(StatusCode::from_u16(O::SUCCESS.0).unwrap_or_default());
        response.headers_mut().extend(self.headers);
        response
    }
}

impl<O: Operation> ApiResponse for OperationResponse<O> {
    fn meta() -> MetaResponses {
        let (status, description) = O::SUCCESS;
        let mut response = response::<O::Body>(status, description);
        let headers = O::HEADERS.iter();
        response.headers.extend(
            headers.map(|&ResponseHeader { name, description, example }| {
                header(name, true, description, example)
            }),
        );
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        O::Body::register(registry);
    }
}

impl<O: Operation> ApiResponse for OperationError<O> {
    fn meta() -> MetaResponses {
        let responses = O::ERRORS
            .iter()
            .map(|spec| response::<<O::Code as Envelope>::Body>(spec.status, spec.description));
        MetaResponses { responses: responses.collect() }
    }

    fn register(registry: &mut Registry) {
        <O::Code as Envelope>::Body::register(registry);
    }
}

fn response<B: Type + ToJSON>(status: u16, description: &'static str) -> MetaResponse {
    let mut headers = vec![header(
        "Cache-Control",
        true,
        "Always `no-store`: the response is for this client alone.",
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
    let body = MetaMediaType { content_type: Json::<B>::CONTENT_TYPE, schema: B::schema_ref() };
    let content = if status == NO_CONTENT { Vec::new() } else { vec![body] };
    MetaResponse { description, status: Some(status), status_range: None, content, headers }
}

/// A response header in the document. Its schema has a type, a maximum length and an example: tools for the document disagree
/// about every other keyword.
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
