//! Web origins (RFC 6454), and the login domains of apps.

use sea_orm::DeriveValueType;
use url::{Host, Url};

/// A tuple origin as browsers serialize it: `https://login.example.com`, `http://localhost:5173`.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct Origin(String);

/// The text is not the origin of a web page. The opaque origin `null` is not one either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the origin of a web page")]
pub struct InvalidOrigin;

impl Origin {
    /// Parses the value of an `Origin` header: a scheme, a host and an optional port in canonical form.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).map_err(|_| InvalidOrigin)?;
        let canonical = url.origin().ascii_serialization();
        if matches!(url.scheme(), "http" | "https") && canonical == text {
            Ok(Self(canonical))
        } else {
            Err(InvalidOrigin)
        }
    }

    /// The origin of `url`, which must have a tuple origin.
    pub fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// This origin in the form in which redirect URIs register theirs: on a loopback address without the port, because a native app
    /// listens on any free port (RFC 8252 section 7.3).
    #[must_use]
    pub fn of_redirects(self) -> Self {
        let address = ["http://127.0.0.1", "http://[::1]"].into_iter().find(|address| {
            self.0.strip_prefix(address).is_some_and(|port| port.is_empty() || port.starts_with(':'))
        });
        address.map_or(self, |address| Self(address.to_owned()))
    }

    /// The login domain of this origin: its host and port, if the origin uses TLS or is on this machine.
    pub fn login_domain(&self) -> Option<LoginDomain> {
        let domain = self.0.strip_prefix("https://").or_else(|| {
            let authority = self.0.strip_prefix("http://")?;
            Url::parse(&self.0).is_ok_and(|url| is_loopback(&url)).then_some(authority)
        })?;
        LoginDomain::parse(domain).ok()
    }
}

/// The domain of an app's own sign-in page: a host name, with a port if it is not the default port.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct LoginDomain(String);

super::not_auto_increment!(LoginDomain);

/// The text is not a login domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a host name in lower case, such as login.example.com, without scheme or path")]
pub struct InvalidLoginDomain;

impl LoginDomain {
    /// Parses a host name with an optional port.
    pub fn parse(text: &str) -> Result<Self, InvalidLoginDomain> {
        let url = Url::parse(&format!("https://{text}")).map_err(|_| InvalidLoginDomain)?;
        if url.origin().ascii_serialization() == format!("https://{text}") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLoginDomain)
        }
    }

    /// The text of the domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the host of `url` is this machine: `localhost`, `127.0.0.1` or `[::1]` (RFC 8252 section 7.3).
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_origin_that_is_not_canonical_is_refused() {
        for text in [
            "null",
            "",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "ftp://a.example",
            "https://u@a.example",
            "a.example",
        ] {
            assert_eq!(Origin::parse(text), Err(InvalidOrigin), "{text:?}");
        }
        assert!(Origin::parse("https://a.example:8443").is_ok());
    }

    #[test]
    fn of_redirects_ignores_the_port_of_a_loopback_address() {
        let of_redirects = |origin| Origin::parse(origin).unwrap().of_redirects();
        assert_eq!(of_redirects("http://127.0.0.1:5000"), of_redirects("http://127.0.0.1"));
        assert_eq!(of_redirects("http://[::1]:5000"), of_redirects("http://[::1]:6000"));
        for exact in ["http://localhost:5000", "https://127.0.0.1:5000", "http://127.0.0.10"] {
            assert_eq!(of_redirects(exact), Origin::parse(exact).unwrap());
        }
    }

    #[test]
    fn login_domain_requires_tls_or_this_machine() {
        let domain = |origin| Origin::parse(origin).unwrap().login_domain();
        assert_eq!(domain("https://login.example.com"), LoginDomain::parse("login.example.com").ok());
        assert_eq!(domain("http://localhost:3000"), LoginDomain::parse("localhost:3000").ok());
        assert_eq!(domain("http://127.0.0.1:3000"), LoginDomain::parse("127.0.0.1:3000").ok());
        assert_eq!(domain("http://login.example.com"), None);
    }
}
