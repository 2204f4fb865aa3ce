//! The log on standard error.

use std::{env, ffi::OsStr, io::IsTerminal};

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// The log filter of commands other than `serve` and `demo`.
pub const WARNINGS: &str = "homeroom=warn";

/// Writes log lines to standard error.
pub fn to_stderr(filter: &str, format: LogFormat) {
    // A line that cannot be written is lost. Otherwise the layer would report that on standard error, fail again, and panic.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let colors = are_shown(std::io::stderr().is_terminal(), env::var_os("NO_COLOR").as_deref());
    let lines = match format {
        LogFormat::Human => lines.with_ansi(colors).boxed(),
        // The request id is in the outermost span, so that all spans are listed.
        LogFormat::Json => lines.json().with_current_span(false).with_span_list(true).boxed(),
    };
    // If a subscriber is installed already, it stays.
    let _ = tracing_subscriber::registry().with(lines).with(self::filter(filter)).try_init();
}

/// Reports panics with location and thread, without the message, which may contain a password.
pub fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, thread, "a panic");
        } else {
            super::complain(&format!("a panic at {place} on the thread {thread}"));
        }
    }));
}

/// The operator's filter, with the migration library at `warn` unless the filter names it. The library logs each step at `info`, which
/// [`Db::migrate`](crate::db::Db::migrate) logs at `debug`.
fn filter(text: &str) -> EnvFilter {
    EnvFilter::new(format!("sea_orm_migration=warn,{text}"))
}

/// Whether the log has colors: at a terminal, unless the variable `NO_COLOR` is set and not empty (no-color.org).
fn are_shown(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const MESSAGE: &str = "the password is VeryStrongPass123!";

    #[test]
    #[ignore = "the next test runs this one in another process"]
    fn panicking() {
        hide_panic_messages();
        panic!("{MESSAGE}");
    }

    #[test]
    fn panic_is_reported_with_location_and_thread_and_without_message() {
        let arguments = ["--exact", "cli::log::tests::panicking", "--ignored", "--nocapture"];
        let ended = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
        let output = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(!ended.status.success(), "{output}");
        assert!(
            output.contains("a panic at src/cli/log.rs:") && output.contains("tests::panicking"),
            "{output}"
        );
        assert!(!output.contains("VeryStrongPass123!"), "{output}");
    }

    #[test]
    fn colors_with_no_color_set_and_not_empty_are_off() {
        for (terminal, no_color, shown) in
            [(true, None, true), (true, Some(""), true), (true, Some("0"), false), (false, None, false)]
        {
            assert_eq!(are_shown(terminal, no_color.map(AsRef::as_ref)), shown, "{no_color:?}");
        }
    }

    #[test]
    fn filter_that_names_the_migration_library_is_kept() {
        assert_eq!(filter("info").to_string(), "sea_orm_migration=warn,info");
        let filter = filter("info,sea_orm_migration=debug").to_string();
        assert_eq!(filter, "sea_orm_migration=debug,info");
    }
}
