//! The page to read the document on, and what it may do in a browser.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use poem::http::HeaderValue;

use super::Text;

/// How poem's page begins, and how ours does: in standards mode, with a language, and with no icon to ask for.
const POEMS_HEAD: &str = "\n<html charset=\"UTF-8\">\n<head>\n    <meta http-equiv=\"Content-Type\" \
    content=\"text/html;charset=utf-8\">\n    <title>Swagger UI</title>\n";
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n    <meta charset=\"utf-8\">\n    \
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n    \
    <title>Homeroom</title>\n    <link rel=\"icon\" href=\"data:,\">\n";

/// The page.
pub struct Page {
    text: Text,
    policy: HeaderValue,
}

impl Page {
    /// Finishes a generated page: it shows the finished document, `json`, in the place of the `generated` one.
    pub(super) fn finish(page: &str, generated: &str, json: &str) -> Self {
        // Inside a script element `</` would end it.
        let json = json.replace("</", "<\\/");
        let text = page.replacen(generated, &json, 1).replacen(POEMS_HEAD, HEAD, 1);
        Self { policy: policy(&text), text: Text::new(text) }
    }

    /// As HTML.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// What it may do in a browser: its `Content-Security-Policy`.
    pub fn policy(&self) -> &HeaderValue {
        &self.policy
    }
}

/// What a page may do (Content Security Policy Level 3): run the scripts and wear the styles that it came with, each
/// known by its digest, show the pictures that are inside them, and ask this server.
fn policy(page: &str) -> HeaderValue {
    let (mut scripts, mut styles) = (String::new(), String::new());
    let mut rest = page;
    while let Some(Element { is_script, text, after }) = next_element(rest) {
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
        let digests = if is_script { &mut scripts } else { &mut styles };
        *digests = format!("{digests} 'sha256-{digest}'");
        rest = after;
    }
    let policy = format!(
        "default-src 'none'; script-src{scripts}; style-src{styles}; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// A script or a style, with what follows it.
struct Element<'a> {
    is_script: bool,
    text: &'a str,
    after: &'a str,
}

/// The next script or style. Inside of one, nothing but its own end means anything.
fn next_element(page: &str) -> Option<Element<'_>> {
    let (script, style) = (page.find("<script"), page.find("<style"));
    let is_script = script.unwrap_or(usize::MAX) < style.unwrap_or(usize::MAX);
    let (begin, end) = if is_script { (script?, "</script>") } else { (style?, "</style>") };
    let (_, inside) = page[begin..].split_once('>')?;
    let (text, after) = inside.split_once(end)?;
    Some(Element { is_script, text, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_run_the_very_scripts_that_it_came_with() {
        let page = "<style a=\"b\">p {}</style><script>1 < '<style>'</script>\n<script x>2</script>";
        let [style, one, two] = ["p {}", "1 < '<style>'", "2"].map(|text| {
            let digest = digest::digest(&digest::SHA256, text.as_bytes());
            format!("'sha256-{}'", STANDARD.encode(digest))
        });
        let policy = policy(page);
        let policy = policy.to_str().unwrap();
        assert!(policy.contains(&format!("; script-src {one} {two}; style-src {style}; ")), "{policy}");
    }
}
