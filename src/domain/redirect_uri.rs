//! Redirect URIs (RFC 6749 section 3.1.2): registration, matching, and the redirect URL.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sea_orm::DeriveValueType;
use url::Url;

use super::{
    id::AppId,
    origin::{self, Origin},
    secret_token::AuthorizationCode,
    state::State,
};

/// A redirect URI that is registered for an app.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct RedirectUri(String);

super::not_auto_increment!(RedirectUri);

/// Why a redirect URI cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// The text is empty or too long.
    #[error("must have 1 to {} characters", RedirectUri::MAX)]
    Length,
    /// The text has a character that is not allowed in a URI.
    #[error("must not have {character:?}, which RFC 3986 allows only percent-encoded, as {}{instead}", encoded(*.character))]
    Character {
        /// The first such character.
        character: char,
        /// A correction, if there is one.
        instead: Instead,
    },
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("must have two hexadecimal digits after every % (RFC 3986 section 2.1)")]
    PercentEncoding,
    /// The path or the query contains a bracket.
    #[error(
        "must have [ and ] only around an IPv6 address; elsewhere write %5B and %5D (RFC 3986 section 3.2.2)"
    )]
    Bracket,
    /// The text is not an absolute URI.
    #[error("must be an absolute URI, such as https://app.example.com/callback")]
    NotAbsolute,
    /// The scheme is not allowed.
    #[error(
        "must begin with https://, with http:// on localhost, 127.0.0.1 or [::1], or with a private-use scheme that has a \
         dot in it, such as com.example.app:/ (RFC 8252 section 7)"
    )]
    Scheme,
    /// A private-use scheme without a path.
    #[error("must have a path that begins with /, such as com.example.app:/callback (RFC 8252 section 7.1)")]
    NoPath,
    /// The URI has a fragment.
    #[error("must not have a fragment (RFC 6749 section 3.1.2)")]
    Fragment,
    /// The URI has a user name or a password.
    #[error("must not have a user name or password")]
    UserInfo,
    /// The port is 0, on which nothing can listen.
    #[error(
        "must not have port 0; on 127.0.0.1 and [::1] leave the port out to allow every port (RFC 8252 section 7.3)"
    )]
    Port,
    /// URL parsers rewrite the URI, so that clients would send another string than the registered one.
    #[error("must be in normal form, as URL parsers write it: {0}")]
    NotNormal(String),
    /// The query contains a parameter that the server adds.
    #[error("must not have the query parameter `{0}`, which is added to it")]
    Parameter(&'static str),
}

/// A URI that may be registered instead, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instead(Option<String>);

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |uri| write!(f, "; write {uri}"))
    }
}

fn encoded(character: char) -> String {
    utf8_percent_encode(character.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string()
}

/// The parameters that the server adds, in this order.
const PARAMETERS: [&str; 6] = ["code", "state", "client_id", "redirect_uri", "service", "grant_type"];

/// The characters that are escaped in values: all but the unreserved ones (RFC 3986 section 2.3), `:` and `/`.
const VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

impl RedirectUri {
    /// The maximum number of bytes.
    pub const MAX: usize = 2048;

    /// Parses a URI for registration. Clients have to send exactly the registered string. So URI parsers of all languages must be able
    /// to read it (RFC 3986), and URL parsers must not rewrite it.
    pub fn register(text: &str) -> Result<Self, InvalidRedirectUri> {
        use InvalidRedirectUri as Invalid;
        if !(1..=Self::MAX).contains(&text.len()) {
            return Err(Invalid::Length);
        }
        if let Some(character) = text.chars().find(|character| !is_uri_character(*character)) {
            let normal = Url::parse(text).ok().filter(|url| url.as_str() != text);
            let instead = normal.and_then(|url| Self::register(url.as_str()).ok()).map(|uri| uri.0);
            return Err(Invalid::Character { character, instead: Instead(instead) });
        }
        let encodes = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        if !text.split('%').skip(1).all(encodes) {
            return Err(Invalid::PercentEncoding);
        }
        let url = Url::parse(text).map_err(|_| Invalid::NotAbsolute)?;
        let is_private_use = url.scheme().contains('.');
        if !(url.scheme() == "https" || url.scheme() == "http" && origin::is_loopback(&url) || is_private_use)
        {
            return Err(Invalid::Scheme);
        }
        if text.contains('#') {
            return Err(Invalid::Fragment);
        }
        let after_scheme = text.split_once(':').map_or("", |(_, rest)| rest);
        let (authority, rest) = after_scheme
            .strip_prefix("//")
            .map_or(("", after_scheme), |rest| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())));
        if authority.contains('@') {
            return Err(Invalid::UserInfo);
        }
        if is_private_use && authority.is_empty() && !rest.starts_with('/') {
            return Err(Invalid::NoPath);
        }
        if rest.contains(['[', ']']) {
            return Err(Invalid::Bracket);
        }
        if url.port() == Some(0) {
            return Err(Invalid::Port);
        }
        if url.as_str() != text {
            return Err(Invalid::NotNormal(url.into()));
        }
        for parameter in PARAMETERS {
            if url.query_pairs().any(|(name, _)| name == parameter) {
                return Err(Invalid::Parameter(parameter));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether the scheme is a private-use one (RFC 8252 section 7.1). Any app on a device can claim it, so PKCE is required (section
    /// 8.1).
    pub fn is_private_use(&self) -> bool {
        self.0.split_once(':').is_some_and(|(scheme, _)| scheme.contains('.'))
    }

    /// The first `*` or `,`. They are allowed, but an operator may mean a wildcard or a list, which are not supported.
    pub fn doubtful_character(&self) -> Option<char> {
        self.0.chars().find(|character| matches!(character, '*' | ','))
    }

    /// The text of the URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin of the pages at this URI, without the port of a loopback address. A private-use scheme has no origin.
    pub fn origin(&self) -> Option<Origin> {
        let url = Url::parse(&self.0).ok().filter(|url| url.origin().is_tuple())?;
        Some(Origin::of(&url).of_redirects())
    }

    /// The requested URI, if it matches this one: the same string (RFC 9700 section 2.1), except for the port of a loopback address
    /// (RFC 8252 section 7.3).
    pub fn matching(&self, requested: &str) -> Option<Self> {
        let same = self.0 == requested
            || without_loopback_port(&self.0)
                .is_some_and(|own| Some(own) == without_loopback_port(requested));
        same.then(|| Self(requested.to_owned()))
    }

    /// The redirect URL: this URI with the code and the other parameters appended to its query.
    pub fn url_with(&self, code: &AuthorizationCode, state: &State, app: AppId) -> String {
        let client_id = format!("app_{app}");
        let values = [code.expose(), state.as_str(), &client_id, &self.0, "email", "authorization_code"];
        let mut url = self.0.clone();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, value) in PARAMETERS.into_iter().zip(values) {
            url.push(separator);
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, VALUE));
            separator = '&';
        }
        url
    }
}

/// Whether the character is allowed in a URI (RFC 3986 section 2).
fn is_uri_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(character)
}

/// The text before and after the port of a URI on a loopback address. `None` if the port is not in normal form.
fn without_loopback_port(uri: &str) -> Option<(&str, &str)> {
    let host = ["http://127.0.0.1", "http://[::1]"].into_iter().find(|host| uri.starts_with(host))?;
    let (host, rest) = uri.split_at(host.len());
    let Some(port_and_rest) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
    };
    let end = port_and_rest.find(['/', '?']).unwrap_or(port_and_rest.len());
    let (port, rest) = port_and_rest.split_at(end);
    let is_number = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = is_number && port.parse::<u16>().is_ok();
    is_port.then_some((host, rest))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    const APP: AppId = AppId::from_u128(0x1111_1111_1111_1111_1111_1111_1111_1111);

    #[test]
    fn register_unsafe_uri_is_refused_with_the_reason() {
        use InvalidRedirectUri as Invalid;
        let long = format!("https://a.example/{}", "a".repeat(RedirectUri::MAX));
        for (text, why) in [
            ("", Invalid::Length),
            (long.as_str(), Invalid::Length),
            ("callback", Invalid::NotAbsolute),
            ("/callback", Invalid::NotAbsolute),
            ("https://", Invalid::NotAbsolute),
            ("https://a.example:65536/", Invalid::NotAbsolute),
            ("https://[::1/", Invalid::NotAbsolute),
            ("https://[fe80::1%25eth0]/", Invalid::NotAbsolute),
            ("http://a.example/cb", Invalid::Scheme),
            ("javascript://a.example/%0aalert(1)", Invalid::Scheme),
            ("myapp:/cb", Invalid::Scheme),
            ("http://localhost.evil.example/cb", Invalid::Scheme),
            ("http://localhost./cb", Invalid::Scheme),
            ("http://127.0.0.2/cb", Invalid::Scheme),
            ("https://a.example/cb#x", Invalid::Fragment),
            ("https://a.example/cb#", Invalid::Fragment),
            ("com.example.app:/cb#", Invalid::Fragment),
            ("https://user@a.example/cb", Invalid::UserInfo),
            ("https://@a.example/cb", Invalid::UserInfo),
            ("com.example.app://user@host/cb", Invalid::UserInfo),
            ("com.example.app:cb", Invalid::NoPath),
            ("com.example.app:", Invalid::NoPath),
            ("com.example.app:?a", Invalid::NoPath),
            ("com.example.app://", Invalid::NoPath),
            ("com.example.app://?a", Invalid::NoPath),
            ("http://127.0.0.1:0/cb", Invalid::Port),
            ("http://[::1]:000/cb", Invalid::Port),
            ("https://a.example:0/", Invalid::Port),
            ("com.example.app://host:0/cb", Invalid::Port),
            ("https://a.example/cb?code=1", Invalid::Parameter("code")),
            ("https://a.example/cb?a=1&%73tate=1", Invalid::Parameter("state")),
            ("com.example.app:/cb?grant_type=", Invalid::Parameter("grant_type")),
        ] {
            assert_eq!(RedirectUri::register(text), Err(why), "{text}");
        }
    }

    #[test]
    fn register_uri_against_rfc_3986_is_refused_with_the_reason() {
        use InvalidRedirectUri as Invalid;
        for (text, why) in [
            ("https://a.example/%zz", Invalid::PercentEncoding),
            ("https://a.example/%", Invalid::PercentEncoding),
            ("https://a.example/%4", Invalid::PercentEncoding),
            ("https://a.example/cb?a=%4g", Invalid::PercentEncoding),
            ("https://a.example/cb?100%", Invalid::PercentEncoding),
            ("com.example.app:/%é", Invalid::Character { character: 'é', instead: Instead(None) }),
            ("https://a.example/[x]", Invalid::Bracket),
            ("https://a.example/cb?a[]=1", Invalid::Bracket),
            ("com.example.app:/[", Invalid::Bracket),
        ] {
            assert_eq!(RedirectUri::register(text), Err(why), "{text}");
        }
        for (text, found, instead) in [
            ("https://a.example/a b", ' ', Some("https://a.example/a%20b")),
            ("https://a.example/a\tb", '\t', Some("https://a.example/ab")),
            ("https://a.example/cb\n", '\n', Some("https://a.example/cb")),
            ("https://a.example/\\b", '\\', Some("https://a.example//b")),
            ("https://a.example/a|b", '|', None),
            ("https://a.example/{x}", '{', Some("https://a.example/%7Bx%7D")),
            ("https://a.example/a^b", '^', None),
            ("https://a.example/`", '`', Some("https://a.example/%60")),
            ("https://a.example/\"", '"', Some("https://a.example/%22")),
            ("https://a.example/<x>", '<', Some("https://a.example/%3Cx%3E")),
            ("https://a.example/é", 'é', Some("https://a.example/%C3%A9")),
            ("https://münchen.example/cb", 'ü', Some("https://xn--mnchen-3ya.example/cb")),
            ("https://a.example/\u{200B}", '\u{200B}', Some("https://a.example/%E2%80%8B")),
            ("http://a.example/é", 'é', None),
            ("é", 'é', None),
        ] {
            let why = Invalid::Character { character: found, instead: Instead(instead.map(str::to_owned)) };
            assert_eq!(RedirectUri::register(text), Err(why), "{text}");
        }
        let why = |text| RedirectUri::register(text).unwrap_err().to_string();
        assert_eq!(
            why("https://a.example/é b"),
            "must not have 'é', which RFC 3986 allows only percent-encoded, as %C3%A9; write https://a.example/%C3%A9%20b"
        );
        assert!(
            why("https://a.example/|").ends_with("percent-encoded, as %7C"),
            "{}",
            why("https://a.example/|")
        );
    }

    #[test]
    fn register_uri_not_in_normal_form_is_refused_with_the_normal_form() {
        for (text, normal) in [
            ("https://bare.example.com", "https://bare.example.com/"),
            ("https://bare.example.com?a=1", "https://bare.example.com/?a=1"),
            ("http://127.0.0.1", "http://127.0.0.1/"),
            ("https:a.example/cb", "https://a.example/cb"),
            ("https:///a.example/cb", "https://a.example/cb"),
            ("HTTPS://a.example/cb", "https://a.example/cb"),
            ("https://A.example/cb", "https://a.example/cb"),
            ("https://a.example:443/cb", "https://a.example/cb"),
            ("https://a.example:/cb", "https://a.example/cb"),
            ("https://a.example:08443/cb", "https://a.example:8443/cb"),
            ("http://localhost:80/cb", "http://localhost/cb"),
            ("http://127.0.0.1:00080/cb", "http://127.0.0.1/cb"),
            ("http://127.1/cb", "http://127.0.0.1/cb"),
            ("http://2130706433/cb", "http://127.0.0.1/cb"),
            ("http://[0:0:0:0:0:0:0:1]/cb", "http://[::1]/cb"),
            ("https://a.example/a/../cb", "https://a.example/cb"),
            ("https://a.example/./cb", "https://a.example/cb"),
            ("https://a.example/a/%2E%2e/cb", "https://a.example/cb"),
            ("https://%61.example/cb", "https://a.example/cb"),
            ("https://a.example/cb?a='b'", "https://a.example/cb?a=%27b%27"),
            ("COM.example.app:/cb", "com.example.app:/cb"),
            ("com.example.app:/a/../cb", "com.example.app:/cb"),
        ] {
            let why = InvalidRedirectUri::NotNormal(normal.to_owned());
            assert_eq!(RedirectUri::register(text), Err(why), "{text}");
            assert!(RedirectUri::register(normal).is_ok(), "{normal}");
        }
    }

    #[test]
    fn register_uri_in_normal_form_is_accepted() {
        for text in [
            "https://a.example/",
            "https://a.example:8443/cb?a=1",
            "https://a.example/cb?",
            "https://a.example/%7e(a);b=c,d/*'!$&+@:?a=%C3%A9/?",
            "https://xn--mnchen-3ya.example/cb",
            "https://a_b.example/cb",
            "https://192.0.2.7/cb",
            "https://[2001:db8::1]:8443/cb",
            "http://localhost:5173/cb",
            "http://[::1]/cb",
            "http://127.0.0.1/cb",
            "com.example.app:/cb",
            "com.example.app:/",
            "com.example.app://callback",
            "com.example.app://callback/path?a=1",
            "com.example.app:///cb",
        ] {
            let uri = RedirectUri::register(text).unwrap();
            assert_eq!((uri.as_str(), uri.is_private_use()), (text, text.starts_with("com.")), "{text}");
        }
    }

    #[test]
    fn private_use_uri_has_no_origin_and_is_unchanged_in_the_url() {
        let uri = RedirectUri::register("com.example.app:/cb").unwrap();
        assert_eq!(uri.origin(), None);
        assert!(uri.matching("com.example.app:/cb").is_some());
        for other in
            ["com.example.app:/cb/", "com.example.app://cb", "com.example.app2:/cb", "com.example.app:/cb?a"]
        {
            assert!(uri.matching(other).is_none(), "{other}");
        }
        let url = uri.url_with(&AuthorizationCode::presented("c"), &State::parse("s").unwrap(), APP);
        assert!(url.starts_with("com.example.app:/cb?code=c&state=s&client_id=app_"), "{url}");
        assert!(url.contains("&redirect_uri=com.example.app:/cb&"), "{url}");
    }

    #[test]
    fn doubtful_character_finds_star_and_comma() {
        for (text, doubtful) in [
            ("https://*.example.com/cb", Some('*')),
            ("https://a.example/*", Some('*')),
            ("https://a.example/,https://b.example/", Some(',')),
            ("https://a.example/cb", None),
        ] {
            assert_eq!(RedirectUri::register(text).unwrap().doubtful_character(), doubtful, "{text}");
        }
    }

    #[test]
    fn matching_requires_the_same_string_except_for_a_loopback_port() {
        let answers =
            |registered, requested| RedirectUri::register(registered).unwrap().matching(requested).is_some();
        assert!(answers("https://a.example/cb", "https://a.example/cb"));
        for other in [
            "https://a.example/cb/",
            "https://a.example/CB",
            "https://a.example:443/cb",
            "https://a.example/cb?x",
            "https://a.example.evil/cb",
        ] {
            assert!(!answers("https://a.example/cb", other), "{other}");
        }
        assert!(answers("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"));
        assert!(answers("http://127.0.0.1/cb", "http://127.0.0.1:80/cb"));
        assert!(answers("http://[::1]:1/cb", "http://[::1]/cb"));
        for other in [
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:00080/cb",
            "http://127.0.0.1:049152/cb",
            "http://127.0.0.1:49152cb",
            "http://127.0.0.1:\u{0661}/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://[::1]:1/cb",
            "http://127.0.0.1:+1/cb",
        ] {
            assert!(!answers("http://127.0.0.1/cb", other), "{other}");
        }
        assert!(!answers("http://localhost:1/cb", "http://localhost:2/cb"));
    }

    #[test]
    fn url_with_code_equals_the_documented_url() {
        let uri = RedirectUri::register("https://app.example.com/callback").unwrap();
        let url = uri.url_with(
            &AuthorizationCode::presented("code_abc123"),
            &State::parse("state_123").unwrap(),
            APP,
        );
        assert_eq!(
            url,
            "https://app.example.com/callback?code=code_abc123&state=state_123\
             &client_id=app_11111111-1111-1111-1111-111111111111\
             &redirect_uri=https://app.example.com/callback&service=email&grant_type=authorization_code"
        );
    }

    proptest! {
        #[test]
        fn registered_uri_satisfies_rfc_3986_and_url_parsers(
            text in "(https|HTTP|http|com\\.a):/{0,3}([aA]\\.b|localhost|127\\.0\\.0\\.1|\\[::1\\]|é)?(:[0-9]{0,5})?[/?][a-z%0-9A-F./?#\\[\\]|{}'*, é\\\\]{0,12}"
        ) {
            // RFC 3986 appendix A, of a hierarchical URI without user-info and fragment.
            let grammar = regex::Regex::new(
                r"^[a-z][a-z0-9+.-]*:(//(\[[0-9a-f:.]+\]|([A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(:[0-9]+)?)?(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*(\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$",
            ).unwrap();
            match RedirectUri::register(&text) {
                Ok(uri) => {
                    prop_assert!(grammar.is_match(&text), "{}", text);
                    let parsed = Url::parse(&text).unwrap();
                    prop_assert_eq!(parsed.as_str(), text.as_str());
                    let url = uri.url_with(&AuthorizationCode::presented("c"), &State::parse("é|").unwrap(), APP);
                    prop_assert!(grammar.is_match(&url), "{}", url);
                }
                Err(InvalidRedirectUri::Character { instead: Instead(Some(normal)), .. }) => {
                    prop_assert!(RedirectUri::register(&normal).is_ok(), "{}", normal);
                }
                Err(_) => {}
            }
        }

        #[test]
        fn url_parser_reads_the_parameters_back(
            state in "[^\\p{Cc}]{1,40}|[&=#+%?/ \"'<>\\\\😀é]{1,20}",
            query in prop::option::of("[a-z]{1,5}=[a-z%+=&?/]{0,10}"),
        ) {
            let text = query.map_or("https://a.example/cb".to_owned(), |query| format!("https://a.example/cb?{query}"));
            let Ok(uri) = RedirectUri::register(&text) else { return Ok(()) };
            let url = uri.url_with(&AuthorizationCode::presented("c-_"), &State::parse(&state).unwrap(), APP);
            let own = Url::parse(&text).unwrap().query_pairs().count();
            let url = Url::parse(&url).unwrap();
            let read: Vec<(Cow<'_, str>, Cow<'_, str>)> = url.query_pairs().skip(own).collect();
            prop_assert_eq!(read.len(), 6);
            prop_assert_eq!((&*read[0].0, &*read[0].1), ("code", "c-_"));
            prop_assert_eq!((&*read[1].0, &*read[1].1), ("state", state.as_str()));
            prop_assert_eq!((&*read[3].0, &*read[3].1), ("redirect_uri", text.as_str()));
            prop_assert_eq!(url.fragment(), None);
        }
    }
}
