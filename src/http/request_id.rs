//! The ids of a request: its own id (`X-Request-Id`), and the id of its trace (`traceparent`).

use chrono::{DateTime, Utc};
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::{domain::id, random::RandomSource};

/// The header with the id of a request, in requests and in responses.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The form of the id of a request.
pub const REQUEST_ID_PATTERN: &str = "^[A-Za-z0-9._-]{1,64}$";
/// The header of W3C Trace Context, section 3.2.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of a request: the client's, if it has the documented form, or a new UUIDv7.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The id of the request with these headers.
    pub(super) fn of(headers: &HeaderMap, now: DateTime<Utc>, random: &dyn RandomSource) -> Self {
        let given = single(headers, &REQUEST_ID).filter(|value| is_plain(value.as_bytes()));
        Self(given.cloned().unwrap_or_else(|| header_value(id::uuid_v7(now, random))))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn into_value(self) -> HeaderValue {
        self.0
    }
}

fn header_value(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    // Every character of a UUID is valid in a header.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("-"))
}

fn is_plain(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The trace id of a valid `traceparent` of version 00 (section 3.2.2).
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = single(headers, &TRACEPARENT)?.to_str().ok()?;
    let mut fields = text.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let valid = version == "00"
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_hexadecimal(flags, 2)
        && fields.next().is_none();
    valid.then_some(trace)
}

/// Whether a text is an id. An id of zeros is not valid.
fn is_id(text: &str, length: usize) -> bool {
    is_hexadecimal(text, length) && text.bytes().any(|byte| byte != b'0')
}

fn is_hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The value of a header that occurs exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    fn headers(name: &HeaderName, values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn request_id_of_the_client_is_used_if_it_is_single_and_plain() {
        let id = |values: &[&[u8]]| {
            let headers = headers(&REQUEST_ID, values);
            RequestId::of(&headers, DateTime::UNIX_EPOCH, &OsRandom).as_str().to_owned()
        };
        let longest = "a".repeat(64);
        for accepted in ["a", "A.b_c-9", &longest] {
            assert_eq!(id(&[accepted.as_bytes()]), accepted);
        }
        let too_long = "a".repeat(65);
        let refused: [&[&[u8]]; 8] = [
            &[],
            &[b""],
            &[b"a b"],
            &[b"a\"b"],
            &[b"a\tb"],
            &[&[b'a', 0xE9]],
            &[too_long.as_bytes()],
            &[b"a", b"a"],
        ];
        for values in refused {
            let generated: Uuid = id(values).parse().unwrap();
            assert_eq!(generated.get_version_num(), 7, "{values:?}");
        }
    }

    #[test]
    fn trace_id_is_read_from_one_traceparent_of_version_00() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let trace = |values: &[&str]| {
            let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            trace_id(&headers(&TRACEPARENT, &values)).map(ToOwned::to_owned)
        };
        let right = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(trace(&[&right]).as_deref(), Some(TRACE));
        assert_eq!(trace(&[&format!("00-{TRACE}-00f067aa0ba902b7-ff")]).as_deref(), Some(TRACE));
        assert_eq!(trace(&[]), None);
        assert_eq!(trace(&[&right, &right]), None);
        for wrong in [
            String::new(),
            format!("01-{TRACE}-00f067aa0ba902b7-01"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-x"),
            format!("00-{TRACE}-00f067aa0ba902b7-1"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-00f067aa0ba902b7-01", &TRACE[1..]),
            format!("00-{TRACE}g-00f067aa0ba902b7-01"),
            format!(" {right}x"),
        ] {
            assert_eq!(trace(&[&wrong]), None, "{wrong}");
        }
    }
}
