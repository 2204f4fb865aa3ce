//! A text that is served as it is, with a tag by which a client can ask whether it has changed.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// A text and its strong entity tag (RFC 9110 section 8.8.3).
pub struct Text {
    text: String,
    tag: String,
}

impl Text {
    /// Tags a text with its digest.
    pub fn new(text: String) -> Self {
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]));
        Self { text, tag }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The tag, quoted as it stands in the header.
    pub fn tag(&self) -> String {
        self.tag.clone()
    }

    /// Whether a client that sends this `If-None-Match` has the text (RFC 9110 section 13.1.2).
    pub fn is_held(&self, if_none_match: Option<&str>) -> bool {
        if_none_match.is_some_and(|tags| {
            tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.tag)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_the_text_whose_tag_it_names() {
        let text = Text::new("a".to_owned());
        for tags in [text.tag(), format!("\"b\", W/{}", text.tag()), "*".to_owned()] {
            assert!(text.is_held(Some(&tags)), "{tags}");
        }
        assert!(!text.is_held(None) && !text.is_held(Some("\"b\"")));
    }
}
