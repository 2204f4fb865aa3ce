//! Seeing requests: each has a span in which its log lines stand, one line when it is answered, and its place in the
//! metrics.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Instant,
};

use chrono::{DateTime, Utc};
use metrics::{Counter, Gauge, Histogram};
use poem::{
    Request, Response,
    http::{Method, StatusCode},
};
use tracing::{Span, field};

use super::{
    api_error::Cause,
    request_id::{REQUEST_ID, RequestId, trace_id},
    routes::Route,
};
use crate::{api::openapi::Document, random::RandomSource};

/// The name of what is no operation: an unknown path, a method that the path has not, a preflight.
const NONE: &str = "none";

/// Sees every request.
pub struct Telemetry {
    random: Arc<dyn RandomSource>,
    in_flight: Gauge,
    operations: HashMap<String, Meter>,
}

/// What is counted of an operation. Its handles are kept, so that a request looks nothing up and allocates nothing.
struct Meter {
    operation: String,
    seconds: Histogram,
    /// In the order of [`STATUSES`], each made when it is first needed.
    answers: [OnceLock<Counter>; STATUSES.len()],
}

/// The statuses that are answered, and that of a request that was not.
const STATUSES: [&str; 16] = [
    NONE, "200", "201", "204", "304", "400", "401", "403", "404", "405", "409", "415", "429", "500", "501",
    "503",
];

impl Meter {
    fn new(operation: &str) -> Self {
        let operation = operation.to_owned();
        let seconds = metrics::histogram!(crate::metrics::REQUEST_SECONDS, "operation" => operation.clone());
        Self { operation, seconds, answers: [const { OnceLock::new() }; STATUSES.len()] }
    }

    fn count(&self, status: &str) {
        let counter = |status: String| metrics::counter!(crate::metrics::REQUESTS, "operation" => self.operation.clone(), "status" => status);
        match STATUSES.iter().position(|known| *known == status) {
            Some(place) => self.answers[place].get_or_init(|| counter(status.to_owned())).increment(1),
            None => counter(status.to_owned()).increment(1),
        }
    }
}

impl Telemetry {
    /// An observer of the operations of `document`. It measures with the recorder that is installed by now.
    pub fn new(random: Arc<dyn RandomSource>, document: &Document) -> Self {
        let operations = document.operations().chain([NONE]);
        Self {
            random,
            in_flight: metrics::gauge!(crate::metrics::REQUESTS_IN_FLIGHT),
            operations: operations.map(|operation| (operation.to_owned(), Meter::new(operation))).collect(),
        }
    }

    /// Sees a request for `path`, received `at`.
    pub fn begin(&self, request: &Request, path: Option<&Route>, at: DateTime<Utc>) -> RequestTelemetry<'_> {
        let begun = Instant::now();
        let id = RequestId::of(request.headers(), at, &*self.random);
        let operation = path.and_then(|path| path.operation(request.method()));
        // The log knows the route, never the path or the query: those may hold a join code.
        let span = tracing::info_span!(
            "request",
            request_id = id.as_str(),
            trace_id = trace_id(request.headers()),
            method = method(request.method()),
            route = path.map_or(NONE, Route::template),
            status = field::Empty,
        );
        self.in_flight.increment(1);
        let meter = operation.and_then(|operation| self.operations.get(operation));
        let meter = meter.or_else(|| self.operations.get(NONE));
        let of_service = path.is_some_and(Route::is_service);
        RequestTelemetry {
            id,
            span,
            begun,
            of_service,
            answered: None,
            cause: None,
            meter,
            in_flight: &self.in_flight,
        }
    }
}

/// A method's name, if it is one that is known: anybody can make up others, with anything in them.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => NONE,
    }
}

/// A request that is being answered. What is seen of it is told when this is dropped: a caller that hangs up is seen
/// as well.
pub struct RequestTelemetry<'a> {
    id: RequestId,
    span: Span,
    begun: Instant,
    of_service: bool,
    answered: Option<StatusCode>,
    /// Why the status is a 5xx, if more than the status is known.
    cause: Option<String>,
    meter: Option<&'a Meter>,
    in_flight: &'a Gauge,
}

impl RequestTelemetry<'_> {
    /// The span of whatever is done for the request.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Sees the answer, and puts the request's id on it.
    pub fn end(mut self, response: &mut Response) {
        self.answered = Some(response.status());
        self.cause = response.extensions_mut().remove::<Cause>().map(|Cause(cause)| cause);
        response.headers_mut().insert(REQUEST_ID, self.id.clone().into_value());
    }
}

impl Drop for RequestTelemetry<'_> {
    fn drop(&mut self) {
        let latency = self.begun.elapsed();
        self.in_flight.decrement(1);
        if let Some(meter) = self.meter {
            meter.count(self.answered.as_ref().map_or(NONE, |status| status.as_str()));
            meter.seconds.record(latency);
        }
        if let Some(status) = self.answered {
            self.span.record("status", status.as_u16());
        }
        let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let _entered = self.span.enter();
        match self.answered {
            None => tracing::info!(latency_us, "the caller hung up"),
            Some(StatusCode::INTERNAL_SERVER_ERROR) => {
                tracing::error!(latency_us, cause = self.cause, "answered");
            }
            // A full queue has no cause to tell: such answers are expected under load, and counted.
            Some(_) if self.cause.is_some() => tracing::warn!(latency_us, cause = self.cause, "answered"),
            // Whoever looks after the server asks over and over how it does.
            Some(_) if self.of_service => tracing::debug!(latency_us, "answered"),
            Some(_) => tracing::info!(latency_us, "answered"),
        }
    }
}
