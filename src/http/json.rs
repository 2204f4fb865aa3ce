//! JSON payloads, with the media type `application/json` and no parameter in the document and in responses.

use poem::{IntoResponse, Request, RequestBody, Response, Result, http::StatusCode};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::Payload,
    registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::{
    body::{self, BodyError},
    validation::{Validator, Validators, Violation},
};

/// A JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A type of request bodies.
pub trait JsonBody: ParseFromJSON {
    /// Whether `null` removes a value, as in a merge patch (RFC 7396). Otherwise it means that the property is absent.
    const NULL_REMOVES: bool = false;

    /// Violations of rules that a schema cannot express, for example rules about two properties.
    fn violations(_: &Map<String, Value>) -> Vec<Violation> {
        Vec::new()
    }
}

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        body::is_json(content_type)
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

/// A parsed body, of which every string is wiped when it is dropped.
struct WipedJson(Value);

impl Drop for WipedJson {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Parses a body and validates it against the schema of `T`. Documented values move into `T`; the strings of all other values
/// are wiped. The parser's buffer for escape sequences belongs to `serde_json` and is not wiped.
fn parse<T: JsonBody>(validator: &Validator, bytes: &[u8]) -> Result<T, BodyError> {
    let value = serde_json::from_slice(bytes)
        .map_err(|error| BodyError::Syntax { line: error.line(), column: error.column() })?;
    let mut body = WipedJson(value);
    let violations = validator.violations(&body.0, T::violations);
    if !violations.is_empty() {
        return Err(BodyError::Invalid(violations));
    }
    // `null` is valid only for an optional property.
    let documented =
        validator.take_documented(&mut body.0).filter(|(_, value)| T::NULL_REMOVES || !value.is_null());
    let parsed = T::parse_from_json(Some(Value::Object(documented.collect())));
    parsed.map_err(|_| BodyError::Invalid(vec!["the body cannot be read".to_owned()]))
}

impl<'a, T: JsonBody> ApiExtractor<'a> for Json<T> {
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
        let bytes = body::read_json(request, body).await?;
        let validator = request.data::<Validators>().and_then(|validators| validators.of(&T::schema_ref()));
        let validator = validator.ok_or_else(|| {
            poem::Error::from_string("the body has no validator", StatusCode::INTERNAL_SERVER_ERROR)
        })?;
        Ok(Self(parse(validator, &bytes)?))
    }
}
