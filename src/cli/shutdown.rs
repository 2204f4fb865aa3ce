//! How long each step of an orderly end may take. `docker stop` kills after ten seconds, and all of it has to fit in nine.

use std::{process, thread, time::Duration};

/// How long all of it may take. What has not ended by then is cut off with the process.
const LIMIT: Duration = Duration::from_millis(8_800);
/// For how long requests are still taken, each of which ends its connection. Proxies notice in this time that the server is
/// not ready any more.
pub const LEAVE: Duration = Duration::from_secs(2);
/// How long the requests that run after that may take.
pub const DRAIN: Duration = Duration::from_millis(3_500);
/// How long closing the database may take. A SQLite file that is not closed by then keeps its log, which the next start reads.
pub const CLOSE: Duration = Duration::from_secs(1);
/// How long the threads that hash passwords, and those that read files, may take to end.
pub const THREADS: Duration = Duration::from_secs(1);

const _: () = assert!(
    LEAVE.as_millis() + DRAIN.as_millis() + CLOSE.as_millis() + THREADS.as_millis() + 1_000
        <= LIMIT.as_millis(),
    "the steps have to fit, with a second for a machine that is busy"
);

/// Ends the process when the limit is over, whatever it waits for then: a disk, a database, a log that is not read.
pub fn enforce_limit() {
    let watch = thread::Builder::new().name("shutdown".to_owned());
    // A system without room for a thread ends without a limit.
    _ = watch.spawn(|| {
        thread::sleep(LIMIT);
        process::exit(1);
    });
}
