//! The log.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// What an operator's command says beside its answer.
pub const WARNINGS: &str = "homeroom=warn";

/// Log lines go to standard error.
pub fn to_stderr(filter: &str, format: LogFormat) {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        // The request's span may have others inside of it, and it is the one that has the id.
        LogFormat::Json => lines.json().with_current_span(false).with_span_list(true).boxed(),
    };
    // A second subscriber in one process is refused, and the first one goes on.
    let _ = tracing_subscriber::registry().with(lines).with(EnvFilter::new(filter)).try_init();
}

/// Has a panic say where it was, and on which thread. Its message may hold anything, a password too, and is left out.
pub fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, thread, "a panic");
        } else {
            eprintln!("a panic at {place} on the thread {thread}");
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const MESSAGE: &str = "the password is VeryStrongPass123!";

    #[test]
    #[ignore = "the next test runs this one as a process of its own"]
    fn panicking() {
        hide_panic_messages();
        panic!("{MESSAGE}");
    }

    #[test]
    fn panic_is_reported_with_its_place_and_thread_and_without_its_message() {
        let arguments = ["--exact", "cli::log::tests::panicking", "--ignored", "--nocapture"];
        let ended = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(!ended.status.success(), "{said}");
        assert!(said.contains("a panic at src/cli/log.rs:") && said.contains("tests::panicking"), "{said}");
        assert!(!said.contains("VeryStrongPass123!"), "{said}");
    }
}
