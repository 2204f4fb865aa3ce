//! Static bodies: compression, entity tags, pages, and the document below a path.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use crate::support::{
    Kind, School,
    process::{Server, Site},
};

/// The paths with a static body, each with its media types.
const PATHS: [(&str, &str); 4] = [
    ("/", "application/json"),
    ("/docs", "text/html; charset=utf-8"),
    ("/openapi.yaml", "application/yaml"),
    ("/openapi.json", "application/json"),
];

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn demo() -> (Site, Server) {
    let site = Site::new(Kind::Sqlite).await;
    let server = site.listen("demo").await;
    (site, server)
}

/// A response with its encoded body.
struct Raw {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Raw {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The decoded body.
    fn decoded(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        match self.header("content-encoding") {
            "gzip" => _ = GzDecoder::new(self.bytes.as_slice()).read_to_end(&mut plain).unwrap(),
            _ => plain.clone_from(&self.bytes),
        }
        plain
    }
}

async fn fetch(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Raw {
    let request = server.client.request(method, format!("{}{path}", server.url));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Raw { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
}

#[tokio::test]
async fn static_body_is_compressed_as_accept_encoding_allows() {
    let (_site, server) = demo().await;
    for (path, media_type) in PATHS {
        let plain = fetch(&server, Method::GET, path, &[]).await;
        assert_eq!((plain.status, plain.header("content-type")), (200, media_type), "{path}");
        assert!(!plain.headers.contains_key("content-encoding"), "{path}");
        for accepted in
            ["gzip", "gzip, deflate, br", "gzip;q=0.5", "*", "br;q=1, *;q=0.1", "identity;q=0, gzip"]
        {
            let gzip = fetch(&server, Method::GET, path, &[("Accept-Encoding", accepted)]).await;
            assert_eq!((gzip.status, gzip.header("content-type")), (200, media_type), "{path}: {accepted}");
            assert_eq!(gzip.header("content-encoding"), "gzip", "{path}: {accepted}");
            assert_eq!(gzip.decoded(), plain.bytes, "{path}: {accepted}");
            assert_eq!(gzip.header("content-length"), gzip.bytes.len().to_string(), "{path}: {accepted}");
            // The body of `/` is short, and gzip saves little.
            assert!(path == "/" || gzip.bytes.len() * 3 < plain.bytes.len(), "{path}: {accepted}");
        }
        for refused in
            ["", "identity", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "gzip;q=0.4, identity;q=0.5"]
        {
            let answer = fetch(&server, Method::GET, path, &[("Accept-Encoding", refused)]).await;
            assert!(!answer.headers.contains_key("content-encoding"), "{path}: {refused}");
            assert_eq!(answer.bytes, plain.bytes, "{path}: {refused}");
        }
    }
}

#[tokio::test]
async fn each_form_of_a_static_body_has_its_own_tag() {
    let (_site, server) = demo().await;
    for (path, _) in PATHS {
        let (plain, gzip) = (&[][..], &[("Accept-Encoding", "gzip")][..]);
        let [tag_of_plain, tag_of_gzip] = [
            fetch(&server, Method::GET, path, plain).await.header("etag").to_owned(),
            fetch(&server, Method::GET, path, gzip).await.header("etag").to_owned(),
        ];
        assert_ne!(tag_of_plain, tag_of_gzip, "{path}");
        for (coding, own, other) in
            [(plain, &tag_of_plain, &tag_of_gzip), (gzip, &tag_of_gzip, &tag_of_plain)]
        {
            let with = |held: &str| {
                let mut headers = coding.to_vec();
                headers.push(("If-None-Match", held));
                headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>()
            };
            for (held, status) in [
                (own.clone(), 304),
                (format!("W/{own}"), 304),
                (format!("\"a\", {own}"), 304),
                ("*".to_owned(), 304),
                (other.clone(), 200),
                ("\"a\"".to_owned(), 200),
            ] {
                let headers = with(&held);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                for method in [Method::GET, Method::HEAD] {
                    let answer = fetch(&server, method, path, &headers).await;
                    assert_eq!(answer.status, status, "{path} {held}");
                    // A 304 has the caching headers of the 200 (RFC 9110 section 15.4.5).
                    assert_eq!(answer.header("etag"), own, "{path} {held}");
                    assert_eq!(answer.header("cache-control"), "no-cache", "{path} {held}");
                    assert!(answer.header("vary").ends_with("Accept-Encoding"), "{path} {held}");
                    assert!(answer.bytes.is_empty() || status == 200, "{path} {held}");
                }
            }
        }
    }
}

#[tokio::test]
async fn head_of_a_static_body_has_the_headers_of_get() {
    let (_site, server) = demo().await;
    for (path, _) in PATHS {
        for headers in [&[][..], &[("Accept-Encoding", "gzip")], &[("Accept", BROWSER)]] {
            let get = fetch(&server, Method::GET, path, headers).await;
            let head = fetch(&server, Method::HEAD, path, headers).await;
            assert_eq!((head.status, head.bytes.len()), (200, 0), "{path} {headers:?}");
            for name in
                ["content-type", "content-length", "content-encoding", "etag", "vary", "cache-control"]
            {
                assert_eq!(head.header(name), get.header(name), "{path} {headers:?} {name}");
            }
            assert_eq!(head.header("content-length"), get.bytes.len().to_string(), "{path} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_answers_a_browser_with_a_page_and_a_program_with_json() {
    let school = School::start(Kind::Sqlite).await;
    let links = json!({
        "name": "Homeroom",
        "version": homeroom::api::openapi::VERSION,
        "docs": "/docs",
        "openapiYaml": "/openapi.yaml",
        "openapiJson": "/openapi.json",
    });
    for accept in
        ["*/*", "application/json", "application/json, text/plain, */*", "image/png", "text/html;q=0"]
    {
        let answer = school.get("/").header("Accept", accept).send().await;
        assert_eq!(answer.whole(), (200, links.clone()), "{accept}");
        assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"), "{accept}");
    }
    assert_eq!(school.get("/").send().await.whole(), (200, links));
    for accept in [BROWSER, "text/html", "application/json;q=0.9, text/html"] {
        let page = school.get("/").header("Accept", accept).send().await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert_eq!(page.header("vary"), Some("Accept, Accept-Encoding"), "{accept}");
        assert!(page.text.starts_with("<!DOCTYPE html>"), "{accept}");
        for link in ["href=\"docs\"", "href=\"openapi.yaml\"", "href=\"openapi.json\""] {
            assert!(page.text.contains(link), "{link}");
        }
        // The page runs no script and sends no request.
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("script-src") && !policy.contains("connect-src"), "{policy}");
    }
}

/// A server whose public URL has a path, and that path.
async fn below_a_prefix() -> (Site, Server, &'static str) {
    let site = Site::new(Kind::Sqlite).await;
    let server = site.listen_as("demo", "https://school.example/a/homeroom/").await;
    (site, server, "/a/homeroom")
}

#[tokio::test]
async fn document_of_a_server_below_a_path_names_that_path() {
    let (_site, server, base) = below_a_prefix().await;
    // Some proxies remove the path of the public URL, and others keep it.
    for prefix in ["", base] {
        let json = fetch(&server, Method::GET, &format!("{prefix}/openapi.json"), &[]).await;
        let document: Value = serde_json::from_slice(&json.bytes).unwrap();
        assert_eq!(document["servers"].as_array().unwrap().len(), 1);
        assert_eq!(document["servers"][0]["url"], base);
        let yaml = fetch(&server, Method::GET, &format!("{prefix}/openapi.yaml"), &[]).await;
        assert_eq!(serde_saphyr::from_slice::<Value>(&yaml.bytes).unwrap(), document);
        let docs = fetch(&server, Method::GET, &format!("{prefix}/docs"), &[]).await;
        assert!(String::from_utf8(docs.bytes).unwrap().contains(&format!("\"url\": \"{base}\"")));
        // Except for the server's URL, the document is the one in the repository.
        let mut file: Value = serde_saphyr::from_str(include_str!("../../openapi.yaml")).unwrap();
        file["servers"][0]["url"] = base.into();
        assert_eq!(file, document);

        let page = fetch(&server, Method::GET, &format!("{prefix}/"), &[("Accept", BROWSER)]).await;
        let page = String::from_utf8(page.bytes).unwrap();
        assert!(page.contains(&format!("href=\"{base}/docs\"")), "{page}");
        let links = fetch(&server, Method::GET, &format!("{prefix}/"), &[]).await;
        let links: Value = serde_json::from_slice(&links.bytes).unwrap();
        assert_eq!(links["docs"], format!("{base}/docs"));

        for (path, status) in [
            ("/health/ready", 200),
            ("/.well-known/jwks.json", 200),
            ("/classes/1", 401),
            ("/api/classes/1", 401),
            ("/nothing", 404),
            ("/api/v1/nothing", 404),
        ] {
            let answer = fetch(&server, Method::GET, &format!("{prefix}{path}"), &[]).await;
            assert_eq!(answer.status, status, "{prefix}{path}");
        }
    }
    let root = fetch(&server, Method::GET, base, &[]).await;
    assert_eq!(root.status, 200);
    // A path that only begins with the same letters is another path.
    assert_eq!(fetch(&server, Method::GET, "/a/homerooms/docs", &[]).await.status, 404);
    // The envelope is the one of the path without the prefix.
    let failure = fetch(&server, Method::GET, &format!("{base}/api/v1/nothing"), &[]).await;
    let failure: Value = serde_json::from_slice(&failure.bytes).unwrap();
    assert_eq!(failure["errors"][0]["code"], "[E4040]");
}
