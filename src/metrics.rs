//! What is counted and timed: every metric by its name, its kind and the words in which it is told.
//!
//! Whoever does a thing counts it, with the macros of the crate `metrics`, where it happens. Names and units are
//! Prometheus' own: base units, and `_total` behind what only grows. A label has few values, all of them ours: never a
//! path, a name or an address.

/// Requests by `operation` (its `operationId`, or `none`) and `status` (`none`: its caller hung up before the answer).
pub const REQUESTS: &str = "homeroom_http_requests_total";
/// Seconds from a request's head to its answer, by `operation`.
pub const REQUEST_SECONDS: &str = "homeroom_http_request_duration_seconds";
/// Requests that are being answered.
pub const REQUESTS_IN_FLIGHT: &str = "homeroom_http_requests_in_flight";
/// Open connections, those of whoever asks for metrics included.
pub const CONNECTIONS: &str = "homeroom_http_connections";
/// Connections that were closed at once because their address had its share.
pub const CONNECTIONS_REFUSED: &str = "homeroom_http_connections_refused_total";
/// Passwords that wait for a thread.
pub const HASH_QUEUE: &str = "homeroom_hash_queue_depth";
/// Seconds that a password waited for a thread.
pub const HASH_WAIT: &str = "homeroom_hash_wait_seconds";
/// Seconds that a password's hash took.
pub const HASH_SECONDS: &str = "homeroom_hash_duration_seconds";
/// Passwords that were turned away because too many were waiting.
pub const HASH_REFUSED: &str = "homeroom_hash_refused_total";
/// Connections to the database by `pool` (`reader`, `writer`) and `state` (`busy`, `idle`).
pub const POOL: &str = "homeroom_database_connections";
/// Writes that shared a commit.
pub const BATCH_SIZE: &str = "homeroom_batch_size_writes";
/// Requests that were answered 429, by the `kind` of the limit (`password`, `join`, `generate`).
pub const THROTTLED: &str = "homeroom_throttled_total";
/// Authorization codes that were issued.
pub const CODES_ISSUED: &str = "homeroom_codes_issued_total";
/// Authorization codes that were redeemed.
pub const CODES_REDEEMED: &str = "homeroom_codes_redeemed_total";
/// Authorization codes that were swept away after their time, redeemed or not.
pub const CODES_EXPIRED: &str = "homeroom_codes_expired_total";
/// Join codes that were generated.
pub const JOIN_CODES_GENERATED: &str = "homeroom_join_codes_generated_total";
/// Students who were enrolled.
pub const ENROLLMENTS: &str = "homeroom_enrollments_total";
/// The program, by `version`: always 1.
pub const BUILD: &str = "homeroom_build_info";

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows, and begins at nought.
    Counter,
    /// It only grows, once for each value of its labels.
    CounterBy,
    /// It is what it is.
    Gauge,
    /// It is observed, and sorted into buckets by these upper bounds.
    Histogram(&'static [f64]),
}

/// A metric, as it is told.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
}

/// From a lookup to the answer that is given up.
const ANSWERS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
/// From a fast core's hash to a full queue's wait.
const HASHES: &[f64] = &[0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Every metric of ours.
pub const ALL: [Metric; 18] = [
    metric(REQUESTS, Kind::CounterBy, "Requests by operation and status; status none: the caller hung up."),
    metric(REQUEST_SECONDS, Kind::Histogram(ANSWERS), "Seconds from a request's head to its answer."),
    metric(REQUESTS_IN_FLIGHT, Kind::Gauge, "Requests that are being answered."),
    metric(CONNECTIONS, Kind::Gauge, "Open connections, those that ask for metrics included."),
    metric(
        CONNECTIONS_REFUSED,
        Kind::Counter,
        "Connections closed at once because their address had its share.",
    ),
    metric(HASH_QUEUE, Kind::Gauge, "Passwords that wait for a thread."),
    metric(HASH_WAIT, Kind::Histogram(HASHES), "Seconds that a password waited for a thread."),
    metric(HASH_SECONDS, Kind::Histogram(HASHES), "Seconds that a password's hash took."),
    metric(HASH_REFUSED, Kind::Counter, "Passwords turned away because too many were waiting."),
    metric(POOL, Kind::Gauge, "Connections to the database by pool and state."),
    metric(BATCH_SIZE, Kind::Histogram(BATCHES), "Writes that shared a commit."),
    metric(THROTTLED, Kind::CounterBy, "Requests answered 429, by the kind of the limit."),
    metric(CODES_ISSUED, Kind::Counter, "Authorization codes issued."),
    metric(CODES_REDEEMED, Kind::Counter, "Authorization codes redeemed."),
    metric(CODES_EXPIRED, Kind::Counter, "Authorization codes swept away after their time, redeemed or not."),
    metric(JOIN_CODES_GENERATED, Kind::Counter, "Join codes generated."),
    metric(ENROLLMENTS, Kind::Counter, "Students enrolled."),
    metric(BUILD, Kind::Gauge, "The program's version; always 1."),
];

const fn metric(name: &'static str, kind: Kind, help: &'static str) -> Metric {
    Metric { name, kind, help }
}
