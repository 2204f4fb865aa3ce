//! Responses with a static body in the document: 200 with the body, or 304 without it.

use std::marker::PhantomData;

use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use super::{operation::header, static_body::TAG_EXAMPLE, string_types::parameter};

/// The documentation of a static body.
pub trait Content: Send + Sync + 'static {
    /// The value of `Vary`.
    const VARY: &'static str = "Accept-Encoding";

    /// The media types, each with its schema.
    fn media_types() -> Vec<MetaMediaType>;

    /// Registers the schemas that the media types refer to.
    fn register(_: &mut Registry) {}
}

/// A media type with an inline schema. The document names it without the parameters that the response has.
pub fn media_type(content_type: &'static str, schema: MetaSchema) -> MetaMediaType {
    MetaMediaType { content_type, schema: MetaSchemaRef::Inline(Box::new(schema)) }
}

/// The media type of pages. The schema is the one of a file: generated clients do not parse it.
pub fn html() -> MetaMediaType {
    media_type("text/html", MetaSchema::new_with_format("string", "binary"))
}

parameter!(
    /// The value of an `If-None-Match` header.
    IfNoneMatch, { example: TAG_EXAMPLE.into() }
);

/// A response with a static body.
pub struct StaticResponse<C>(Response, PhantomData<C>);

impl<C> From<Response> for StaticResponse<C> {
    fn from(response: Response) -> Self {
        Self(response, PhantomData)
    }
}

impl<C: Content> IntoResponse for StaticResponse<C> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<C: Content> ApiResponse for StaticResponse<C> {
    fn meta() -> MetaResponses {
        let headers = || {
            vec![
                header("ETag", true, "The tag of these bytes (RFC 9110 section 8.8.3).", TAG_EXAMPLE),
                header("Cache-Control", true, "The body may be cached, but must be revalidated.", "no-cache"),
                header("Vary", true, "The request headers that the body depends on.", C::VARY),
            ]
        };
        let mut headers_of_body = headers();
        headers_of_body.push(header(
            "Content-Encoding",
            false,
            "`gzip` if the body is compressed, as `Accept-Encoding` allows.",
            "gzip",
        ));
        let response = |status, description, content, headers| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content,
            headers,
        };
        MetaResponses {
            responses: vec![
                response(200, "The body", C::media_types(), headers_of_body),
                response(304, "The client has the body", Vec::new(), headers()),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        C::register(registry);
    }
}
