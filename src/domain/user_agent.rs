//! The program that sent a request, as it names itself.

use sea_orm::DeriveValueType;

/// The value of a `User-Agent` header (RFC 9110 section 10.1.5), shortened.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct UserAgent(String);

impl UserAgent {
    /// The maximum number of characters.
    pub const MAX: usize = 256;

    /// The first [`UserAgent::MAX`] printable ASCII characters of a header. None if it has none.
    pub fn from_header(value: &[u8]) -> Option<Self> {
        let printable = value.iter().filter(|byte| matches!(byte, b' '..=b'~'));
        let text: String = printable.take(Self::MAX).map(|byte| char::from(*byte)).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agent_is_shortened_and_keeps_printable_characters() {
        let read = |value: &[u8]| UserAgent::from_header(value).map(|agent| agent.as_str().to_owned());
        assert_eq!(read(b" curl/8.0\t\x80(a) "), Some("curl/8.0(a)".to_owned()));
        assert_eq!(read(&[b'a'; 300]), Some("a".repeat(256)));
        assert_eq!((read(b""), read(b" \t")), (None, None));
    }
}
