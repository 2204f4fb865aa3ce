//! `GET /`

use std::sync::{Arc, OnceLock};

use poem::{Request, web::Data};
use poem_openapi::{
    Object, OpenApi,
    param::Header,
    payload::Payload,
    registry::{MetaMediaType, Registry},
    types::{ToJSON, Type},
};
use serde_json::json;

use crate::{
    api::{
        Services,
        openapi::{TITLE, Tag, VERSION},
    },
    http::{
        html_page::html_page,
        json::Json,
        negotiation,
        operation::{Describe, OperationDetails},
        static_body::StaticBody,
        static_response::{Content, IfNoneMatch, StaticResponse, html},
    },
};

/// The server's name and the paths of its documents.
#[derive(Debug, Object)]
pub struct ServiceInfo {
    /// The name of the product.
    #[oai(validator(max_length = 64, pattern = "^[A-Za-z]+$"))]
    name: String,
    /// The version of the API.
    #[oai(validator(max_length = 32, pattern = r"^[0-9]+\.[0-9]+\.[0-9]+$"))]
    version: String,
    /// The path of the page that shows the API.
    #[oai(validator(max_length = 2048, pattern = "^/"))]
    docs: String,
    /// The path of the OpenAPI document, as YAML.
    #[oai(validator(max_length = 2048, pattern = "^/"), rename = "openapiYaml")]
    openapi_yaml: String,
    /// The path of the OpenAPI document, as JSON.
    #[oai(validator(max_length = 2048, pattern = "^/"), rename = "openapiJson")]
    openapi_json: String,
}

impl Content for ServiceInfo {
    const VARY: &'static str = "Accept, Accept-Encoding";

    fn media_types() -> Vec<MetaMediaType> {
        let json = MetaMediaType { content_type: Json::<Self>::CONTENT_TYPE, schema: Self::schema_ref() };
        vec![json, html()]
    }

    fn register(registry: &mut Registry) {
        <Self as Type>::register(registry);
    }
}

/// Both forms of the response.
struct Landing {
    page: StaticBody,
    info: StaticBody,
}

impl Landing {
    /// The forms for a server whose public URL has the path `base`: empty, or without a slash at its end.
    fn new(base: &str) -> Self {
        // Without a base the links are relative, so that they are right behind a prefix that the server does not know.
        let links = if base.is_empty() { String::new() } else { format!("{base}/").replace('&', "&amp;") };
        let info = ServiceInfo {
            name: TITLE.to_owned(),
            version: VERSION.to_owned(),
            docs: format!("{base}/docs"),
            openapi_yaml: format!("{base}/openapi.yaml"),
            openapi_json: format!("{base}/openapi.json"),
        };
        Self {
            page: html_page(PAGE.replace("{links}", &links)).varying_by_accept(),
            info: StaticBody::new(Json::<ServiceInfo>::CONTENT_TYPE, info.to_json_string())
                .varying_by_accept(),
        }
    }
}

/// `GET /`
#[derive(Default)]
pub struct GetServiceInfo(OnceLock<Landing>);

#[OpenApi(tag = "Tag::Service")]
impl GetServiceInfo {
    /// The server's name and the paths of its documents
    ///
    /// A browser gets a page with links to the documents of the API, and a program gets the same links as JSON. `Accept`
    /// decides. JSON is sent if both have the same weight.
    #[oai(path = "/", method = "get", operation_id = "getServiceInfo")]
    async fn get_service_info(
        &self,
        request: &Request,
        /// The tags of the bodies that the client has (RFC 9110 section 13.1.2)
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<IfNoneMatch>>,
        services: Data<&Arc<Services>>,
    ) -> StaticResponse<ServiceInfo> {
        let Landing { page, info } = self.0.get_or_init(|| Landing::new(services.document.routes().base()));
        let form = if negotiation::prefers_html(request.headers()) { page } else { info };
        form.respond(request, if_none_match.0.as_ref()).into()
    }
}

impl Describe for GetServiceInfo {
    fn details() -> Vec<OperationDetails> {
        let info = json!({
            "name": TITLE,
            "version": VERSION,
            "docs": "/docs",
            "openapiYaml": "/openapi.yaml",
            "openapiJson": "/openapi.json",
        });
        vec![OperationDetails::new("getServiceInfo").response_example(200, info)]
    }
}

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Homeroom</title>
    <link rel="icon" href="data:,">
    <style>
        body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
    </style>
</head>
<body>
    <main>
        <h1>Homeroom</h1>
        <p>This server has an API for two things: a person signs in, and a student joins a class with a join code.</p>
        <ul>
            <li><a href="{links}docs">Read the API and try it</a></li>
            <li><a href="{links}openapi.yaml">OpenAPI document, as YAML</a></li>
            <li><a href="{links}openapi.json">OpenAPI document, as JSON</a></li>
        </ul>
    </main>
</body>
</html>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn links(base: &str) -> Vec<String> {
        let page = Landing::new(base).page;
        let html = std::str::from_utf8(page.bytes()).unwrap();
        let links = html.split("<a href=\"").skip(1);
        links.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
    }

    #[test]
    fn links_of_a_server_without_base_are_relative() {
        assert_eq!(links(""), ["docs", "openapi.yaml", "openapi.json"]);
    }

    #[test]
    fn links_of_a_server_with_base_begin_with_it() {
        let expected = ["docs", "openapi.yaml", "openapi.json"].map(|name| format!("/a&amp;b/{name}"));
        assert_eq!(links("/a&b"), expected);
    }
}
