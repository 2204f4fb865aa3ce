//! Five times as many sign-ins as can be done.

use std::thread;

use super::{Bench, CONNECTIONS};
use crate::{
    Outcome,
    driver::{Pace, drive, poisson},
    failed,
    report::Bound::{AtLeast, AtMost},
    server::Server,
    work::{Get, SignIns},
};

pub fn run(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "overload";
    const HEALTH: &str = "/health/ready";
    let (data, _) = bench.school()?;
    let server = Server::start(&data)?;
    let seconds = bench.seconds(20.0);
    let mut sign_ins = SignIns::new(data.size);
    let before = peak(&server, seconds, &mut sign_ins)?;

    let arrivals = poisson(before * 5.0, seconds, &mut bench.random);
    let probes = poisson(20.0, seconds, &mut bench.random);
    let address = server.address;
    let health = thread::spawn(move || {
        let pace = Pace::Open { arrivals: &probes, connections: 4 };
        drive(&[address], &pace, &mut Get(HEALTH)).map_err(|error| error.to_string())
    });
    let pace = Pace::Open { arrivals: &arrivals, connections: 512 };
    let tally =
        drive(&[address], &pace, &mut sign_ins)?.one(&[(SignIns::KIND, 201), (SignIns::KIND, 503)])?;
    let Ok(health) = health.join() else { return failed("the probe panicked") };
    let health = health?.one(&[(HEALTH, 200)])?;
    let untold = tally.count(SignIns::KIND, 503) - sign_ins.told_when;
    // Before and after, of a machine whose pace moves meanwhile.
    let peak = f64::midpoint(before, peak(&server, seconds, &mut sign_ins)?);

    let accepted = tally.rate(SignIns::KIND, 201);
    bench.report.tell(PART, "peak, 64 connections", peak, "/s");
    bench.report.tell(PART, "asked for", before * 5.0, "/s");
    bench.report.tell(PART, "accepted", accepted, "/s");
    bench.report.hold(PART, "accepted / peak", accepted / peak, "", AtLeast(0.9));
    let p99 = tally.quantile(SignIns::KIND, 201, 0.99);
    bench.report.hold(PART, "accepted, p99", p99, "ms", AtMost(1000.0));
    let shed = tally.count(SignIns::KIND, 503);
    bench.report.hold(PART, "shed with 503", shed as f64, "", AtLeast(1.0));
    bench.report.hold(PART, "shed, p99", tally.quantile(SignIns::KIND, 503, 0.99), "ms", AtMost(50.0));
    bench.report.hold(PART, "shed without a Retry-After", untold as f64, "", AtMost(0.0));
    bench.report.tell(PART, "health meanwhile, p99", health.quantile(HEALTH, 200, 0.99), "ms");
    bench.report.hold(
        PART,
        "health meanwhile, answered 200",
        health.count(HEALTH, 200) as f64,
        "",
        AtLeast(1.0),
    );
    Ok(())
}

/// Sign-ins a second, asked for by as many as are answered.
fn peak(server: &Server, seconds: f64, sign_ins: &mut SignIns) -> Outcome<f64> {
    let tally = drive(&[server.address], &Pace::closed(CONNECTIONS, seconds / 2.0), sign_ins)?;
    Ok(tally.one(&[(SignIns::KIND, 201)])?.rate(SignIns::KIND, 201))
}
