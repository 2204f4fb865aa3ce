//! By which names a request is known in the log, in the answer and to whoever called the caller.

use chrono::{DateTime, Utc};
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::{domain::id, random::RandomSource};

/// The header by which a request is known, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a request's id looks like.
pub const REQUEST_ID_PATTERN: &str = "^[A-Za-z0-9._-]{1,64}$";
/// W3C Trace Context, section 3.2.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of a request: its caller's, if that can be written anywhere as it is, or a UUIDv7.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id of the request with these headers.
    pub fn of(headers: &HeaderMap, now: DateTime<Utc>, random: &dyn RandomSource) -> Self {
        let said = only(headers, &REQUEST_ID).filter(|value| is_plain(value.as_bytes()));
        Self(said.cloned().unwrap_or_else(|| drawn(id::uuid_v7(now, random))))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As the header's value.
    pub fn into_value(self) -> HeaderValue {
        self.0
    }
}

fn drawn(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    // A UUID's letters are all fit for a header.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("-"))
}

fn is_plain(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The trace that a request is a part of, if its `traceparent` is one of version 00, to the letter (section 3.2.2).
pub fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = only(headers, &TRACEPARENT)?.to_str().ok()?;
    let mut fields = text.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let valid = version == "00"
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_hexadecimal(flags, 2)
        && fields.next().is_none();
    valid.then_some(trace)
}

/// All zeros are no id.
fn is_id(text: &str, length: usize) -> bool {
    is_hexadecimal(text, length) && text.bytes().any(|byte| byte != b'0')
}

fn is_hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
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
    fn a_callers_id_is_taken_if_it_is_plain_and_the_only_one() {
        let id = |values: &[&[u8]]| {
            let headers = headers(&REQUEST_ID, values);
            RequestId::of(&headers, DateTime::UNIX_EPOCH, &OsRandom).as_str().to_owned()
        };
        let longest = "a".repeat(64);
        for taken in ["a", "A.b_c-9", &longest] {
            assert_eq!(id(&[taken.as_bytes()]), taken);
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
            let drawn: Uuid = id(values).parse().unwrap();
            assert_eq!(drawn.get_version_num(), 7, "{values:?}");
        }
    }

    #[test]
    fn a_trace_is_known_by_a_traceparent_of_version_00() {
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
