//! The memory of a connection with a slow client.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::TcpSocket,
    time::sleep,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs},
};

use crate::support::{
    Kind,
    process::{Server, Site},
};

/// The number of connections of each kind.
const CONNECTIONS: u8 = 250;

/// The documented maximum for each connection in bytes.
const MOST: u64 = 96 * 1024;
const MOST_WITH_TLS: u64 = 128 * 1024;

/// The bytes that a client of each kind sends. After them it neither sends nor reads.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let post = |head: &str, body: &[u8]| {
        let head = format!(
            "POST /api/v1/codes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").into_bytes();
    let most_of_a_body = vec![b' '; 24_575];
    let long = "a".repeat(15_000);
    vec![
        ("idle from the start", Vec::new()),
        ("idle after an answer", get("/health/live")),
        ("slow head", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}").into_bytes()),
        ("slow reader of a page", b"GET /docs HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("slow reader of a compressed page", get("/docs")),
        ("slow reader of many answers", get("/openapi.yaml").repeat(100)),
        ("slow body", post("Content-Length: 24576", &most_of_a_body)),
        (
            "slow body after a long head",
            post(&format!("X: {long}\r\nContent-Length: 24576"), &most_of_a_body),
        ),
        ("slow body in small chunks", post("Transfer-Encoding: chunked", &b"1\r\n \r\n".repeat(24_000))),
    ]
}

/// Connects once from each of many addresses, so that no address exceeds its limit.
async fn open(
    server: &Server,
    tls: Option<&TlsConnector>,
    number: u8,
    network: u8,
) -> Box<dyn AsyncWrite + Unpin> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 9, network, number + 1), 0).into()).unwrap();
    let (_, address) = server.url.split_once("://").unwrap();
    let stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let Some(tls) = tls else { return Box::new(stream) };
    Box::new(tls.connect("localhost".try_into().unwrap(), stream).await.unwrap())
}

/// The memory of a server after a second without growth.
async fn settled(server: &Server) -> u64 {
    let mut readings = vec![server.program.resident_bytes()];
    while readings.len() < 20 {
        sleep(Duration::from_millis(250)).await;
        readings.push(server.program.resident_bytes());
        if let [.., one, _, _, _, last] = readings[..]
            && last <= one
        {
            break;
        }
    }
    readings.pop().unwrap_or_default()
}

/// The growth of a new server's memory for each connection that has sent `request` and reads nothing.
async fn growth(site: &Site, network: u8, request: &[u8], tls: Option<&TlsConnector>) -> u64 {
    let server = &site.listen("serve").await;
    // The first request builds the page.
    let mut first = open(server, tls, CONNECTIONS, network).await;
    first.write_all(b"GET /docs HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let before = settled(server).await;
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = open(server, tls, number, network).await;
        stream.write_all(request).await.unwrap();
        stream.flush().await.unwrap();
        streams.push(stream);
    }
    let during = settled(server).await;
    drop(streams);
    let after = settled(server).await;
    let growth = during.saturating_sub(before) / u64::from(CONNECTIONS);
    let [before, during, after] = [before, during, after].map(|bytes| bytes / 1024);
    println!(
        "{before} KiB before, {during} KiB during, {after} KiB after: {growth} bytes for each connection"
    );
    growth
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_client_of_every_kind_stays_within_the_documented_memory() {
    let site = Site::new(Kind::Sqlite).await;
    for (network, (kind, request)) in (0..).zip(kinds()) {
        println!("{kind}");
        let growth = growth(&site, network, &request, None).await;
        assert!(growth <= MOST, "{kind}: {growth}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_client_over_tls_stays_within_the_documented_memory() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let site = Site::new(Kind::Sqlite).await;
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| site.data().join(name));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let site = site
        .with("HOMEROOM_TLS_CERT", certificate.to_str().unwrap())
        .with("HOMEROOM_TLS_KEY", key.to_str().unwrap());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    for (network, (kind, request)) in (20..).zip(kinds()) {
        println!("{kind}");
        let growth = growth(&site, network, &request, Some(&tls)).await;
        assert!(growth <= MOST_WITH_TLS, "{kind}: {growth}");
    }
}
