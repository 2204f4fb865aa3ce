//! All metrics: name, kind and meaning.
//!
//! The code that does something counts it, with the macros of the crate `metrics`. Names and units follow the conventions of Prometheus:
//! base units, and `_total` for counters. A label has few values, none of which is a path, a name or an address.

/// Requests by `operation` (its `operationId`, or `none`) and `status` (`none`: the client disconnected before the response).
pub const REQUESTS: &str = "homeroom_http_requests_total";
/// Seconds from the head of a request to the response, by `operation`.
pub const REQUEST_SECONDS: &str = "homeroom_http_request_duration_seconds";
/// Requests in progress.
pub const REQUESTS_IN_FLIGHT: &str = "homeroom_http_requests_in_flight";
/// Open connections, including those to the metrics endpoint.
pub const CONNECTIONS: &str = "homeroom_http_connections";
/// Connections closed immediately because of the limit per address.
pub const CONNECTIONS_REFUSED: &str = "homeroom_http_connections_refused_total";
/// Passwords that wait for a hash thread.
pub const HASH_QUEUE: &str = "homeroom_hash_queue_depth";
/// Seconds that passwords waited for a hash thread.
pub const HASH_WAIT: &str = "homeroom_hash_wait_seconds";
/// Seconds that a hash took.
pub const HASH_SECONDS: &str = "homeroom_hash_duration_seconds";
/// Passwords refused because the queue was full.
pub const HASH_REFUSED: &str = "homeroom_hash_refused_total";
/// Stored password hashes replaced at sign-in, because their cost was not the configured one.
pub const HASHES_REPLACED: &str = "homeroom_hashes_replaced_total";
/// Connections to the database by `pool` (`reader`, `writer`) and `state` (`busy`, `idle`).
pub const POOL: &str = "homeroom_database_connections";
/// Writes that shared a commit.
pub const BATCH_SIZE: &str = "homeroom_batch_size_writes";
/// Responses with status 429, by the `kind` of the limit (`password`, `join`, `generate`, `register`, `reset`, `student`,
/// `import`).
pub const THROTTLED: &str = "homeroom_throttled_total";
/// Issued authorization codes.
pub const CODES_ISSUED: &str = "homeroom_codes_issued_total";
/// Redeemed authorization codes.
pub const CODES_REDEEMED: &str = "homeroom_codes_redeemed_total";
/// Authorization codes deleted after their expiry.
pub const CODES_EXPIRED: &str = "homeroom_codes_expired_total";
/// Refresh tokens exchanged for new tokens.
pub const TOKENS_REFRESHED: &str = "homeroom_tokens_refreshed_total";
/// Sessions that ended because a code or a refresh token was used twice.
pub const TOKENS_REUSED: &str = "homeroom_tokens_reused_total";
/// Join codes that were generated.
pub const JOIN_CODES_GENERATED: &str = "homeroom_join_codes_generated_total";
/// Enrolled students.
pub const ENROLLMENTS: &str = "homeroom_enrollments_total";
/// Passwords that were generated for students.
pub const GENERATED_PASSWORDS: &str = "homeroom_generated_passwords_total";
/// Generated passwords that wait for their hash.
pub const GENERATED_PASSWORDS_WAITING: &str = "homeroom_generated_passwords_waiting";
/// Mails that the SMTP server accepted, or that were written to files.
pub const MAILS_SENT: &str = "homeroom_mails_sent_total";
/// Failed attempts to send a mail.
pub const MAIL_FAILURES: &str = "homeroom_mail_failures_total";
/// Mails in the outbox that are not sent yet. All nodes of a database report the same number.
pub const MAILS_WAITING: &str = "homeroom_mails_waiting";
/// Mails that will not be tried again. All nodes of a database report the same number.
pub const MAILS_DEAD: &str = "homeroom_mails_dead";
/// The version of the program, as the label `version`. The value is 1.
pub const BUILD: &str = "homeroom_build_info";

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A counter without labels, present from the start with the value 0.
    Counter,
    /// A counter with labels.
    CounterBy,
    /// A gauge.
    Gauge,
    /// A histogram with these upper bounds.
    Histogram(&'static [f64]),
}

/// The description of a metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// The help text.
    pub help: &'static str,
}

/// From a query of one row to the request timeout.
const REQUEST_BOUNDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];
/// From one hash on a fast core to the wait in a full queue.
const HASH_BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const BATCH_BOUNDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// All metrics of this program.
pub const ALL: &[Metric] = &[
    metric(
        REQUESTS,
        Kind::CounterBy,
        "Requests by operation and status; status none: the client disconnected.",
    ),
    metric(
        REQUEST_SECONDS,
        Kind::Histogram(REQUEST_BOUNDS),
        "Seconds from the head of a request to the response.",
    ),
    metric(REQUESTS_IN_FLIGHT, Kind::Gauge, "Requests in progress."),
    metric(CONNECTIONS, Kind::Gauge, "Open connections, including those to the metrics endpoint."),
    metric(CONNECTIONS_REFUSED, Kind::Counter, "Connections closed because of the limit per address."),
    metric(HASH_QUEUE, Kind::Gauge, "Passwords that wait for a hash thread."),
    metric(HASH_WAIT, Kind::Histogram(HASH_BOUNDS), "Seconds that passwords waited for a hash thread."),
    metric(HASH_SECONDS, Kind::Histogram(HASH_BOUNDS), "Seconds that a hash took."),
    metric(HASH_REFUSED, Kind::Counter, "Passwords refused because the queue was full."),
    metric(HASHES_REPLACED, Kind::Counter, "Password hashes of another cost replaced at sign-in."),
    metric(POOL, Kind::Gauge, "Connections to the database by pool and state."),
    metric(BATCH_SIZE, Kind::Histogram(BATCH_BOUNDS), "Writes that shared a commit."),
    metric(THROTTLED, Kind::CounterBy, "Responses with status 429 by kind of limit."),
    metric(CODES_ISSUED, Kind::Counter, "Authorization codes issued."),
    metric(CODES_REDEEMED, Kind::Counter, "Authorization codes redeemed."),
    metric(CODES_EXPIRED, Kind::Counter, "Authorization codes deleted after their expiry."),
    metric(TOKENS_REFRESHED, Kind::Counter, "Refresh tokens exchanged for new tokens."),
    metric(
        TOKENS_REUSED,
        Kind::Counter,
        "Sessions that ended because a code or a refresh token was used twice.",
    ),
    metric(JOIN_CODES_GENERATED, Kind::Counter, "Join codes generated."),
    metric(ENROLLMENTS, Kind::Counter, "Students enrolled."),
    metric(GENERATED_PASSWORDS, Kind::Counter, "Passwords generated for students."),
    metric(GENERATED_PASSWORDS_WAITING, Kind::Gauge, "Generated passwords that wait for their hash."),
    metric(MAILS_SENT, Kind::Counter, "Mails accepted by the SMTP server, or written to files."),
    metric(MAIL_FAILURES, Kind::Counter, "Failed attempts to send a mail."),
    metric(MAILS_WAITING, Kind::Gauge, "Mails that are not sent yet, of all nodes."),
    metric(MAILS_DEAD, Kind::Gauge, "Mails that will not be tried again, of all nodes."),
    metric(BUILD, Kind::Gauge, "The version of the program; the value is 1."),
];

const fn metric(name: &'static str, kind: Kind, help: &'static str) -> Metric {
    Metric { name, kind, help }
}
