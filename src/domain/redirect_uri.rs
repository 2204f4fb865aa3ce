//! Redirect URIs (RFC 6749 section 3.1.2): which may be registered, which match, and what they become.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sea_orm::DeriveValueType;
use url::Url;
use uuid::Uuid;

use super::{
    authorization_code::AuthorizationCode,
    origin::{self, Origin},
    state::State,
};

/// Where an app wants its users to come back to.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct RedirectUri(String);

super::never_numbered!(RedirectUri);

/// Why a redirect URI cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// It has no character, or too many.
    #[error("must have 1 to {} characters", RedirectUri::MAX)]
    Length,
    /// It is no absolute URI in its canonical form.
    #[error("must be an absolute URI, its scheme and host in lower case (RFC 3986)")]
    Syntax,
    /// What is sent there could be read on the way.
    #[error(
        "must begin with https://, or with http:// on localhost, 127.0.0.1 or [::1] (RFC 8252 section 7.3)"
    )]
    Scheme,
    /// It has a fragment.
    #[error("must not have a fragment (RFC 6749 section 3.1.2)")]
    Fragment,
    /// It has a user name or a password.
    #[error("must not have a user name or password")]
    UserInfo,
    /// Its query already says what we are going to say.
    #[error("must not hold the query parameter `{0}`, which is added to it")]
    Parameter(&'static str),
}

/// What the redirect URL says, in this order.
const PARAMETERS: [&str; 6] = ["code", "state", "client_id", "redirect_uri", "service", "grant_type"];

/// Everything but RFC 3986's unreserved characters, `:` and `/`, which stay as they are in values.
const VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

impl RedirectUri {
    /// Most characters.
    pub const MAX: usize = 2048;

    /// Reads a URI that is to be registered for an app.
    pub fn register(text: &str) -> Result<Self, InvalidRedirectUri> {
        if !(1..=Self::MAX).contains(&text.len()) {
            return Err(InvalidRedirectUri::Length);
        }
        let written_in_uri_characters = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte));
        let url = Url::parse(text).map_err(|_| InvalidRedirectUri::Syntax)?;
        if !written_in_uri_characters {
            return Err(InvalidRedirectUri::Syntax);
        }
        if !(url.scheme() == "https" || url.scheme() == "http" && origin::is_loopback(&url)) {
            return Err(InvalidRedirectUri::Scheme);
        }
        if text.contains('#') {
            return Err(InvalidRedirectUri::Fragment);
        }
        let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
        if authority.is_none_or(|authority| authority.contains('@')) {
            return Err(InvalidRedirectUri::UserInfo);
        }
        // Browsers mend what is not canonical (`HTTP:127.1`); a URI that they read differently is not the one registered.
        if !text.starts_with(&url.origin().ascii_serialization()) {
            return Err(InvalidRedirectUri::Syntax);
        }
        for parameter in PARAMETERS {
            if url.query_pairs().any(|(name, _)| name == parameter) {
                return Err(InvalidRedirectUri::Parameter(parameter));
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The URI's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin of the pages at this URI, on any port if it is on a loopback address.
    pub fn origin(&self) -> Option<Origin> {
        Url::parse(&self.0).ok().as_ref().map(|url| Origin::of(url).of_redirects())
    }

    /// The URI to answer to, if `requested` is this one: the same string (RFC 9700 section 2.1), but for the port on a
    /// loopback address (RFC 8252 section 7.3).
    pub fn answer(&self, requested: &str) -> Option<Self> {
        let same = self.0 == requested
            || without_loopback_port(&self.0)
                .is_some_and(|own| Some(own) == without_loopback_port(requested));
        same.then(|| Self(requested.to_owned()))
    }

    /// The URL that takes the user back to the app with a code. What the URI already holds is kept.
    pub fn url_with(&self, code: &AuthorizationCode, state: &State, app: Uuid) -> String {
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

/// The text before and after the port of a URI on a loopback address.
fn without_loopback_port(uri: &str) -> Option<(&str, &str)> {
    let host = ["http://127.0.0.1", "http://[::1]"].into_iter().find(|host| uri.starts_with(host))?;
    let (host, rest) = uri.split_at(host.len());
    let Some(port_and_rest) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
    };
    let end = port_and_rest.find(['/', '?']).unwrap_or(port_and_rest.len());
    let (port, rest) = port_and_rest.split_at(end);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    is_port.then_some((host, rest))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    const APP: Uuid = Uuid::from_u128(0x1111_1111_1111_1111_1111_1111_1111_1111);

    #[test]
    fn a_redirect_uri_is_registered_only_if_it_is_safe_to_send_a_code_there() {
        use InvalidRedirectUri as No;
        let long = format!("https://a.example/{}", "a".repeat(RedirectUri::MAX));
        for (text, why) in [
            ("", No::Length),
            (long.as_str(), No::Length),
            ("callback", No::Syntax),
            ("https://a.example/a b", No::Syntax),
            ("https://a.example/\\b", No::Syntax),
            ("https:a.example/cb", No::UserInfo),
            ("HTTPS://a.example/cb", No::Syntax),
            ("https://A.example/cb", No::Syntax),
            ("http://127.1/cb", No::Syntax),
            ("http://a.example/cb", No::Scheme),
            ("javascript://a.example/%0aalert(1)", No::Scheme),
            ("http://localhost.evil.example/cb", No::Scheme),
            ("https://a.example/cb#x", No::Fragment),
            ("https://a.example/cb#", No::Fragment),
            ("https://user@a.example/cb", No::UserInfo),
            ("https://a.example/cb?code=1", No::Parameter("code")),
            ("https://a.example/cb?a=1&%73tate=1", No::Parameter("state")),
        ] {
            assert_eq!(RedirectUri::register(text), Err(why), "{text}");
        }
        for text in [
            "https://a.example",
            "https://a.example:8443/cb?a=1",
            "http://localhost:5173/cb",
            "http://[::1]/cb",
            "http://127.0.0.1/cb",
        ] {
            assert!(RedirectUri::register(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn only_the_registered_string_matches_but_for_the_port_on_a_loopback_address() {
        let answers =
            |registered, requested| RedirectUri::register(registered).unwrap().answer(requested).is_some();
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
        assert!(answers("http://[::1]:1/cb", "http://[::1]/cb"));
        for other in [
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:/cb",
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
    fn the_url_reads_as_the_documented_one() {
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
        fn a_standard_parser_reads_back_what_went_in(
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
