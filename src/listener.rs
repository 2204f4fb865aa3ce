//! The accept loop: HTTP/1.1 on TCP, with limits on what a caller can hold on to before its request is
//! read, and an orderly end.
//!
//! It hands every request to a poem endpoint, as poem's own server would, which has none of these limits.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use poem::{
    Addr, Endpoint, Request,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    task::{JoinError, JoinSet},
    time,
};

/// The least buffer that hyper works with, in bytes.
const MIN_BUFFER: usize = 8 * 1024;

/// How long to wait for a connection to end when the system has no room for another one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What callers can hold on to. Whoever exceeds a limit on the head of a request is answered 431 where
/// possible, and the connection is closed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the head of a request may take, from the connection or the end of the previous request on;
    /// and so how long a connection may idle.
    pub header_timeout: Duration,
    /// How many header fields a request may have.
    pub max_headers: usize,
    /// How many bytes the head of a request may have.
    pub max_head_bytes: usize,
    /// How many connections there may be at once. More wait in the system's queue.
    pub max_connections: usize,
    /// How long requests that are running at the shutdown may take to finish.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            max_headers: 64,
            max_head_bytes: 32 * 1024,
            max_connections: 8192,
            drain: Duration::from_secs(10),
        }
    }
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// How many connections were cut off because they outlasted [`Limits::drain`].
    pub cut: usize,
}

/// A socket that connections arrive at.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Begins to listen. Connections queue up from here on, and are answered by [`serve`](Self::serve).
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it listens: the port that the system has chosen if it was asked for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Has `endpoint` answer every request until `shutdown` is ready. From then on nothing is accepted, idle
    /// connections are closed, and running requests have [`Limits::drain`] to finish.
    ///
    /// A panic in the endpoint ends its connection and nothing else.
    pub async fn serve<E: Endpoint + 'static>(
        self,
        endpoint: E,
        limits: Limits,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let endpoint = Arc::new(endpoint);
        let http = http(&limits);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = connections.join_next() => report_panic(ended),
                (stream, remote) = self.accept(), if connections.len() < limits.max_connections => {
                    connections.spawn(answer(stream, remote, http.clone(), graceful.watcher(), Arc::clone(&endpoint)));
                }
            }
        }
        drop(self);

        let ended = async {
            while let Some(ended) = connections.join_next().await {
                report_panic(ended);
            }
        };
        // Running out of time is not an error: what is left over then is cut off.
        _ = time::timeout(limits.drain, async { tokio::join!(graceful.shutdown(), ended) }).await;
        let cut = connections.len();
        connections.shutdown().await;
        Drained { cut }
    }

    /// The next connection. Being dropped in between loses none.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(connection) => return connection,
                // The caller was gone before its turn came; the next one may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Most likely there are no file descriptors left, and asking again at once would only spin.
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.max_headers)
        // The one bounds a head that has arrived, the other what is kept of one that does not end.
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes.max(MIN_BUFFER));
    http
}

/// Answers the requests of one connection until it ends.
async fn answer<E: Endpoint + 'static>(
    stream: TcpStream,
    remote: SocketAddr,
    http: http1::Builder,
    shutdown: Watcher,
    endpoint: Arc<E>,
) {
    // Neither fails unless the caller is gone already, which reading will tell.
    _ = stream.set_nodelay(true);
    let local = LocalAddr(stream.local_addr().map(Addr::from).unwrap_or_default());
    let service = service_fn(|request| {
        let endpoint = Arc::clone(&endpoint);
        let request = Request::from((request, local.clone(), RemoteAddr(remote.into()), Scheme::HTTP));
        async move { Ok::<_, Infallible>(hyper::Response::from(endpoint.get_response(request).await)) }
    });
    if let Err(error) = shutdown.watch(http.serve_connection(TokioIo::new(stream), service)).await {
        tracing::debug!(%remote, %error, "a connection ended early");
    }
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended in a panic");
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use poem::{Response, endpoint::make, http::StatusCode};
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        sync::{Notify, oneshot},
        task::JoinHandle,
    };

    use super::*;

    /// A server on a port of its own. `/` answers the caller's address, `/panic` panics, and `/slow` says
    /// that it has begun and answers once it is told to.
    struct Server {
        address: SocketAddr,
        begun: Arc<Notify>,
        go_on: Arc<Notify>,
        stop: oneshot::Sender<()>,
        serving: JoinHandle<Drained>,
    }

    impl Server {
        async fn start(limits: Limits) -> Self {
            let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
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

        /// Begins the shutdown, and waits until it has begun.
        async fn stop(self) -> JoinHandle<Drained> {
            self.stop.send(()).unwrap();
            while TcpStream::connect(self.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            self.serving
        }
    }

    async fn respond(request: Request, begun: Arc<Notify>, go_on: Arc<Notify>) -> poem::Result<Response> {
        match request.uri().path() {
            "/" => Ok(request.remote_addr().to_string().into()),
            "/panic" => panic!("as asked"),
            "/slow" => {
                begun.notify_one();
                go_on.notified().await;
                Ok("slow".into())
            }
            _ => Err(StatusCode::NOT_FOUND.into()),
        }
    }

    struct Client(BufReader<TcpStream>);

    impl Client {
        async fn send(&mut self, text: &str) {
            self.0.write_all(text.as_bytes()).await.unwrap();
        }

        /// One response: its head, and a body as long as the head says.
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

        /// What still comes until the connection is closed, in whichever way.
        async fn rest(&mut self) -> String {
            let mut rest = Vec::new();
            _ = self.0.read_to_end(&mut rest).await;
            String::from_utf8(rest).unwrap()
        }
    }

    fn impatient() -> Limits {
        Limits { header_timeout: Duration::from_millis(50), ..Limits::default() }
    }

    #[tokio::test]
    async fn a_connection_is_kept_for_the_next_request() {
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
    async fn an_error_of_the_endpoint_is_a_response() {
        let server = Server::start(Limits::default()).await;
        let response = server.connect().await.ask("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    }

    #[tokio::test]
    async fn head_is_answered_without_a_body() {
        let server = Server::start(Limits::default()).await;
        let mut client = server.connect().await;
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let (_, length) = client.receive_head().await;
        assert_ne!(length, 0);
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test]
    async fn a_caller_that_says_nothing_is_dropped() {
        let server = Server::start(impatient()).await;
        assert_eq!(server.connect().await.rest().await, "");
    }

    #[tokio::test]
    async fn a_caller_that_does_not_finish_its_head_is_dropped() {
        let server = Server::start(impatient()).await;
        let mut client = server.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
        client.rest().await;
    }

    #[tokio::test]
    async fn a_connection_that_idles_after_a_request_is_dropped() {
        let server = Server::start(impatient()).await;
        let mut client = server.connect().await;
        client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.rest().await, "");
    }

    #[tokio::test]
    async fn too_many_header_fields_are_refused() {
        let server = Server::start(Limits::default()).await;
        let mut client = server.connect().await;
        client.send(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65))).await;
        assert!(client.rest().await.starts_with("HTTP/1.1 431 "));
        let mut client = server.connect().await;
        let response = client.ask(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(64))).await;
        assert!(response.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let server = Server::start(Limits { max_head_bytes: 1000, ..Limits::default() }).await;
        let mut client = server.connect().await;
        client.send(&format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1000))).await;
        assert!(client.rest().await.starts_with("HTTP/1.1 431 "));
        assert!(server.is_alive().await);
    }

    #[tokio::test]
    async fn a_head_without_end_is_not_read_on() {
        let server = Server::start(Limits::default()).await;
        let mut client = server.connect().await;
        client.send("GET / HTTP/1.1\r\na: ").await;
        while client.0.write_all(&[b'b'; 4096]).await.is_ok() {}
        assert!(server.is_alive().await);
    }

    #[tokio::test]
    async fn what_is_not_http_closes_the_connection_only() {
        let server = Server::start(Limits::default()).await;
        for greeting in ["\x16\x03\x01 hello", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut client = server.connect().await;
            client.send(greeting).await;
            client.rest().await;
        }
        assert!(server.is_alive().await);
    }

    #[tokio::test]
    async fn a_panic_ends_its_connection_only() {
        let server = Server::start(Limits::default()).await;
        let mut client = server.connect().await;
        client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.rest().await, "");
        assert!(server.is_alive().await);
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_their_turn() {
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
    async fn a_shutdown_lets_a_running_request_finish_and_refuses_others() {
        let server = Server::start(Limits::default()).await;
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
    async fn a_request_that_outlasts_the_shutdown_is_cut_off() {
        let server = Server::start(Limits { drain: Duration::from_millis(50), ..Limits::default() }).await;
        let mut running = server.connect().await;
        running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        server.begun.notified().await;
        let serving = server.stop().await;
        assert_eq!(running.rest().await, "");
        assert_eq!(serving.await.unwrap(), Drained { cut: 1 });
    }
}
