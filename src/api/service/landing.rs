//! What `/` answers: a page for people, and the same links as JSON for programs.

use poem::{Request, Response};
use poem_openapi::{
    Object,
    payload::Payload,
    registry::{MetaMediaType, Registry},
    types::{ToJSON, Type},
};

use super::operations::html;
use crate::{
    api::openapi::{self, html_page},
    http::{json::Json, negotiation, static_body::StaticBody, static_response::Content},
};

/// What this server is, and where its documents are.
#[derive(Debug, Object)]
pub struct ServiceInfo {
    /// The product's name.
    #[oai(validator(max_length = 64, pattern = "^[A-Za-z]+$"))]
    name: String,
    /// The version of the API.
    #[oai(validator(max_length = 32, pattern = r"^[0-9]+\.[0-9]+\.[0-9]+$"))]
    version: String,
    /// The path of the page to read the API on and to try it from.
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

/// Both forms of `/`.
pub struct Landing {
    page: StaticBody,
    info: StaticBody,
}

impl Landing {
    /// For a server whose public URL has the path `base`, empty or without a slash at its end.
    pub fn new(base: &str) -> Self {
        // Without a known base the links are relative, so that they also work behind a prefix that was not configured.
        let links = if base.is_empty() { String::new() } else { format!("{base}/").replace('&', "&amp;") };
        let info = ServiceInfo {
            name: "Homeroom".to_owned(),
            version: openapi::VERSION.to_owned(),
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

    /// The response to `request`: the page if its client prefers HTML, as browsers do.
    pub fn respond(&self, request: &Request, if_none_match: Option<&str>) -> Response {
        let html = negotiation::prefers_html(request.headers());
        let form = if html { &self.page } else { &self.info };
        form.respond(request, if_none_match)
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
