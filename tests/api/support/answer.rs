//! Requests and responses without a listener.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use poem::{
    Body, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri},
    web::{LocalAddr, RemoteAddr},
};
use serde_json::{Value, json};

use super::School;

/// A request under construction.
pub struct Call<'a> {
    school: &'a School,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
    from: IpAddr,
}

/// The default address of the client.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

/// The status and the body of an error of the classroom family, at the start of the clock.
pub fn failure(code: u16, error_code: &str, message: &str) -> (u16, Value) {
    let body = json!({
        "success": false,
        "code": code,
        "errorCode": error_code,
        "message": message,
        "timestamp": "2026-05-04T09:42:00Z",
    });
    (code, body)
}

impl<'a> Call<'a> {
    pub(super) fn new(school: &'a School, method: &str, path: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Self {
            school,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            from: ADDRESS,
        }
    }

    /// Sets the address of the client.
    pub fn from(mut self, address: IpAddr) -> Self {
        self.from = address;
        self
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::from_vec(body.into());
        self
    }

    /// A form with this file.
    pub fn file(self, file: impl AsRef<[u8]>) -> Self {
        let head = "--form-boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"students.csv\"\r\n\
                    Content-Type: text/csv\r\n\r\n";
        let body = [head.as_bytes(), file.as_ref(), b"\r\n--form-boundary--\r\n"].concat();
        self.header("Content-Type", "multipart/form-data; boundary=form-boundary").body(body)
    }

    /// A body of several chunks, without a `Content-Length`.
    pub fn chunks(mut self, chunks: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Self {
        let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
        self.body = Body::from_bytes_stream(futures_util::stream::iter(chunks));
        self
    }

    pub async fn send(self) -> Answer {
        let school = self.school;
        Answer::of(school.respond(self.request()).await).await
    }

    /// The request, for another endpoint.
    pub fn request(self) -> Request {
        let mut head =
            poem::http::Request::builder().method(self.method).uri(self.path.parse::<Uri>().unwrap());
        let headers = head.headers_mut().unwrap();
        *headers = self.headers;
        headers.entry(poem::http::header::HOST).or_insert(HeaderValue::from_static("localhost"));
        let (parts, ()) = head.body(()).unwrap().into_parts();
        let remote = RemoteAddr(SocketAddr::from((self.from, 40_000)).into());
        let local = LocalAddr(SocketAddr::from(([127, 0, 0, 1], 8080)).into());
        let parts = (parts, local, remote, poem::http::uri::Scheme::HTTP).into();
        Request::from_parts(parts, self.body)
    }
}

impl Answer {
    /// Reads a response, and asserts the headers of every response.
    pub async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        assert_protected(status, &headers);
        let text = response.into_body().into_string().await.unwrap();
        Self { status, headers, text }
    }

    /// The JSON body. Its media type must be exactly `application/json`.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status and the JSON body.
    pub fn whole(&self) -> (u16, Value) {
        (self.status, self.json())
    }
}

/// The security headers of every response.
pub const PROTECTION: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

fn assert_protected(status: u16, headers: &HeaderMap) {
    let is_page =
        status == 304 || headers.get("content-type").is_some_and(|value| value == "text/html; charset=utf-8");
    for (name, value) in PROTECTION {
        let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {headers:?}");
        // Pages have a policy of their own.
        if !is_page || name != "content-security-policy" {
            assert_eq!(values[0], value, "{name}: {headers:?}");
        }
    }
}
