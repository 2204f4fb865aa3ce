//! Tests with raw sockets.

mod tls;

use std::{net::Ipv4Addr, time::Instant};

use poem::{Response, endpoint::make, http::StatusCode};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::*;

/// A server on a free port. `/` responds with the client's address, `/read` with the body, `/scheme` with the scheme, `/large` with
/// more than a socket buffers. `/panic` panics. `/slow` notifies `begun` and waits for `go_on`.
struct Server {
    address: SocketAddr,
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Drained>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        Self::start_secured(limits, None).await
    }

    async fn start_secured(limits: Limits, tls: Option<Tls>) -> Self {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), 64).unwrap().secured(tls);
        let address = listener.local_addr().unwrap();
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, stopped) = oneshot::channel();
        let endpoint = make({
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            move |request| respond(request, Arc::clone(&begun), Arc::clone(&go_on))
        });
        let serving = tokio::spawn(listener.serve(endpoint, limits, async { _ = stopped.await }));
        Self { address, begun, go_on, stop, serving }
    }

    async fn connect(&self) -> Client {
        Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    async fn is_alive(&self) -> bool {
        self.connect().await.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 200 ")
    }

    /// Starts the shutdown, and waits until the listener is closed.
    async fn stop(self) -> JoinHandle<Drained> {
        self.stop.send(()).unwrap();
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        self.serving
    }
}

async fn respond(mut request: Request, begun: Arc<Notify>, go_on: Arc<Notify>) -> poem::Result<Response> {
    match request.uri().path() {
        "/" => Ok(request.remote_addr().to_string().into()),
        "/read" => Ok(request.take_body().into_string().await?.into()),
        "/scheme" => Ok(request.scheme().to_string().into()),
        "/panic" => panic!("as asked"),
        "/large" => Ok(vec![b'a'; LARGE].into()),
        "/slow" => {
            begun.notify_one();
            go_on.notified().await;
            Ok("slow".into())
        }
        _ => Err(StatusCode::NOT_FOUND.into()),
    }
}

/// More bytes than the system buffers for a client that does not read.
const LARGE: usize = 32 * 1024 * 1024;

struct Client<S = TcpStream>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads one response: its head, and a body of the length in the head.
    async fn receive(&mut self) -> String {
        let (mut response, length) = self.receive_head().await;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        response.push_str(&String::from_utf8(body).unwrap());
        response
    }

    async fn receive_head(&mut self) -> (String, usize) {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "closed after {head:?}");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        (head, length)
    }

    async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.receive().await
    }

    /// Reads until the connection is closed.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        _ = self.0.read_to_end(&mut rest).await;
        String::from_utf8(rest).unwrap()
    }
}

fn short_timeouts() -> Limits {
    let time = Duration::from_millis(50);
    Limits { header_timeout: time, keep_alive: time, ..Limits::default() }
}

/// One connection at a time: a second response shows that the first connection is closed.
fn one_connection(limits: Limits) -> Limits {
    Limits { max_connections: 1, ..limits }
}

#[tokio::test]
async fn connection_is_kept_for_the_next_request() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    let own = client.0.get_ref().local_addr().unwrap();
    for _ in 0..2 {
        let response = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.ends_with(&format!("socket://{own}")), "{response}");
    }
}

#[tokio::test]
async fn error_of_the_endpoint_is_a_response() {
    let server = Server::start(Limits::default()).await;
    let response = server.connect().await.ask("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
}

#[tokio::test]
async fn head_request_gets_no_body() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let (_, length) = client.receive_head().await;
    assert_ne!(length, 0);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn client_that_sends_nothing_is_disconnected() {
    let server = Server::start(short_timeouts()).await;
    assert_eq!(server.connect().await.rest().await, "");
}

#[tokio::test]
async fn client_that_does_not_finish_its_head_is_disconnected() {
    let server = Server::start(short_timeouts()).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    client.rest().await;
}

#[tokio::test]
async fn connection_idle_after_a_request_is_closed() {
    let server = Server::start(short_timeouts()).await;
    let mut client = server.connect().await;
    client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn client_that_does_not_read_its_response_is_disconnected() {
    let server = Server::start(one_connection(Limits {
        write_timeout: Duration::from_millis(50),
        ..Limits::default()
    }))
    .await;
    let mut deaf = server.connect().await;
    deaf.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(server.is_alive().await);
    assert!(deaf.rest().await.len() < LARGE);
}

#[tokio::test]
async fn client_that_reads_slowly_gets_the_whole_response() {
    let limits = Limits { write_timeout: Duration::from_secs(1), ..Limits::default() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(client.rest().await.len() > LARGE);
}

#[tokio::test]
async fn too_many_header_fields_are_a_431() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65))).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 431 "));
    let mut client = server.connect().await;
    let response = client.ask(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(64))).await;
    assert!(response.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn head_that_is_too_large_is_a_431() {
    let server = Server::start(Limits { max_head_bytes: 1000, ..Limits::default() }).await;
    let mut client = server.connect().await;
    client.send(&format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1000))).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 431 "));
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn head_without_end_is_refused_at_its_limit() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\na: ").await;
    while client.0.write_all(&[b'b'; 4096]).await.is_ok() {}
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn bytes_that_are_not_http_close_only_their_connection() {
    let server = Server::start(Limits::default()).await;
    for greeting in ["\x16\x03\x01 hello", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = server.connect().await;
        client.send(greeting).await;
        client.rest().await;
    }
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn panic_closes_only_its_connection() {
    let server = Server::start(Limits::default()).await;
    let mut client = server.connect().await;
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn connection_beyond_the_limit_waits() {
    let server = Server::start(Limits { max_connections: 1, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.send("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    server.begun.notified().await;
    let mut second = server.connect().await;
    second.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(time::timeout(Duration::from_millis(50), server.begun.notified()).await.is_err());
    server.go_on.notify_one();
    assert!(first.receive().await.ends_with("slow"));
    server.begun.notified().await;
    server.go_on.notify_one();
    assert!(second.receive().await.ends_with("slow"));
}

#[tokio::test]
async fn busy_connection_is_closed_when_others_wait() {
    let server = Server::start(Limits { max_connections: 4, ..Limits::default() }).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for _ in 0..2 {
        first.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        second.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    }
    for _ in 0..3 {
        let mut third = server.connect().await;
        assert!(third.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.contains("connection: close\r\n"));
        assert_eq!(third.rest().await, "");
    }
    first.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
}

#[tokio::test]
async fn shutdown_answers_requests_while_it_drains_and_closes_each_connection() {
    let server = Server::start(Limits { drain: Duration::from_mins(1), ..Limits::default() }).await;
    let mut idle = server.connect().await;
    idle.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.stop.send(()).unwrap();
    let mut answer = String::new();
    while !answer.contains("connection: close") {
        // A request before the shutdown keeps the connection, and a request after it closes the connection.
        answer = idle.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(idle.rest().await, "");
    // No connection is open, and a new request still gets a response.
    for _ in 0..3 {
        let mut late = Client(BufReader::new(TcpStream::connect(server.address).await.unwrap()));
        let answer = late.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
        assert_eq!(late.rest().await, "");
    }
    server.serving.abort();
}

#[tokio::test]
async fn connection_in_the_queue_at_the_shutdown_is_answered() {
    let limits = Limits { max_connections: 1, drain: Duration::ZERO, ..Limits::default() };
    let server = Server::start(limits).await;
    let mut running = server.connect().await;
    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.begun.notified().await;
    let mut waiting = server.connect().await;
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let go_on = Arc::clone(&server.go_on);
    let serving = server.stop().await;
    assert!(waiting.receive().await.starts_with("HTTP/1.1 200 "));
    go_on.notify_one();
    assert!(running.receive().await.ends_with("slow"));
    assert_eq!(serving.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn shutdown_lets_a_running_request_finish_and_refuses_others() {
    let server = Server::start(Limits { drain: Duration::ZERO, ..Limits::default() }).await;
    let go_on = Arc::clone(&server.go_on);
    let mut idle = server.connect().await;
    idle.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut silent = server.connect().await;
    let mut running = server.connect().await;
    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.begun.notified().await;

    let serving = server.stop().await;
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    assert!(!serving.is_finished());

    go_on.notify_one();
    assert!(running.receive().await.ends_with("slow"));
    assert_eq!(running.rest().await, "");
    assert_eq!(serving.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn request_that_outlasts_the_shutdown_is_cut_off() {
    let server = Server::start(Limits {
        drain: Duration::ZERO,
        finish: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    let mut running = server.connect().await;
    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.begun.notified().await;
    let serving = server.stop().await;
    assert_eq!(running.rest().await, "");
    assert_eq!(serving.await.unwrap(), Drained { cut: 1 });
}

#[tokio::test]
async fn idle_connection_outlives_the_timeout_of_a_head() {
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::default() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        time::sleep(Duration::from_millis(300)).await;
    }
    assert!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn idle_connection_is_closed_without_a_response_after_its_timeout() {
    let limits = Limits { keep_alive: Duration::from_millis(300), ..Limits::default() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let since = Instant::now();
    assert_eq!(client.rest().await, "");
    assert!((300..3000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
}

#[tokio::test]
async fn slow_head_is_refused_at_its_timeout_on_a_new_and_on_a_kept_connection() {
    let limits = Limits { header_timeout: Duration::from_millis(500), ..Limits::default() };
    let server = Server::start(limits).await;
    for is_kept in [false, true] {
        let mut client = server.connect().await;
        if is_kept {
            client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            time::sleep(Duration::from_millis(600)).await;
        }
        let since = Instant::now();
        let mut head = "GET / HTTP/1.1\r\nHost: a\r\nX-Trickle: ".bytes().chain(iter::repeat(b'a'));
        let mut closed = [0];
        while time::timeout(Duration::from_millis(20), client.0.read(&mut closed)).await.is_err() {
            _ = client.0.write_all(&[head.next().unwrap()]).await;
        }
        assert!((450..3000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
    }
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn address_at_its_limit_is_refused_and_another_is_served() {
    let limits = Limits { max_connections: 64, max_connections_per_address: 2, ..Limits::default() };
    let server = Server::start(limits).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert!(!first.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.contains("connection: close"));
    second.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.begun.notified().await;
    for _ in 0..100 {
        assert_eq!(server.connect().await.rest().await, "");
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into()).unwrap();
    let mut other = Client(BufReader::new(socket.connect(server.address).await.unwrap()));
    assert!(other.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    server.go_on.notify_one();
    // It was accepted beyond half of the limit.
    assert!(second.receive().await.contains("connection: close\r\n"));
    assert_eq!(second.rest().await, "");
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn aborted_connections_are_not_counted() {
    let limits = Limits { max_connections: 64, max_connections_per_address: 32, ..Limits::default() };
    let server = Server::start(limits).await;
    for round in 0..500 {
        let mut client = server.connect().await;
        if round % 2 == 0 {
            _ = client.0.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1").await;
        }
        if round % 3 == 0 {
            _ = client.0.get_ref().set_zero_linger();
        }
    }
    time::sleep(Duration::from_millis(200)).await;
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn response_announces_that_the_connection_closes() {
    let server = Server::start(Limits::default()).await;
    let closing = [
        ("malformed", "GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("version", "GET / HTTP/3.0\r\n\r\n", 400),
        ("too long", &format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(17_000)), 431),
        ("length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        ("no end of a body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("unread body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1", 200),
        (
            "body on demand",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
            200,
        ),
        ("broken chunk", "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("asked for", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    ];
    for (name, request, status) in closing {
        let mut client = server.connect().await;
        client.send(request).await;
        let answer = client.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{name}: {answer}");
    }
    let kept = [
        ("body that is there", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789", 200),
        ("read body", "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789", 200),
        (
            "chunks",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            200,
        ),
        ("empty body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 200),
        ("error", "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ];
    let mut client = server.connect().await;
    for (name, request, status) in kept {
        let answer = client.ask(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(!answer.contains("connection: close"), "{name}: {answer}");
    }
}

#[tokio::test]
async fn queue_of_waiting_connections_has_the_given_length() {
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), 300).unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = async {
        let mut waiting = Vec::new();
        while waiting.len() < 300 {
            waiting.push(TcpStream::connect(address).await.unwrap());
        }
    };
    time::timeout(Duration::from_secs(20), connecting).await.unwrap();
}
