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

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A histogram has no buckets.
    #[error("a metric is not described well")]
    Described(#[from] BuildError),
    /// This process measures already, for somebody else.
    #[error("this process has its metrics recorded already")]
    Recorded,
}

/// The format that is answered (Prometheus' text exposition format).
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What was measured so far.
#[derive(Clone)]
pub struct MetricsEndpoint {
    recorded: PrometheusHandle,
    process: Arc<Collector>,
    db: Db,
}

/// Moves observations into histograms. Until then each observation takes memory.
impl Job for MetricsEndpoint {
    async fn run(&mut self) {
        self.recorded.run_upkeep();
    }
}

impl MetricsEndpoint {
    /// Begins to measure: what was counted before this is lost. Once in a process.
    pub fn record(db: Db) -> Result<Self, MetricsError> {
        let mut builder = PrometheusBuilder::new();
        for Metric { name, kind, .. } in crate::metrics::ALL {
            if let Kind::Histogram(bounds) = kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)?;
            }
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Recorded)?;
        crate::metrics::ALL.iter().for_each(describe);
        metrics::gauge!(crate::metrics::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let process = Collector::default();
        process.describe();
        Ok(Self { recorded: handle, process: Arc::new(process), db })
    }

    /// Answers `GET /metrics`.
    pub fn endpoint(&self) -> impl Endpoint<Output = Response> + 'static {
        let metrics = self.clone();
        make_sync(move |request: Request| metrics.answer(&request))
    }

    fn answer(&self, request: &Request) -> Response {
        let answer = Response::builder()
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        if request.uri().path() != "/metrics" {
            return answer.status(StatusCode::NOT_FOUND).finish();
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer.status(StatusCode::METHOD_NOT_ALLOWED).header(header::ALLOW, "GET, HEAD").finish();
        }
        self.process.collect();
        for Pool { name, busy, idle } in self.db.pools() {
            metrics::gauge!(crate::metrics::POOL, "pool" => name, "state" => "busy").set(f64::from(busy));
            metrics::gauge!(crate::metrics::POOL, "pool" => name, "state" => "idle").set(f64::from(idle));
        }
        answer.content_type(TEXT_FORMAT).body(self.recorded.render())
    }
}

/// Says what a metric means. A counter without labels is there from the start: its first step is a step then, and not
/// where it begins.
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
