//! `GET /openapi.yaml`, `GET /openapi.json` and `GET /docs`

use std::sync::Arc;

use poem::{Request, web::Data};
use poem_openapi::{
    OpenApi,
    param::Header,
    registry::{MetaMediaType, MetaSchema},
};

use crate::{
    api::{Services, openapi::Tag},
    http::{
        operation::{Describe, OperationDetails},
        static_response::{Content, IfNoneMatch, StaticResponse, html, media_type},
    },
};

/// The document as YAML (RFC 9512). Its schema is the one of a file: generated clients do not parse it.
pub struct Yaml;

impl Content for Yaml {
    fn media_types() -> Vec<MetaMediaType> {
        vec![media_type("application/yaml", MetaSchema::new_with_format("string", "binary"))]
    }
}

/// The document as JSON.
pub struct JsonText;

impl Content for JsonText {
    fn media_types() -> Vec<MetaMediaType> {
        vec![media_type("application/json", MetaSchema::new("object"))]
    }
}

/// The page of the document.
pub struct Page;

impl Content for Page {
    fn media_types() -> Vec<MetaMediaType> {
        vec![html()]
    }
}

/// `GET /openapi.yaml`
#[derive(Default)]
pub struct GetDocumentYaml;

#[OpenApi(tag = "Tag::Service")]
impl GetDocumentYaml {
    /// This document, as YAML
    ///
    /// It has the bytes of the `openapi.yaml` of the server's release. If the server's public URL has a path, that path is the
    /// URL in `servers`.
    #[oai(path = "/openapi.yaml", method = "get", operation_id = "getDocumentYaml")]
    async fn get_document_yaml(
        &self,
        request: &Request,
        /// The tags of the bodies that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<IfNoneMatch>>,
        services: Data<&Arc<Services>>,
    ) -> StaticResponse<Yaml> {
        services.document.yaml().respond(request, if_none_match.0.as_ref()).into()
    }
}

impl Describe for GetDocumentYaml {
    fn details() -> Vec<OperationDetails> {
        vec![OperationDetails::new("getDocumentYaml").public()]
    }
}

/// `GET /openapi.json`
#[derive(Default)]
pub struct GetDocumentJson;

#[OpenApi(tag = "Tag::Service")]
impl GetDocumentJson {
    /// This document, as JSON
    ///
    /// It has the same content as `/openapi.yaml`.
    #[oai(path = "/openapi.json", method = "get", operation_id = "getDocumentJson")]
    async fn get_document_json(
        &self,
        request: &Request,
        /// The tags of the bodies that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<IfNoneMatch>>,
        services: Data<&Arc<Services>>,
    ) -> StaticResponse<JsonText> {
        services.document.json().respond(request, if_none_match.0.as_ref()).into()
    }
}

impl Describe for GetDocumentJson {
    fn details() -> Vec<OperationDetails> {
        vec![OperationDetails::new("getDocumentJson").public()]
    }
}

/// `GET /docs`
#[derive(Default)]
pub struct GetDocs;

#[OpenApi(tag = "Tag::Service")]
impl GetDocs {
    /// This document, as a page
    ///
    /// Swagger UI, to read the document and to try the operations. The page loads nothing from other servers.
    #[oai(path = "/docs", method = "get", operation_id = "getDocs")]
    async fn get_docs(
        &self,
        request: &Request,
        /// The tags of the bodies that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<IfNoneMatch>>,
        services: Data<&Arc<Services>>,
    ) -> StaticResponse<Page> {
        services.document.page().respond(request, if_none_match.0.as_ref()).into()
    }
}

impl Describe for GetDocs {
    fn details() -> Vec<OperationDetails> {
        vec![OperationDetails::new("getDocs")]
    }
}
