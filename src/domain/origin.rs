//! Web origins (RFC 6454) and the login domains that apps own.

use sea_orm::DeriveValueType;
use url::{Host, Url};

/// A tuple origin, as browsers write it: `https://login.example.com`, `http://localhost:5173`.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct Origin(String);

/// The text is no origin of a page on the web. The opaque origin `null` is none either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the origin of a web page")]
pub struct InvalidOrigin;

impl Origin {
    /// Reads the value of an `Origin` header: a scheme, a host and a port, in their canonical form and nothing else.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let url = Url::parse(text).map_err(|_| InvalidOrigin)?;
        let canonical = url.origin().ascii_serialization();
        if matches!(url.scheme(), "http" | "https") && canonical == text {
            Ok(Self(canonical))
        } else {
            Err(InvalidOrigin)
        }
    }

    /// The origin of `url`, which must be a web page's.
    pub fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// This origin as redirect URIs have theirs registered: on a loopback address without the port, since a native app
    /// comes back on whichever is free (RFC 8252 section 7.3).
    #[must_use]
    pub fn of_redirects(self) -> Self {
        let address = ["http://127.0.0.1", "http://[::1]"].into_iter().find(|address| {
            self.0.strip_prefix(address).is_some_and(|port| port.is_empty() || port.starts_with(':'))
        });
        address.map_or(self, |address| Self(address.to_owned()))
    }

    /// The login domain that this origin would be of: its host and port, if what it sends cannot be read on the way.
    pub fn login_domain(&self) -> Option<LoginDomain> {
        let domain = self.0.strip_prefix("https://").or_else(|| {
            let authority = self.0.strip_prefix("http://")?;
            Url::parse(&self.0).is_ok_and(|url| is_loopback(&url)).then_some(authority)
        })?;
        LoginDomain::parse(domain).ok()
    }
}

/// A domain on which an app has its own sign-in page: a host name, with a port if it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct LoginDomain(String);

super::not_auto_increment!(LoginDomain);

/// The text is no domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a host name in lower case, such as login.example.com, without scheme or path")]
pub struct InvalidLoginDomain;

impl LoginDomain {
    /// Reads a host name, with an optional port.
    pub fn parse(text: &str) -> Result<Self, InvalidLoginDomain> {
        let url = Url::parse(&format!("https://{text}")).map_err(|_| InvalidLoginDomain)?;
        if url.origin().ascii_serialization() == format!("https://{text}") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLoginDomain)
        }
    }

    /// The domain's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `url` names this machine: `localhost`, `127.0.0.1` or `[::1]` (RFC 8252 section 7.3).
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
    fn only_a_canonical_tuple_is_an_origin() {
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
    fn every_port_of_a_loopback_address_is_one_origin_of_redirects() {
        let of_redirects = |origin| Origin::parse(origin).unwrap().of_redirects();
        assert_eq!(of_redirects("http://127.0.0.1:5000"), of_redirects("http://127.0.0.1"));
        assert_eq!(of_redirects("http://[::1]:5000"), of_redirects("http://[::1]:6000"));
        for exact in ["http://localhost:5000", "https://127.0.0.1:5000", "http://127.0.0.10"] {
            assert_eq!(of_redirects(exact), Origin::parse(exact).unwrap());
        }
    }

    #[test]
    fn a_login_domain_is_reached_over_tls_or_on_this_machine() {
        let domain = |origin| Origin::parse(origin).unwrap().login_domain();
        assert_eq!(domain("https://login.example.com"), LoginDomain::parse("login.example.com").ok());
        assert_eq!(domain("http://localhost:3000"), LoginDomain::parse("localhost:3000").ok());
        assert_eq!(domain("http://127.0.0.1:3000"), LoginDomain::parse("127.0.0.1:3000").ok());
        assert_eq!(domain("http://login.example.com"), None);
    }
}
