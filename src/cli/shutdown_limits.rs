//! Time limits of a graceful shutdown. `docker stop` kills the process after ten seconds, so that all steps have to fit in nine.

use std::{process, thread, time::Duration};

/// The limit of the whole shutdown, after which the process exits.
const LIMIT: Duration = Duration::from_millis(8_800);
/// The time for which new requests are accepted, each of which closes its connection. In this time, load balancers notice that the
/// server is not ready.
pub const DRAIN: Duration = Duration::from_secs(2);
/// The limit of the requests that run after that.
pub const FINISH: Duration = Duration::from_millis(3_500);
/// The limit of closing the database. After it, a SQLite file keeps its write-ahead log, which the next start reads.
pub const CLOSE: Duration = Duration::from_secs(1);
/// The limit of the threads that hash passwords or read files.
pub const THREADS: Duration = Duration::from_secs(1);

const _: () = assert!(
    DRAIN.as_millis() + FINISH.as_millis() + CLOSE.as_millis() + THREADS.as_millis() + 1_000
        <= LIMIT.as_millis(),
    "the steps have to fit, with one second to spare for a busy machine"
);

/// Exits the process when the limit is over, even if it waits for a disk, a database or the reader of its log.
pub fn enforce_limit() {
    let watch = thread::Builder::new().name("shutdown".to_owned());
    // If no thread can be started, there is no limit.
    _ = watch.spawn(|| {
        thread::sleep(LIMIT);
        process::exit(1);
    });
}
