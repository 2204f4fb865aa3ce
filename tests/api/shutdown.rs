//! Graceful shutdown with clients of every kind.

use std::{
    fs,
    time::{Duration, Instant},
};

use rcgen::generate_simple_self_signed;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

use crate::support::{
    Kind, PASSWORD, STUDENT,
    process::{Program, Server, Site},
    proxy::Proxy,
};

/// One second less than `docker stop` waits.
const MOST: Duration = Duration::from_secs(9);

/// The behavior of a client.
#[derive(Debug, Clone, Copy)]
enum Slow {
    /// Sends nothing.
    Silent,
    /// Sends this text, then one byte at a time.
    Sender(&'static str),
    /// Sends this text repeatedly and reads nothing.
    NoReader(&'static str),
    /// Sends this text repeatedly and reads the responses.
    Repeater(&'static str),
}

const HEAD: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Trickle: ";
const BODY: &str = "POST /api/v1/codes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                    Content-Length: 20000\r\n\r\n";
const UNREAD_BODY: &str = "GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n";
const CHUNKS: &str = "POST /api/v1/codes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                      Transfer-Encoding: chunked\r\n\r\nfff\r\n";
const PAGE: &str = "GET /docs HTTP/1.1\r\nHost: a\r\n\r\n";
const SMALL: &str = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
/// The header of a TLS record. The rest is sent byte by byte.
const HANDSHAKE: &str = "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{7c}\u{3}\u{3}";

const KINDS: [Slow; 9] = [
    Slow::Silent,
    Slow::Sender(""),
    Slow::Sender(HEAD),
    Slow::Sender(BODY),
    Slow::Sender(UNREAD_BODY),
    Slow::Sender(CHUNKS),
    Slow::Sender(HANDSHAKE),
    Slow::NoReader(PAGE),
    Slow::Repeater(SMALL),
];

impl Slow {
    /// Reconnects when the server closes the connection.
    async fn go_on(self, address: String) {
        loop {
            if let Ok(mut stream) = TcpStream::connect(&address).await {
                self.talk(&mut stream).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn talk(self, stream: &mut TcpStream) {
        let mut buffer = [0; 4096];
        match self {
            Self::Silent => _ = stream.read(&mut buffer).await,
            Self::Sender(begin) => {
                _ = stream.write_all(begin.as_bytes()).await;
                while stream.write_all(b"a").await.is_ok() {
                    sleep(Duration::from_millis(100)).await;
                }
            }
            Self::NoReader(request) => {
                for _ in 0..100 {
                    _ = stream.write_all(request.as_bytes()).await;
                }
                sleep(Duration::from_secs(30)).await;
            }
            Self::Repeater(request) => {
                while stream.write_all(request.repeat(10).as_bytes()).await.is_ok()
                    && stream.read(&mut buffer).await.is_ok_and(|read| read > 0)
                {}
            }
        }
    }
}

/// Stops the server and returns the time that it took.
async fn end(server: Server) -> (Option<i32>, Duration) {
    server.signal("TERM");
    let since = Instant::now();
    let ended = server.program.end().await;
    (ended.status.code(), since.elapsed())
}

fn metrics_address(program: &Program) -> String {
    let out = program.out();
    let line = out.lines().find_map(|line| line.strip_prefix("metrics on http://")).unwrap();
    line.strip_suffix("/metrics").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_with_slow_clients_stops_the_server_in_time() {
    for with_tls in [false, true] {
        let mut site = Site::new(Kind::Sqlite).await.with("HOMEROOM_METRICS_LISTEN", "127.0.0.1:0");
        if with_tls {
            let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            for (variable, file, text) in [
                ("HOMEROOM_TLS_CERT", "cert.pem", made.cert.pem()),
                ("HOMEROOM_TLS_KEY", "key.pem", made.signing_key.serialize_pem()),
            ] {
                let path = site.data().join(file);
                fs::write(&path, text).unwrap();
                site = site.with(variable, path.to_str().unwrap());
            }
        }
        let server = site.listen("demo").await;
        while server.program.out().lines().count() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        let (_, address) = server.url.split_once("://").unwrap();
        let mut clients = JoinSet::new();
        for address in [address, &metrics_address(&server.program)] {
            for kind in KINDS {
                for _ in 0..3 {
                    clients.spawn(kind.go_on(address.to_owned()));
                }
            }
        }
        if !with_tls {
            // Each request costs a hash.
            for _ in 0..30 {
                let request = server.post("/api/v1/codes").json(&crate::support::sign_in_body(STUDENT));
                clients.spawn(async move { _ = request.send().await });
            }
        }
        sleep(Duration::from_millis(500)).await;
        let (status, time) = end(server).await;
        println!("with TLS: {with_tls}, ended after {time:?}");
        assert!(status == Some(0) && time <= MOST, "{status:?} after {time:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_with_hanging_postgresql_stops_the_server_in_time() {
    let site = Site::new(Kind::Postgres).await;
    let proxy = Proxy::to(&site.location).await;
    let homeroom::db::DatabaseUrl::Postgres(url) = &proxy.location else { unreachable!() };
    let site = site.with("HOMEROOM_DATABASE_URL", url);
    let server = site.listen("demo").await;
    proxy.hold_back("INSERT INTO \"authorization_codes\"");
    let mut body = crate::support::sign_in_body(STUDENT);
    body["password"] = PASSWORD.into();
    let request = server.post("/api/v1/codes").json(&body);
    let client = tokio::spawn(async move { _ = request.send().await });
    sleep(Duration::from_millis(500)).await;
    let (_, time) = end(server).await;
    println!("ended after {time:?}");
    assert!(time <= MOST, "{time:?}");
    client.abort();
}
