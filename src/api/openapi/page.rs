//! The page to read the document on, and what a page of ours may do in a browser.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use poem::http::HeaderValue;

use crate::http::static_body::StaticBody;

/// The `Content-Type` of a page.
pub const HTML: &str = "text/html; charset=utf-8";

/// How poem's page begins, and how ours does: in standards mode, with a language, and with no icon to ask for.
const POEMS_HEAD: &str = "\n<html charset=\"UTF-8\">\n<head>\n    <meta http-equiv=\"Content-Type\" \
    content=\"text/html;charset=utf-8\">\n    <title>Swagger UI</title>\n";
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n    <meta charset=\"utf-8\">\n    \
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n    \
    <title>Homeroom</title>\n    <link rel=\"icon\" href=\"data:,\">\n";

/// A page of ours: it runs the scripts and uses the styles that it came with, and nothing else.
pub fn html_page(html: String) -> StaticBody {
    let policy = policy(&html);
    StaticBody::new(HTML, html).with_policy(policy)
}

/// Finishes the generated page of the document: it shows the finished document, `json`, instead of the `generated` one.
pub(super) fn finish(page: &str, generated: &str, json: &str) -> String {
    // Inside a script element `</` would end it.
    let json = json.replace("</", "<\\/");
    page.replacen(generated, &json, 1).replacen(POEMS_HEAD, HEAD, 1)
}

/// The `Content-Security-Policy` of a page (Content Security Policy Level 3). It allows the scripts and styles in the
/// page, each by its digest, and pictures inside them. A page with scripts may call this server.
fn policy(page: &str) -> HeaderValue {
    let (mut scripts, mut styles) = (String::new(), String::new());
    let mut rest = page;
    while let Some(Element { is_script, text, after }) = next_element(rest) {
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
        let digests = if is_script { &mut scripts } else { &mut styles };
        *digests = format!("{digests} 'sha256-{digest}'");
        rest = after;
    }
    let mut directives = vec!["default-src 'none'".to_owned()];
    if !scripts.is_empty() {
        directives.push(format!("script-src{scripts}; connect-src 'self'"));
    }
    if !styles.is_empty() {
        directives.push(format!("style-src{styles}"));
    }
    directives.push("img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".to_owned());
    HeaderValue::try_from(directives.join("; ")).unwrap_or(HeaderValue::from_static("default-src 'none'"))
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

    fn digest_of(text: &str) -> String {
        format!("'sha256-{}'", STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes())))
    }

    #[test]
    fn page_with_scripts_may_run_those_scripts_and_call_its_server() {
        let page = "<style a=\"b\">p {}</style><script>1 < '<style>'</script>\n<script x>2</script>";
        let [style, one, two] = ["p {}", "1 < '<style>'", "2"].map(digest_of);
        let expected = format!(
            "default-src 'none'; script-src {one} {two}; connect-src 'self'; style-src {style}; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(policy(page), expected);
    }

    #[test]
    fn page_without_scripts_may_run_none_and_call_nothing() {
        let expected = format!(
            "default-src 'none'; style-src {}; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            digest_of("p {}")
        );
        assert_eq!(policy("<style>p {}</style><p>a</p>"), expected);
    }
}
