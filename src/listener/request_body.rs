//! The body of a request, of which an endpoint may leave a rest unread. hyper closes the connection then, and the answer has
//! to say so (RFC 9112 section 9.6).

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

/// How long an unread rest may take to arrive, and how many bytes it may have, for the connection to be kept. A small body has
/// come with its head.
const REST_TIME: Duration = Duration::from_millis(50);
const MAX_REST: usize = 64 * 1024;

/// A body that is lent to an endpoint.
pub(super) struct LentBody {
    rest: Arc<Mutex<Rest>>,
    /// Whether the client waits for a `100 Continue` before it sends the body (RFC 9110 section 10.1.1). Reading the body
    /// sends it.
    is_held_back: bool,
}

enum Rest {
    Open(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
    Ended,
    Failed,
}

impl LentBody {
    /// Lends the body of `request` to the endpoint that gets the request.
    pub(super) fn of(request: &mut Request) -> Self {
        let is_held_back = request.headers().contains_key(EXPECT);
        let chunks = request.take_body().into_bytes_stream();
        let rest = Arc::new(Mutex::new(Rest::Open(Box::pin(chunks))));
        let lent = Arc::clone(&rest);
        request.set_body(Body::from_bytes_stream(stream::poll_fn(move |context| poll(&lent, context))));
        Self { rest, is_held_back }
    }

    /// Reads what the endpoint has left, if it is little, and says whether that was the end of the body.
    pub(super) async fn finish(self) -> bool {
        if self.is_held_back {
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
