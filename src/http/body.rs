//! Reading request bodies: JSON bodies up to a maximum size, and bodies that no operation reads.

use std::{borrow::Cow, time::Duration};

use futures_util::StreamExt;
use poem::{
    Body, Request, RequestBody,
    error::ResponseError,
    http::{HeaderMap, StatusCode, header},
};
use zeroize::Zeroizing;

/// The maximum size of a JSON body in bytes. It is enough for every property at its maximum length, with every non-ASCII
/// character written as an escape sequence.
pub const MAX_BODY: usize = 24 * 1024;

/// The maximum time in which a JSON body must arrive.
const MAX_ARRIVAL: Duration = Duration::from_secs(10);

/// The byte order marks of UTF-8, and of UTF-16 in both orders (RFC 8259 section 8.1).
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"];

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The `Content-Type` is not JSON.
    #[error("Content-Type must be application/json")]
    MediaType,
    /// The `Content-Type` is not that of a form.
    #[error("Content-Type must be multipart/form-data with a boundary")]
    FormMediaType,
    /// The body is not a form.
    #[error("the body is not a valid multipart form")]
    Form,
    /// The form has no file, or more than one.
    #[error("the form must have exactly one part named file")]
    FileCount,
    /// The file is too large. The line is known if the form could be read.
    #[error(
        "file must have at most {max} bytes{}",
        line.map(|line| format!("; line {line} goes beyond")).unwrap_or_default()
    )]
    FileTooLarge {
        /// The maximum number of bytes.
        max: usize,
        /// The line that goes beyond, from 1.
        line: Option<usize>,
    },
    /// The body has a content coding, for example gzip.
    #[error("the body must not have a Content-Encoding")]
    Encoded,
    /// The body is larger than [`MAX_BODY`].
    #[error("the body must have at most {MAX_BODY} bytes")]
    TooLarge,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection ended before the end of the body.
    #[error("the body broke off")]
    Interrupted,
    /// The body begins with a byte order mark.
    #[error("the body must not begin with a byte order mark: JSON is UTF-8 without one")]
    ByteOrderMark,
    /// The body is not JSON.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Syntax {
        /// The line of the error, from 1.
        line: usize,
        /// The column of the error, from 1.
        column: usize,
    },
    /// The body is JSON and violates the operation's schema.
    #[error("the body violates its schema")]
    Invalid(Vec<String>),
}

impl BodyError {
    /// One message for each violation.
    pub fn messages(&self) -> Vec<Cow<'static, str>> {
        match self {
            Self::Invalid(violations) => violations.iter().cloned().map(Cow::Owned).collect(),
            other => vec![Cow::Owned(other.to_string())],
        }
    }
}

impl ResponseError for BodyError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a JSON body. The bytes are wiped when they are dropped, because they may hold a password. The read buffer of the
/// connection belongs to hyper and is not wiped.
pub(super) async fn read_json(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    if !has_json_type(request.headers()) {
        return Err(BodyError::MediaType);
    }
    if is_encoded(request.headers()) {
        return Err(BodyError::Encoded);
    }
    // Checked before the body is read: a client that waits for `100 Continue` then sends no body (RFC 9110 section 10.1.1).
    let length = content_length(request.headers());
    if length > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    let body = body.take().map_err(|_| BodyError::Interrupted)?;
    // Boxed to keep the request's future small after the body has been read.
    let reading = Box::pin(tokio::time::timeout(MAX_ARRIVAL, collect(body, length, MAX_BODY)));
    let bytes = reading.await.map_err(|_| BodyError::TooSlow)??;
    if BYTE_ORDER_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(BodyError::ByteOrderMark);
    }
    Ok(bytes)
}

/// Reads a form of at most `most` bytes, of which its file may have all.
pub(super) async fn read_form(
    request: &Request,
    body: &mut RequestBody,
    most: usize,
    max_arrival: Duration,
) -> Result<Vec<u8>, BodyError> {
    if is_encoded(request.headers()) {
        return Err(BodyError::Encoded);
    }
    let length = content_length(request.headers());
    if length > most {
        return Err(BodyError::TooLarge);
    }
    let body = body.take().map_err(|_| BodyError::Interrupted)?;
    let reading = Box::pin(tokio::time::timeout(max_arrival, collect(body, length, most)));
    let mut bytes = reading.await.map_err(|_| BodyError::TooSlow)??;
    // The file holds no password, so that the caller's copies need not be wiped.
    Ok(std::mem::take(&mut *bytes))
}

fn content_length(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or_default()
}

/// Whether a media type is JSON. Parameters do not matter: JSON is always UTF-8 (RFC 8259 section 8.1).
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Whether there is exactly one `Content-Type`, and it is JSON.
fn has_json_type(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(content_type), None) => content_type.to_str().is_ok_and(is_json),
        _ => false,
    }
}

/// Whether the body has a content coding (RFC 9110 section 8.4).
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// Collects a body of `length` bytes, or of unknown length if that is 0. The buffer never exceeds `most`, so that a
/// slow client cannot make the server hold more. A buffer that grows is wiped before it is released.
async fn collect(body: Body, length: usize, most: usize) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let mut frames = body.into_bytes_stream();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_| BodyError::Interrupted)?;
        let length = bytes.len() + frame.len();
        if length > most {
            return Err(BodyError::TooLarge);
        }
        if length > bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity((2 * length).min(most)));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(&frame);
    }
    Ok(bytes)
}

/// Reads and drops a body that no operation reads. Otherwise the connection would be reset while the client still sends, and
/// the client would not see the response. A larger or slower body is abandoned.
pub(super) async fn discard(request: &mut Request) {
    const MAX_BYTES: usize = 1024 * 1024;
    const MAX_TIME: Duration = Duration::from_secs(2);
    let mut body = request.take_body().into_bytes_stream();
    let read = async {
        let mut length = 0;
        while let Some(Ok(chunk)) = body.next().await {
            length += chunk.len();
            if length > MAX_BYTES {
                break;
            }
        }
    };
    // The response is the same whether the body ended, broke off or was abandoned.
    let _ = tokio::time::timeout(MAX_TIME, read).await;
}
