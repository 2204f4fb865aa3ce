//! Connections over TLS.

use std::fs;

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use super::*;

/// Files with a certificate for `localhost` and its key, which can be replaced.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(TempDir::new().unwrap());
        files.renew();
        files
    }

    /// Writes a new certificate, and returns it.
    fn renew(&self) -> CertificateDer<'static> {
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(self.0.path().join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(self.0.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.0.path().join("cert.pem")).unwrap()
    }

    fn open(&self) -> Result<Tls, TlsError> {
        Tls::open(&self.0.path().join("cert.pem"), &self.0.path().join("key.pem"))
    }
}

/// Connects as a client that trusts only `certificate`.
async fn connect_by(
    server: &Server,
    certificate: CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> io::Result<Client<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Client(BufReader::new(stream)))
}

async fn connect(server: &Server, files: &Files) -> Client<TlsStream<TcpStream>> {
    connect_by(server, files.certificate(), &TLS13).await.unwrap()
}

#[tokio::test]
async fn request_over_tls_is_answered_in_both_versions() {
    let files = Files::new();
    let server = Server::start_secured(Limits::default(), Some(files.open().unwrap())).await;
    for (version, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut client = connect_by(&server, files.certificate(), version).await.unwrap();
        for _ in 0..2 {
            let response = client.ask("GET /scheme HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(response.ends_with("\r\n\r\nhttps"), "{response}");
        }
        let (_, tls) = client.0.get_ref().get_ref();
        assert_eq!(tls.protocol_version(), Some(spoken));
        assert_eq!(tls.alpn_protocol(), Some(b"http/1.1".as_slice()));
    }
}

#[tokio::test]
async fn reload_uses_the_new_certificate_and_keeps_open_connections() {
    let files = Files::new();
    let before = files.certificate();
    let tls = files.open().unwrap();
    let server = Server::start_secured(Limits::default(), Some(tls.clone())).await;
    let mut early = connect(&server, &files).await;
    assert!(!tls.reload().unwrap(), "nothing changed");

    let after = files.renew();
    assert!(connect_by(&server, before.clone(), &TLS13).await.is_ok());
    assert!(tls.reload().unwrap());
    assert!(connect_by(&server, before, &TLS13).await.is_err());
    assert!(connect_by(&server, after, &TLS13).await.is_ok());
    assert!(early.ask("GET /scheme HTTP/1.1\r\nHost: a\r\n\r\n").await.ends_with("https"));
}

#[tokio::test]
async fn reload_of_an_invalid_certificate_keeps_the_previous_one() {
    let files = Files::new();
    let tls = files.open().unwrap();
    let good = files.certificate();
    let server = Server::start_secured(Limits::default(), Some(tls.clone())).await;
    let other = Files::new();
    let foreign = fs::read_to_string(other.0.path().join("key.pem")).unwrap();
    let renewed = files.renew();
    for (name, text) in [("key.pem", foreign.as_str()), ("key.pem", ""), ("cert.pem", "not PEM")] {
        files.write(name, text);
        assert!(tls.reload().is_err(), "{name}: {text}");
        assert!(files.open().is_err());
    }
    fs::remove_file(files.0.path().join("cert.pem")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::File { .. })));
    assert!(connect_by(&server, good, &TLS13).await.is_ok());
    assert!(connect_by(&server, renewed, &TLS13).await.is_err());
}

#[tokio::test]
async fn unfinished_handshake_is_cut_off_and_counts_as_a_connection() {
    let files = Files::new();
    let limits = one_connection(Limits { header_timeout: Duration::from_secs(1), ..Limits::default() });
    let server = Server::start_secured(limits, Some(files.open().unwrap())).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    // The beginning of a record of 512 bytes. The rest does not arrive.
    slow.0.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    // Each of them blocks the next one until its timeout.
    let mut client = connect(&server, &files).await;
    assert!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(silent.rest().await, "");
    slow.rest().await;
}

#[tokio::test]
async fn plain_http_on_a_tls_listener_is_closed_at_once() {
    let files = Files::new();
    let server = Server::start_secured(one_connection(Limits::default()), Some(files.open().unwrap())).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut answer = Vec::new();
    _ = client.0.read_to_end(&mut answer).await;
    // An alert (RFC 8446 section 6), if it arrived, and the end.
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
    connect(&server, &files).await;
}

#[tokio::test]
async fn shutdown_lets_a_request_over_tls_finish_and_waits_for_no_handshake() {
    let files = Files::new();
    let limits = Limits { drain: Duration::ZERO, ..Limits::default() };
    let server = Server::start_secured(limits, Some(files.open().unwrap())).await;
    let go_on = Arc::clone(&server.go_on);
    let mut silent = server.connect().await;
    let mut running = connect(&server, &files).await;
    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.begun.notified().await;
    let serving = server.stop().await;
    assert_eq!(silent.rest().await, "");
    assert!(!serving.is_finished());
    go_on.notify_one();
    assert!(running.receive().await.ends_with("slow"));
    assert_eq!(running.rest().await, "");
    assert_eq!(serving.await.unwrap(), Drained { cut: 0 });
}
