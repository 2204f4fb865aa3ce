//! The metrics endpoint: `GET /metrics` in the text format of Prometheus.
//!
//! It has a listener of its own, so that clients of the API cannot read the metrics.

use std::sync::Arc;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use poem::{
    Endpoint, Request, Response,
    endpoint::make_sync,
    http::{Method, StatusCode, header},
};

use crate::{
    db::{Db, Pool},
    jobs::Job,
    metrics::{Kind, Metric},
};

/// Why metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A histogram has no buckets.
    #[error("a metric has an invalid description")]
    Description(#[from] BuildError),
    /// The process has another recorder.
    #[error("the process already has a recorder of metrics")]
    Recorder,
}

/// The `Content-Type` of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The recorded metrics, and the endpoint that shows them.
#[derive(Clone)]
pub struct MetricsEndpoint {
    recorder: PrometheusHandle,
    process: Arc<Collector>,
    db: Db,
}

/// Sorts the values of histograms into their buckets. Each value takes a few bytes until then.
impl Job for MetricsEndpoint {
    async fn run(&mut self) {
        self.recorder.run_upkeep();
    }
}

impl MetricsEndpoint {
    /// Installs the recorder, once in a process. Events before this are not counted.
    pub fn record(db: Db) -> Result<Self, MetricsError> {
        let mut builder = PrometheusBuilder::new();
        for Metric { name, kind, .. } in crate::metrics::ALL {
            if let Kind::Histogram(bounds) = kind {
                builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Recorder)?;
        crate::metrics::ALL.iter().for_each(describe);
        metrics::gauge!(crate::metrics::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let process = Collector::default();
        process.describe();
        Ok(Self { recorder: handle, process: Arc::new(process), db })
    }

    /// The endpoint.
    pub fn endpoint(&self) -> impl Endpoint<Output = Response> + 'static {
        let metrics = self.clone();
        make_sync(move |request: Request| metrics.respond(&request))
    }

    fn respond(&self, request: &Request) -> Response {
        let response = Response::builder()
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        if request.uri().path() != "/metrics" {
            return response.status(StatusCode::NOT_FOUND).finish();
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return response
                .status(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, "GET, HEAD")
                .finish();
        }
        self.process.collect();
        for Pool { name, busy, idle } in self.db.pools() {
            metrics::gauge!(crate::metrics::POOL, "pool" => name, "state" => "busy").set(f64::from(busy));
            metrics::gauge!(crate::metrics::POOL, "pool" => name, "state" => "idle").set(f64::from(idle));
        }
        response.content_type(TEXT_FORMAT).body(self.recorder.render())
    }
}

/// Registers the help text of a metric. A counter without labels starts at 0, so that its first increment is visible as one.
fn describe(metric: &Metric) {
    let Metric { name, kind, help } = *metric;
    match kind {
        Kind::Counter => {
            metrics::describe_counter!(name, help);
            metrics::counter!(name).increment(0);
        }
        Kind::CounterBy => metrics::describe_counter!(name, help),
        Kind::Gauge => metrics::describe_gauge!(name, help),
        Kind::Histogram(_) => metrics::describe_histogram!(name, help),
    }
}
