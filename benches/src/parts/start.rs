//! From the start of the program to the answer that it is ready.

use super::Bench;
use crate::{
    Outcome,
    report::{Bound::AtMost, median},
    server::Server,
};

pub fn run(bench: &mut Bench) -> Outcome<()> {
    let (data, _) = bench.school()?;
    let times = (0..11)
        .map(|_| Server::time_to_ready(&data).map(|time| time.as_secs_f64() * 1000.0))
        .collect::<Outcome<Vec<_>>>()?;
    bench.report.hold("start", "start to ready, 10,000 classes, SQLite", median(&times), "ms", AtMost(100.0));
    Ok(())
}
