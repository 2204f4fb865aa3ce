//! The payload: JSON, whose media type is exactly `application/json`, in the document and on the wire.

use std::time::Duration;

use futures_util::StreamExt;
use poem::{
    Body, IntoResponse, Request, RequestBody, Response, Result,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::Payload,
    registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use serde_json::Value;

use super::{
    middleware::BadBody,
    validation::{self, Form},
};

/// The largest body that is read, in bytes: one in which every property is as long as it may be, and every character that is
/// not ASCII is written as an escape sequence, as libraries do.
pub const MAX_BODY: usize = 24 * 1024;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The byte order marks of UTF-8, and of UTF-16 in both orders (RFC 8259 section 8.1).
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"];

/// A JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        names_json(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + ToJSON> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        Response::builder().content_type(Self::CONTENT_TYPE).body(self.0.to_json_string())
    }
}

/// Whether a media type is JSON. A charset or any other parameter changes nothing: JSON is UTF-8 (RFC 8259 section 8.1).
fn names_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Whether a body is announced as JSON, and as nothing else beside.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(content_type), None) => content_type.to_str().is_ok_and(names_json),
        _ => false,
    }
}

/// Whether a body is announced with a content coding (RFC 9110 section 8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// Collects a body that has `announced` bytes, as far as that is known. What a slow sender makes the server hold is no
/// more than [`MAX_BODY`]: no frame is kept, and no room is made beyond it.
async fn collect(body: Body, announced: usize) -> Result<Vec<u8>, BadBody> {
    let mut frames = body.into_bytes_stream();
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_| BadBody::Interrupted)?;
        let length = bytes.len() + frame.len();
        if length > MAX_BODY {
            return Err(BadBody::TooLarge);
        }
        if length > bytes.capacity() {
            bytes.reserve_exact((2 * length).min(MAX_BODY) - bytes.len());
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(bytes)
}

impl<T: ParseFromJSON + Form> Json<T> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, BadBody> {
        if !is_json(request.headers()) {
            return Err(BadBody::MediaType);
        }
        if is_encoded(request.headers()) {
            return Err(BadBody::Encoded);
        }
        // Known before it is sent: who waits to be told to go on (RFC 9110 section 10.1.1) is told at once that it is not.
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let announced = announced.and_then(|length| length.parse::<usize>().ok()).unwrap_or_default();
        if announced > MAX_BODY {
            return Err(BadBody::TooLarge);
        }
        let body = body.take().map_err(|_| BadBody::Interrupted)?;
        // In a box, for what reading takes is not needed while the request is answered.
        let arrives = Box::pin(tokio::time::timeout(ARRIVAL, collect(body, announced)));
        let bytes = arrives.await.map_err(|_| BadBody::TooSlow)??;
        if BYTE_ORDER_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
            return Err(BadBody::ByteOrderMark);
        }
        let mut value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| BadBody::Syntax { line: error.line(), column: error.column() })?;
        validation::check::<T>(&value)?;
        // A `null` that the schema allows means that the property is absent.
        if let Some(object) = value.as_object_mut() {
            object.retain(|_, value| !value.is_null());
        }
        let parsed = T::parse_from_json(Some(value))
            .map_err(|_| BadBody::Form(vec![validation::UNREADABLE.into()]))?;
        Ok(Self(parsed))
    }
}

impl<'a, T: ParseFromJSON + Form> ApiExtractor<'a> for Json<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: T::schema_ref() }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self::read(request, body).await?)
    }
}
