//! The body of a request. An endpoint may leave a part unread. hyper then closes the connection, and the response must announce
//! that (RFC 9112 section 9.6).

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Stream, stream};
use hyper::{body::Bytes, header::EXPECT};
use poem::{Body, Request};
use tokio::time;

/// The maximum time and size of an unread rest that is read to keep the connection. A small body arrives with its head.
const REST_TIME: Duration = Duration::from_millis(50);
const MAX_REST: usize = 64 * 1024;

/// A body that the endpoint and the connection share.
pub(super) struct SharedBody {
    rest: Arc<Mutex<Rest>>,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1). hyper sends it when the body
    /// is read.
    awaits_continue: bool,
}

enum Rest {
    Open(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
    Ended,
    Failed,
}

impl SharedBody {
    /// Replaces the body of `request` by a shared one.
    pub(super) fn of(request: &mut Request) -> Self {
        let awaits_continue = request.headers().contains_key(EXPECT);
        let chunks = request.take_body().into_bytes_stream();
        let rest = Arc::new(Mutex::new(Rest::Open(Box::pin(chunks))));
        let shared = Arc::clone(&rest);
        request.set_body(Body::from_bytes_stream(stream::poll_fn(move |context| poll(&shared, context))));
        Self { rest, awaits_continue }
    }

    /// Reads a small unread rest. Returns whether the body has been read to its end.
    pub(super) async fn finish(self) -> bool {
        if self.awaits_continue {
            return matches!(*self.rest.lock().unwrap_or_else(PoisonError::into_inner), Rest::Ended);
        }
        let read = async {
            let mut length = 0;
            while length <= MAX_REST {
                match poll_fn(|context| poll(&self.rest, context)).await {
                    Some(Ok(chunk)) => length += chunk.len(),
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
            false
        };
        time::timeout(REST_TIME, read).await.unwrap_or(false)
    }
}

fn poll(rest: &Mutex<Rest>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
    let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
    let next = match &mut *rest {
        Rest::Open(chunks) => ready!(chunks.as_mut().poll_next(context)),
        Rest::Ended => None,
        Rest::Failed => Some(Err(io::ErrorKind::UnexpectedEof.into())),
    };
    match next {
        None => *rest = Rest::Ended,
        Some(Err(_)) => *rest = Rest::Failed,
        Some(Ok(_)) => {}
    }
    Poll::Ready(next)
}
