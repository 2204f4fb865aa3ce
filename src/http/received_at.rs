//! The time of a request.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use poem::{FromRequest, Request, RequestBody, Result, http::StatusCode};

use crate::clock::Clock;

/// The one time by which everything in a request is checked and stored.
///
/// The clock is read at the first extraction. That of the caller comes first, if an operation has one. Other handlers extract
/// this after the body, so that nothing is accepted that expired while the body arrived.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedAt(pub DateTime<Utc>);

/// The clock of one request, which is read once.
#[derive(Clone)]
pub(super) struct RequestClock {
    clock: Arc<dyn Clock>,
    time: Arc<OnceLock<DateTime<Utc>>>,
}

impl RequestClock {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, time: Arc::default() }
    }

    /// The time of the request.
    pub(super) fn time(&self) -> DateTime<Utc> {
        *self.time.get_or_init(|| self.clock.now())
    }
}

impl<'a> FromRequest<'a> for ReceivedAt {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        // The middleware adds the clock to every request.
        let clock = request.extensions().get::<RequestClock>();
        clock.map(|clock| Self(clock.time())).ok_or_else(|| {
            poem::Error::from_string("the request has no clock", StatusCode::INTERNAL_SERVER_ERROR)
        })
    }
}
