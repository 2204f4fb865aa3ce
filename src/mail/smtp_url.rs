//! The URL of an SMTP server: `smtp[s]://[USER[:PASSWORD]@]HOST[:PORT]`.

use std::{fmt, net::IpAddr, str::FromStr};

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `STARTTLS` before anything else (RFC 3207). A server without it is refused.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// None, for a server on the same machine.
    None,
}

/// The server to which mails are submitted.
#[derive(Debug, Clone)]
pub struct SmtpUrl {
    /// The host name or IP address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The encryption.
    pub encryption: Encryption,
    /// User name and password.
    pub credentials: Option<(String, SecretString)>,
}

/// The text is not the URL of an SMTP server. The message does not repeat it, because it may have a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtpUrl {
    /// The form is wrong.
    #[error(
        "must be smtp://USER:PASSWORD@HOST:PORT (STARTTLS) or smtps://USER:PASSWORD@HOST:PORT (TLS), without path; \
         write / ? # @ in a password as %2F %3F %23 %40"
    )]
    Form,
    /// There is no encryption to another machine.
    #[error("?tls=none is allowed for a server on this machine only: localhost, 127.0.0.1 or [::1]")]
    Unencrypted,
}

impl FromStr for SmtpUrl {
    type Err = InvalidSmtpUrl;

    fn from_str(text: &str) -> Result<Self, InvalidSmtpUrl> {
        let url = Url::parse(text).map_err(|_| InvalidSmtpUrl::Form)?;
        let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
        let host = host.filter(|host| !host.is_empty()).ok_or(InvalidSmtpUrl::Form)?.to_ascii_lowercase();
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(InvalidSmtpUrl::Form);
        }
        let (encryption, port) = match (url.scheme(), url.query()) {
            ("smtp", None) => (Encryption::StartTls, 587),
            ("smtps", None) => (Encryption::Tls, 465),
            ("smtp", Some("tls=none")) if is_local(&host) => (Encryption::None, 25),
            ("smtp", Some("tls=none")) => return Err(InvalidSmtpUrl::Unencrypted),
            _ => return Err(InvalidSmtpUrl::Form),
        };
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| InvalidSmtpUrl::Form)?;
            // SASL PLAIN separates its parts by NUL (RFC 4616).
            if text.chars().any(char::is_control) { Err(InvalidSmtpUrl::Form) } else { Ok(text.into_owned()) }
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                Some((decoded(user)?, SecretString::from(decoded(password.unwrap_or_default())?)))
            }
        };
        Ok(Self { host, port: url.port().unwrap_or(port), encryption, credentials })
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl fmt::Display for SmtpUrl {
    /// The URL without user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encryption == Encryption::Tls { "smtps" } else { "smtp" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn parse_url_scheme_decides_encryption_and_port() {
        use Encryption::{None, StartTls, Tls};
        for (text, shown, encryption) in [
            ("smtp://mail.example", "smtp://mail.example:587", StartTls),
            ("smtp://Mail.Example:25/", "smtp://mail.example:25", StartTls),
            ("smtps://mail.example", "smtps://mail.example:465", Tls),
            ("smtps://192.0.2.1:2465", "smtps://192.0.2.1:2465", Tls),
            ("smtp://[2001:db8::1]", "smtp://[2001:db8::1]:587", StartTls),
            ("smtp://localhost?tls=none", "smtp://localhost:25", None),
            ("smtp://127.0.0.2:2525?tls=none", "smtp://127.0.0.2:2525", None),
            ("smtp://[::1]:2525?tls=none", "smtp://[::1]:2525", None),
        ] {
            let url: SmtpUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.encryption), (shown, encryption));
            assert!(url.credentials.is_none());
        }
    }

    #[test]
    fn parse_url_decodes_credentials_and_shows_none() {
        let url: SmtpUrl = "smtp://user%40school.example:p%C3%A4ss%2F%3A@mail.example".parse().unwrap();
        let (user, password) = url.credentials.clone().unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("user@school.example", "päss/:"));
        assert_eq!(url.to_string(), "smtp://mail.example:587");
        assert!(!format!("{url:?}").contains("päss"));
    }

    #[test]
    fn parse_url_of_another_form_is_refused() {
        for (text, error) in [
            ("", InvalidSmtpUrl::Form),
            ("mail.example:25", InvalidSmtpUrl::Form),
            ("http://mail.example", InvalidSmtpUrl::Form),
            ("smtp://", InvalidSmtpUrl::Form),
            ("smtp://mail.example/path", InvalidSmtpUrl::Form),
            ("smtp://mail.example#a", InvalidSmtpUrl::Form),
            ("smtp://mail.example?tls=opportunistic", InvalidSmtpUrl::Form),
            ("smtps://localhost?tls=none", InvalidSmtpUrl::Form),
            ("smtp://a%00b:c@mail.example", InvalidSmtpUrl::Form),
            ("smtp://a:%FF@mail.example", InvalidSmtpUrl::Form),
            ("smtp://mail.example?tls=none", InvalidSmtpUrl::Unencrypted),
            ("smtp://127.0.0.1.example?tls=none", InvalidSmtpUrl::Unencrypted),
            ("smtp://10.0.0.1?tls=none", InvalidSmtpUrl::Unencrypted),
        ] {
            assert_eq!(text.parse::<SmtpUrl>().err(), Some(error), "{text}");
        }
    }
}
