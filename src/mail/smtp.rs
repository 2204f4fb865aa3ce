//! Submits mails to an SMTP server (RFC 5321, RFC 6409).

use std::{path::PathBuf, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
        response::Response,
    },
};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::{Encryption, Failure, SmtpUrl};

/// The limit of each step, except for the answer to a message.
const STEP: Duration = Duration::from_secs(30);
/// The limit of the answer to a message. RFC 5321 section 4.5.3.2.6 asks for ten minutes: a client that gives up before the server
/// has answered sends the message twice.
const ACCEPTANCE: Duration = Duration::from_mins(10);

/// An SMTP server with the settings to use it.
#[derive(Clone)]
pub struct SmtpServer {
    url: SmtpUrl,
    hello_name: ClientId,
    tls: Option<TlsParameters>,
}

impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpServer({})", self.url)
    }
}

/// Why the settings of an SMTP server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    /// The certificates cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The file has no certificate.
    #[error("{} has no certificate in PEM format", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The host name or a certificate is not usable for TLS.
    #[error("TLS cannot be set up")]
    Tls(#[from] lettre::transport::smtp::Error),
}

impl SmtpServer {
    /// A server. The EHLO name is the name of this machine unless another one is given. `ca` is a file with the certificate
    /// authorities to trust instead of those of Mozilla.
    pub fn new(
        url: SmtpUrl,
        ehlo_name: Option<String>,
        ca: Option<PathBuf>,
    ) -> Result<Self, SmtpSettingsError> {
        let tls = match url.encryption {
            Encryption::None => None,
            Encryption::StartTls | Encryption::Tls => Some(tls(&url.host, ca)?),
        };
        Ok(Self { url, hello_name: ehlo_name.map_or_else(ClientId::default, ClientId::Domain), tls })
    }

    /// The URL without user name and password.
    pub fn shown(&self) -> String {
        self.url.to_string()
    }

    /// Connects, encrypts and authenticates, and sends no mail.
    pub async fn check(&self) -> Result<(), Failure> {
        let connection = self.connect().await?;
        quit(connection).await;
        Ok(())
    }

    /// Submits a message, and returns once the server has accepted it.
    ///
    /// Only the answers to the recipient and to the message can be permanent failures. A refused password is a mistake in the
    /// settings, and the mails wait until it is corrected.
    pub async fn send(&self, from: &Address, to: &Address, message: &[u8]) -> Result<(), Failure> {
        let mut connection = self.connect().await?;
        let sent = submit(&mut connection, from, to, message).await;
        // The outcome is known, so nothing waits for the server's goodbye.
        tokio::spawn(quit(connection));
        sent
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let Self { url, hello_name, tls } = self;
        let immediately = tls.clone().filter(|_| url.encryption == Encryption::Tls);
        let address = (url.host.as_str(), url.port);
        let connect = AsyncSmtpConnection::connect_tokio1(address, Some(STEP), hello_name, immediately, None);
        let mut connection = within(STEP, "connecting", connect).await.map_err(Failure::retryable)?;
        if let Some(tls) = tls.clone().filter(|_| url.encryption == Encryption::StartTls) {
            let upgrade = connection.starttls(tls, hello_name);
            within(STEP, "STARTTLS", upgrade).await.map_err(Failure::retryable)?;
        }
        if let Some((user, password)) = &url.credentials {
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            let authenticate = connection.auth(DEFAULT_MECHANISMS, &credentials);
            within(STEP, "AUTH", authenticate).await.map_err(Failure::retryable)?;
        }
        Ok(connection)
    }
}

fn tls(host: &str, ca: Option<PathBuf>) -> Result<TlsParameters, SmtpSettingsError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca {
        let pem = match std::fs::read(&path) {
            Ok(pem) => pem,
            Err(cause) => return Err(SmtpSettingsError::Unreadable { path, cause }),
        };
        if !pem::parse_many(&pem).is_ok_and(|found| found.iter().any(|part| part.tag() == "CERTIFICATE")) {
            return Err(SmtpSettingsError::NoCertificate { path });
        }
        parameters = parameters
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem)?);
    }
    Ok(parameters.build()?)
}

/// Sends the commands of one mail.
async fn submit(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
    message: &[u8],
) -> Result<(), Failure> {
    // A refused sender is a mistake in the settings too.
    let sender = connection.command(Mail::new(Some(from.clone()), Vec::new()));
    within(STEP, "MAIL FROM", sender).await.map_err(Failure::retryable)?;
    within(STEP, "RCPT TO", connection.command(Rcpt::new(to.clone(), Vec::new()))).await?;
    within(STEP, "DATA", connection.command(Data)).await?;
    let accepted: Response = within(ACCEPTANCE, "the message", connection.message(message)).await?;
    tracing::debug!(code = u16::from(accepted.code()), "the SMTP server accepted a mail");
    Ok(())
}

async fn within<T>(
    limit: Duration,
    step: &'static str,
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, Failure> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome.map_err(|error| Failure::smtp(step, &error)),
        Err(_) => Err(Failure::temporary(step, format!("no answer within {} s", limit.as_secs()))),
    }
}

/// Ends a connection. It makes no difference to a mail whether this succeeds.
async fn quit(mut connection: AsyncSmtpConnection) {
    _ = timeout(STEP, connection.abort()).await;
}
