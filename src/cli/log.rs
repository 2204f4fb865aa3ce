//! The log.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// What an operator's command says beside its answer.
pub const WARNINGS: &str = "homeroom=warn";

/// Log lines go to standard error. Of a panic they say where it was: its words may hold anything.
pub fn to_stderr(filter: &str, format: LogFormat) {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        // The request's span may have others inside of it, and it is the one that has the id.
        LogFormat::Json => lines.json().with_current_span(false).with_span_list(true).boxed(),
    };
    // A second subscriber in one process is refused, and the first one goes on.
    let _ = tracing_subscriber::registry().with(lines).with(EnvFilter::new(filter)).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "a panic");
    }));
}
