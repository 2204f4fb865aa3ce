//! The accept loop: HTTP/1.1 on TCP, over TLS or not, with limits on what a caller can hold on to before its request is
//! read, and an orderly end.
//!
//! It hands every request to a poem endpoint, as poem's own server would, which has none of these limits.

mod head_timer;
mod request_body;
mod shares;
mod tls;

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
    head_timer::HeadTimer,
    request_body::LentBody,
    shares::{Admitted, Shares},
};

/// The least buffer that hyper works with, in bytes.
const MIN_BUFFER: usize = 8 * 1024;

/// How long to wait for a connection to end when the system has no room for another one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How long the first bytes of a connection may take to be seen that was accepted in the last moment.
const ARRIVAL: Duration = Duration::from_millis(50);

/// What callers can hold on to. Whoever exceeds a limit on the head of a request is answered 431 where
/// possible, and the connection is closed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the head of a request may take, from its first byte on. A new connection may take as long before its first
    /// byte, and so may a TLS handshake.
    pub header_timeout: Duration,
    /// How long a connection may idle after an answer.
    pub keep_alive: Duration,
    /// How long a caller may leave what it is sent unread.
    pub write_timeout: Duration,
    /// How many header fields a request may have.
    pub max_headers: usize,
    /// How many bytes the head of a request may have.
    pub max_head_bytes: usize,
    /// How many connections there may be at once. More wait in the system's queue. One that comes when half of them are
    /// there is closed after its first answer, so that the queue moves on, whatever the others do.
    pub max_connections: usize,
    /// How many of them one client address (IPv6: /48) may have; 0 is no limit. An address may never have more than there
    /// are free places, and a few places are for addresses that have none. A connection beyond that is closed at once.
    /// One that comes when half of its share is used is closed after its first answer.
    pub max_connections_per_address: usize,
    /// For how long after the shutdown began requests are still taken, each of which ends its connection: so that a proxy
    /// can turn to another server, and no request meets a connection that is just being closed.
    pub leave: Duration,
    /// How long requests that are running after that may take to finish.
    pub drain: Duration,
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
            leave: Duration::from_secs(2),
            drain: Duration::from_millis(3_500),
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
pub struct Listener {
    socket: TcpListener,
    tls: Option<Tls>,
    proxies: Vec<IpNet>,
}

impl Listener {
    /// Begins to listen. From here on connections wait in the system's queue, which has `backlog` places or as many as the
    /// system allows. [`serve`](Self::serve) answers them. Needs a runtime.
    pub fn bind(address: SocketAddr, backlog: usize) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A server that starts anew need not wait for the connections of the one before.
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

    /// Speaks TLS, if there is a certificate to show.
    #[must_use]
    pub fn secured(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Where it listens: the port that the system has chosen if it was asked for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Has `endpoint` answer every request until `shutdown` is ready, and for [`Limits::leave`] after that. From then on
    /// nothing is accepted, idle connections are closed, and running requests have
    /// [`Limits::drain`] to finish.
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
        let mut shares = Shares::new(limits, mem::take(&mut self.proxies));
        let mut connections = JoinSet::new();
        let mut ends = pin!(async {
            shutdown.await;
            phase.send_replace(Phase::Leaving);
            time::sleep(limits.leave).await;
        });
        let mut accepting = Box::pin(self.accept());
        loop {
            tokio::select! {
                () = &mut ends => break,
                Some(ended) = connections.join_next() => {
                    open.decrement(1);
                    report_panic(ended);
                }
                // Not made anew for each turn of this loop: it may be pausing.
                (stream, remote) = &mut accepting, if connections.len() < limits.max_connections => {
                    accepting.set(self.accept());
                    let Some(admitted) = shares.admit(remote.ip(), connections.len()) else { continue };
                    open.increment(1);
                    connections.spawn(service.clone().answer(stream, remote, admitted, graceful.watcher()));
                }
            }
        }
        drop(accepting);
        for (stream, remote) in self.close() {
            // They need no free place: the queue bounds them, and nothing comes after them.
            let Some(admitted) = shares.admit(remote.ip(), 0) else { continue };
            connections.spawn(service.clone().answer(stream, remote, admitted, graceful.watcher()));
        }
        phase.send_replace(Phase::Left);
        if !connections.is_empty() {
            time::sleep(ARRIVAL).await;
        }

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

    /// Stops listening, and gives those who are in the system's queue by now: they have been told that they are connected.
    fn close(self) -> Vec<(TcpStream, SocketAddr)> {
        // The system is asked, and not the runtime, which has not heard of everybody yet.
        let Ok(socket) = self.socket.into_std() else { return Vec::new() };
        iter::from_fn(|| socket.accept().ok())
            .filter_map(|(stream, remote)| {
                stream.set_nonblocking(true).ok()?;
                Some((TcpStream::from_std(stream).ok()?, remote))
            })
            .collect()
    }

    /// The next connection. Being dropped in between loses none.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
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
    // Each connection gets a timer of its own, which shortens this time from the first byte on.
    http.header_read_timeout(limits.keep_alive)
        .max_headers(limits.max_headers)
        // The one bounds a head that has arrived, the other what is kept of one that does not end.
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes.max(MIN_BUFFER));
    http
}

/// How far the shutdown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Serving,
    /// It has begun, and each connection ends with its next answer.
    Leaving,
    /// Nothing is accepted any more.
    Left,
}

/// What a connection is answered with.
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
    /// Answers the requests of one connection until it ends.
    async fn answer(mut self, stream: TcpStream, remote: SocketAddr, admitted: Admitted, shutdown: Watcher) {
        // Otherwise there is a place for everybody in turn, and not for the same ones over and over.
        self.http.keep_alive(admitted.is_kept);
        // Neither fails unless the caller is gone already, which reading will tell.
        _ = stream.set_nodelay(true);
        let local = LocalAddr(stream.local_addr().map(Addr::from).unwrap_or_default());
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(self.limits.write_timeout));
        let remote = RemoteAddr(remote.into());
        let Some(tls) = self.tls.take() else {
            return self.converse(stream, local, remote, Scheme::HTTP, shutdown).await;
        };
        // In a box, so that a connection without TLS holds no room for it.
        Box::pin(self.converse_over_tls(tls, stream, local, remote, shutdown)).await;
    }

    async fn converse_over_tls(
        &self,
        tls: TlsAcceptor,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        local: LocalAddr,
        remote: RemoteAddr,
        shutdown: Watcher,
    ) {
        let mut phase = self.phase.clone();
        let left = async { drop(phase.wait_for(|phase| *phase == Phase::Left).await) };
        let handshake = time::timeout(self.limits.header_timeout, tls.accept(stream));
        tokio::select! {
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => self.converse(stream, local, remote, Scheme::HTTPS, shutdown).await,
                Ok(Err(error)) => tracing::debug!(%remote, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%remote, "a TLS handshake took too long"),
            },
            // Who has not asked by then will not be answered.
            () = left => {}
        }
    }

    async fn converse(
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
            let body = has_body.then(|| LentBody::of(&mut request));
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
    // The error would repeat the message of the panic, which may hold anything.
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection ended in a panic");
    }
}

#[cfg(test)]
mod tests;
