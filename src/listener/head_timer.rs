//! The timeout for the head of a request: a longer one before its first byte, and a shorter one after it.
//!
//! hyper has one timeout for both, which starts with the end of the previous response. It sleeps on this timer, which shortens the timeout
//! as soon as a byte has been read.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The timer of one connection. hyper uses it only for the head of a request, with the timeout of an idle connection.
#[derive(Clone)]
pub(super) struct HeadTimer {
    header_timeout: Duration,
    /// Whether a byte was read since hyper started to wait for a head.
    received: Arc<AtomicBool>,
    /// Whether hyper has not yet waited for a head.
    is_new: Arc<AtomicBool>,
}

impl HeadTimer {
    pub(super) fn new(header_timeout: Duration) -> Self {
        Self { header_timeout, received: Arc::default(), is_new: Arc::new(AtomicBool::new(true)) }
    }

    /// Wraps a stream, so that this timer sees when a byte is read from it.
    pub(super) fn observe<S>(&self, stream: S) -> Observed<S> {
        Observed { stream, received: Arc::clone(&self.received) }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        // The client of a new connection should send its request at once.
        let is_new = self.is_new.swap(false, Ordering::Relaxed);
        let deadline = if is_new { Instant::now() + self.header_timeout } else { deadline };
        self.received.store(false, Ordering::Relaxed);
        Box::pin(HeadSleep {
            sleep: TokioTimer::new().sleep_until(deadline),
            started: false,
            header_timeout: self.header_timeout,
            received: Arc::clone(&self.received),
        })
    }
}

struct HeadSleep {
    sleep: Pin<Box<dyn Sleep>>,
    started: bool,
    header_timeout: Duration,
    received: Arc<AtomicBool>,
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // hyper polls this after each read that does not complete the head.
        if !this.started && this.received.load(Ordering::Relaxed) {
            this.started = true;
            TokioTimer::new().reset(&mut this.sleep, Instant::now() + this.header_timeout);
        }
        this.sleep.as_mut().poll(context)
    }
}

/// A stream that records when a byte is read.
pub(super) struct Observed<S> {
    stream: S,
    received: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.received.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
