//! HTML pages, and the policy that restricts them in a browser.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use poem::http::HeaderValue;

use super::static_body::StaticBody;

/// The `Content-Type` of a page.
pub const HTML: &str = "text/html; charset=utf-8";

/// A page that may run only the scripts and use only the styles that it contains.
pub fn html_page(html: String) -> StaticBody {
    let policy = policy(&html);
    StaticBody::new(HTML, html).with_policy(policy)
}

/// The `Content-Security-Policy` of a page (Content Security Policy Level 3). It allows each script and style of the page by
/// its digest, and embedded images. A page with scripts may send requests to this server.
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

/// A `script` or `style` element, and the text after it.
struct Element<'a> {
    is_script: bool,
    text: &'a str,
    after: &'a str,
}

/// The next `script` or `style` element. Its text ends at its own end tag and may contain other tags.
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
