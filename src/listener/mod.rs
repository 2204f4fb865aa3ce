//! The accept loop: HTTP/1.1 over TCP or TLS, with limits on connections and request heads, and an orderly shutdown.
//!
//! It calls a poem endpoint for every request. poem's own server has none of these limits.

mod address_limits;
mod head_timer;
mod tls;
mod unread_body;

use std::{convert::Infallible, io, iter, mem, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    body::{Body as _, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulShutdown, Watcher},
};
use ipnet::IpNet;
use poem::{
    Addr, Endpoint, Request,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

pub use self::tls::{Tls, TlsError};
use self::{
    address_limits::{AddressLimits, Admitted},
    head_timer::HeadTimer,
    unread_body::SharedBody,
};

/// The minimum buffer size of hyper in bytes.
const MIN_BUFFER: usize = 8 * 1024;

/// The pause after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The time for the first bytes of a connection that was accepted just before the shutdown.
const ARRIVAL: Duration = Duration::from_millis(50);

/// Limits on clients. A request head beyond its limits gets 431 where possible, and the connection is closed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The maximum time for the head of a request from its first byte, for the first byte of a new connection, and for a TLS
    /// handshake.
    pub header_timeout: Duration,
    /// The maximum idle time after a response.
    pub keep_alive: Duration,
    /// The maximum time in which a client reads nothing of a response.
    pub write_timeout: Duration,
    /// The maximum number of header fields of a request.
    pub max_headers: usize,
    /// The maximum size of the head of a request in bytes.
    pub max_head_bytes: usize,
    /// The maximum number of connections. Further ones wait in the system's queue. A connection that is accepted when half of them
    /// are open is closed after its first response, so that the queue moves on.
    pub max_connections: usize,
    /// The maximum number of connections of one client address (IPv6: /48). 0 is no limit. An address may never have more than
    /// are still free, and a few connections are reserved for addresses without one. A connection beyond the limit is closed at
    /// once. A connection beyond half of the limit is closed after its first response.
    pub max_connections_per_address: usize,
    /// How long requests are still accepted after the shutdown began. Each response closes its connection. In this time, proxies
    /// select other nodes, so that no request is sent to a closed port.
    pub drain: Duration,
    /// The maximum time for requests that still run after that.
    pub finish: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write_timeout: Duration::from_secs(10),
            max_headers: 64,
            max_head_bytes: 16 * 1024,
            max_connections: 1024,
            max_connections_per_address: 0,
            drain: Duration::from_secs(2),
            finish: Duration::from_millis(3_500),
        }
    }
}

/// The result of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// The number of connections that were closed because they outlasted [`Limits::finish`].
    pub cut: usize,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    tls: Option<Tls>,
    proxies: Vec<IpNet>,
}

impl Listener {
    /// Starts to listen. Connections wait in the system's queue for [`serve`](Self::serve). The queue has the length `backlog`, or the
    /// system's maximum. Needs a tokio runtime.
    pub fn bind(address: SocketAddr, backlog: usize) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restarted server need not wait for connections of the previous one in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(backlog.try_into().unwrap_or(u32::MAX >> 1))?;
        Ok(Self { socket, tls: None, proxies: Vec::new() })
    }

    /// Exempts the connections of these reverse proxies from [`Limits::max_connections_per_address`].
    #[must_use]
    pub fn trusting(self, proxies: Vec<IpNet>) -> Self {
        Self { proxies, ..self }
    }

    /// Uses TLS, if there is a certificate.
    #[must_use]
    pub fn secured(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The address of the socket, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Calls `endpoint` for every request until `shutdown` completes, and for [`Limits::drain`] after that. Then it accepts nothing,
    /// closes idle connections, and gives running requests [`Limits::finish`] to end.
    ///
    /// A panic in the endpoint ends its connection and nothing else.
    pub async fn serve<E: Endpoint + 'static>(
        mut self,
        endpoint: E,
        limits: Limits,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let graceful = GracefulShutdown::new();
        let (phase, current) = watch::channel(Phase::Serving);
        let service = Service {
            endpoint: Arc::new(endpoint),
            http: http(&limits),
            tls: self.tls.as_ref().map(Tls::acceptor),
            limits,
            phase: current,
        };
        let open = metrics::gauge!(crate::metrics::CONNECTIONS);
        let mut addresses = AddressLimits::new(limits, mem::take(&mut self.proxies));
        let mut connections = JoinSet::new();
        let mut ends = pin!(async {
            shutdown.await;
            phase.send_replace(Phase::Draining);
            time::sleep(limits.drain).await;
        });
        let mut accepting = Box::pin(self.accept());
        loop {
            tokio::select! {
                () = &mut ends => break,
                Some(ended) = connections.join_next() => {
                    open.decrement(1);
                    report_panic(ended);
                }
                // This future is kept between the iterations, because it may be in a pause.
                (stream, remote) = &mut accepting, if connections.len() < limits.max_connections => {
                    accepting.set(self.accept());
                    let Some(admitted) = addresses.admit(remote.ip(), connections.len()) else { continue };
                    open.increment(1);
                    connections.spawn(service.clone().serve_connection(stream, remote, admitted, graceful.watcher()));
                }
            }
        }
        drop(accepting);
        for (stream, remote) in self.close() {
            // They are admitted beyond the maximum. The queue bounds their number, and no others follow.
            let Some(admitted) = addresses.admit(remote.ip(), 0) else { continue };
            connections.spawn(service.clone().serve_connection(stream, remote, admitted, graceful.watcher()));
        }
        phase.send_replace(Phase::Closed);
        if !connections.is_empty() {
            time::sleep(ARRIVAL).await;
        }

        let ended = async {
            while let Some(ended) = connections.join_next().await {
                report_panic(ended);
            }
        };
        // A timeout is not an error: the remaining connections are closed.
        _ = time::timeout(limits.finish, async { tokio::join!(graceful.shutdown(), ended) }).await;
        let cut = connections.len();
        connections.shutdown().await;
        Drained { cut }
    }

    /// Stops listening, and returns the connections in the system's queue. Their clients see them as connected.
    fn close(self) -> Vec<(TcpStream, SocketAddr)> {
        // Accepts from the socket itself, because the runtime does not know all of these connections yet.
        let Ok(socket) = self.socket.into_std() else { return Vec::new() };
        iter::from_fn(|| socket.accept().ok())
            .filter_map(|(stream, remote)| {
                stream.set_nonblocking(true).ok()?;
                Some((TcpStream::from_std(stream).ok()?, remote))
            })
            .collect()
    }

    /// The next connection. Dropping this future loses none.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok(connection) => return connection,
                // The client disconnected while it waited. The next one may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Most likely there are no free file descriptors. An immediate retry would only use processor time.
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    // The timer of each connection shortens this time after the first byte.
    http.header_read_timeout(limits.keep_alive)
        .max_headers(limits.max_headers)
        // The first limit applies to a complete head, the second to an incomplete one.
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes.max(MIN_BUFFER));
    http
}

/// The phase of the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The shutdown has not begun.
    Serving,
    /// Requests are accepted, and each connection ends with its next response.
    Draining,
    /// Nothing is accepted.
    Closed,
}

/// Everything that a connection needs to be served.
struct Service<E> {
    endpoint: Arc<E>,
    http: http1::Builder,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    phase: watch::Receiver<Phase>,
}

impl<E> Clone for Service<E> {
    fn clone(&self) -> Self {
        let Self { endpoint, http, tls, limits, phase } = self;
        Self {
            endpoint: Arc::clone(endpoint),
            http: http.clone(),
            tls: tls.clone(),
            limits: *limits,
            phase: phase.clone(),
        }
    }
}

impl<E: Endpoint + 'static> Service<E> {
    /// Serves one connection until it ends.
    async fn serve_connection(
        mut self,
        stream: TcpStream,
        remote: SocketAddr,
        admitted: Admitted,
        shutdown: Watcher,
    ) {
        // A connection that is closed after its response lets the next one in the queue be accepted.
        self.http.keep_alive(admitted.is_kept);
        // An error means that the client has disconnected, which the next read reports.
        _ = stream.set_nodelay(true);
        let local = LocalAddr(stream.local_addr().map(Addr::from).unwrap_or_default());
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(self.limits.write_timeout));
        let remote = RemoteAddr(remote.into());
        let Some(tls) = self.tls.take() else {
            return self.serve_http(stream, local, remote, Scheme::HTTP, shutdown).await;
        };
        // Boxed to keep the future of a connection without TLS small.
        Box::pin(self.serve_tls(tls, stream, local, remote, shutdown)).await;
    }

    async fn serve_tls(
        &self,
        tls: TlsAcceptor,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        local: LocalAddr,
        remote: RemoteAddr,
        shutdown: Watcher,
    ) {
        let mut phase = self.phase.clone();
        let closed = async { drop(phase.wait_for(|phase| *phase == Phase::Closed).await) };
        let handshake = time::timeout(self.limits.header_timeout, tls.accept(stream));
        tokio::select! {
            result = handshake => match result {
                Ok(Ok(stream)) => self.serve_http(stream, local, remote, Scheme::HTTPS, shutdown).await,
                Ok(Err(error)) => tracing::debug!(%remote, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%remote, "a TLS handshake took too long"),
            },
            // A client without a complete handshake has sent no request.
            () = closed => {}
        }
    }

    async fn serve_http(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        local: LocalAddr,
        remote: RemoteAddr,
        scheme: Scheme,
        shutdown: Watcher,
    ) {
        let timer = HeadTimer::new(self.limits.header_timeout);
        let stream = timer.observe(stream);
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let endpoint = Arc::clone(&self.endpoint);
            let has_body = !request.body().is_end_stream();
            let mut request = Request::from((request, local.clone(), remote.clone(), scheme.clone()));
            let body = has_body.then(|| SharedBody::of(&mut request));
            async move {
                let mut response = hyper::Response::from(endpoint.get_response(request).await);
                let is_read = match body {
                    Some(body) => Box::pin(body.finish()).await,
                    None => true,
                };
                if !is_read || *self.phase.borrow() != Phase::Serving {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut http = self.http.clone();
        let connection = http.timer(timer).serve_connection(TokioIo::new(stream), service);
        if let Err(error) = shutdown.watch(connection).await {
            tracing::debug!(%remote, %error, "a connection ended early");
        }
    }
}

fn report_panic(ended: Result<(), JoinError>) {
    // The message of the panic is not logged, because it could hold a secret.
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection ended in a panic");
    }
}

#[cfg(test)]
mod tests;
