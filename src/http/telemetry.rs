//! Telemetry of requests: a span for the log lines of a request, one log line with its status, and its metrics.

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
    routes::{Route, Routes},
};
use crate::random::RandomSource;

/// The operation and the route of a request without one, and the status of a request without a response.
const NONE: &str = "none";

/// Observes all requests.
pub(super) struct Telemetry {
    random: Arc<dyn RandomSource>,
    in_flight: Gauge,
    operations: HashMap<String, OperationMetrics>,
}

/// The metrics of one operation. The handles are kept, so that a request looks up nothing in the recorder.
struct OperationMetrics {
    operation: String,
    seconds: Histogram,
    /// One counter for each of [`STATUSES`], registered when it is first used.
    responses: [OnceLock<Counter>; STATUSES.len()],
}

/// The statuses with a kept handle.
const STATUSES: [&str; 16] = [
    NONE, "200", "201", "204", "304", "400", "401", "403", "404", "405", "409", "415", "429", "500", "501",
    "503",
];

impl OperationMetrics {
    fn new(operation: &str) -> Self {
        let operation = operation.to_owned();
        let seconds = metrics::histogram!(crate::metrics::REQUEST_SECONDS, "operation" => operation.clone());
        Self { operation, seconds, responses: [const { OnceLock::new() }; STATUSES.len()] }
    }

    fn count(&self, status: &str) {
        let counter = |status: String| {
            let operation = self.operation.clone();
            metrics::counter!(crate::metrics::REQUESTS, "operation" => operation, "status" => status)
        };
        match STATUSES.iter().position(|known| *known == status) {
            Some(index) => self.responses[index].get_or_init(|| counter(status.to_owned())).increment(1),
            None => counter(status.to_owned()).increment(1),
        }
    }
}

impl Telemetry {
    /// Uses the recorder that is installed at this time.
    pub(super) fn new(random: Arc<dyn RandomSource>, routes: &Routes) -> Self {
        let operations = routes.operation_ids().chain([NONE]);
        Self {
            random,
            in_flight: metrics::gauge!(crate::metrics::REQUESTS_IN_FLIGHT),
            operations: operations.map(|id| (id.to_owned(), OperationMetrics::new(id))).collect(),
        }
    }

    /// Starts to observe a request.
    pub(super) fn start(
        &self,
        request: &Request,
        route: Option<&Route>,
        time: DateTime<Utc>,
    ) -> RequestTelemetry<'_> {
        let started = Instant::now();
        let id = RequestId::of(request.headers(), time, &*self.random);
        // The log shows the route and never the path or the query, because those may hold a join code.
        let span = tracing::info_span!(
            "request",
            request_id = id.as_str(),
            trace_id = trace_id(request.headers()),
            method = method(request.method()),
            route = route.map_or(NONE, Route::template),
            status = field::Empty,
        );
        self.in_flight.increment(1);
        let operation = route.and_then(|route| route.operation(request.method())).unwrap_or(NONE);
        RequestTelemetry {
            id,
            span,
            started,
            is_service: route.is_some_and(Route::is_service),
            status: None,
            cause: None,
            metrics: self.operations.get(operation),
            in_flight: &self.in_flight,
        }
    }
}

/// The name of a standard method. Other names come from the client and may hold anything.
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

/// The telemetry of one request. It is recorded on drop, so that a request whose client disconnects is recorded too.
pub(super) struct RequestTelemetry<'a> {
    id: RequestId,
    span: Span,
    started: Instant,
    is_service: bool,
    status: Option<StatusCode>,
    /// The cause of a 5xx, if the status alone does not show it.
    cause: Option<String>,
    metrics: Option<&'a OperationMetrics>,
    in_flight: &'a Gauge,
}

impl RequestTelemetry<'_> {
    /// The span of the request.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records the response, and adds the request id to it.
    pub(super) fn finish(mut self, response: &mut Response) {
        self.status = Some(response.status());
        self.cause = response.extensions_mut().remove::<Cause>().map(|Cause(cause)| cause);
        response.headers_mut().insert(REQUEST_ID, self.id.clone().into_value());
    }
}

impl Drop for RequestTelemetry<'_> {
    fn drop(&mut self) {
        let latency = self.started.elapsed();
        self.in_flight.decrement(1);
        if let Some(metrics) = self.metrics {
            metrics.count(self.status.as_ref().map_or(NONE, |status| status.as_str()));
            metrics.seconds.record(latency);
        }
        if let Some(status) = self.status {
            self.span.record("status", status.as_u16());
        }
        let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let _entered = self.span.enter();
        match self.status {
            None => tracing::info!(latency_us, "the client disconnected before the response"),
            Some(StatusCode::INTERNAL_SERVER_ERROR) => {
                tracing::error!(latency_us, cause = self.cause, "response sent");
            }
            // A 503 of a full queue has no cause. It is expected under load, and counted in the metrics.
            Some(_) if self.cause.is_some() => {
                tracing::warn!(latency_us, cause = self.cause, "response sent");
            }
            // Health checks are frequent.
            Some(_) if self.is_service => tracing::debug!(latency_us, "response sent"),
            Some(_) => tracing::info!(latency_us, "response sent"),
        }
    }
}
