//! `homeroom health`

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

use super::{say, serve::reachable, usage};

/// The time limit. The server itself waits two seconds for each of two database queries.
const ANSWER: Duration = Duration::from_secs(5);
/// The number of bytes to read. Only the first line of the response is used.
const HEAD: u64 = 1024;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The address and port that the server listens on. For a wildcard address, the loopback address is asked
    #[arg(long, env = "HOMEROOM_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// The server's certificate, if it uses TLS. The certificate is not verified
    #[arg(long, env = "HOMEROOM_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
}

pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.listen.port() == 0 {
        return Err(usage("--listen with port 0 does not name the port of the server".to_owned()));
    }
    let address = reachable(arguments.listen);
    let answer = timeout(ANSWER, readiness(address, arguments.tls_cert.is_some())).await;
    let answer = answer.unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)));
    match answer.with_context(|| format!("asking {address}"))?.as_str() {
        "200" => say(&format!("{address} is ready")),
        "503" => Err(anyhow!("{address} is not ready")),
        other => Err(anyhow!("{address} does not respond like Homeroom: {other:?}")),
    }
}

/// The status of the response to `GET /health/ready`, as text.
async fn readiness(address: SocketAddr, tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    if !tls {
        return converse(stream, address).await;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let any = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(any)
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    converse(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, address).await
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
) -> io::Result<String> {
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    stream.take(HEAD).read_to_end(&mut head).await?;
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    Ok(status.unwrap_or_default().to_owned())
}

/// Accepts every certificate. The request contains no secret, and the certificate is not made for the loopback address.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
