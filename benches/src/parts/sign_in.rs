//! `createCode` against the bare hash, saturated and at 70 % of that.

use super::{Bench, CONNECTIONS};
use crate::{
    Outcome, cores,
    driver::{Pace, drive, poisson},
    hash::Bare,
    ideal::Workers,
    report::{
        Bound::{AtLeast, AtMost},
        median, quantile,
    },
    server::Server,
    work::SignIns,
};

pub fn run(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "sign-in";
    let (data, _) = bench.school()?;
    let server = Server::start(&data)?;
    let mut sign_ins = SignIns::new(data.size);
    let (mut rates, mut bare_rates) = (Vec::new(), Vec::new());
    let mut costs = Vec::new();
    let mut hashes = None;
    for _ in 0..bench.rounds() {
        let together = Bare::measure(cores(), bench.duration(6.0))?;
        let processor = server.processor()?;
        let tally = drive(&[server.address], &Pace::closed(CONNECTIONS, bench.seconds(6.0)), &mut sign_ins)?
            .only(&[(SignIns::KIND, 201)])?;
        let answers = tally.count(SignIns::KIND, 201) as f64;
        costs.push((server.processor()? - processor) / answers * 1000.0);
        rates.push(tally.rate(SignIns::KIND, 201));
        bare_rates.push(together.rate);
        hashes = Some(together);
    }
    let (rate, bare) = (median(&rates), median(&bare_rates));
    bench.report.tell(PART, "bare hashes, one thread per core", bare, "/s");
    bench.report.tell(PART, "createCode, 64 connections", rate, "/s");
    bench.report.tell(PART, "createCode, processor time of each", median(&costs), "ms");
    bench.report.hold(PART, "createCode / bare hashes", rate / bare, "", AtLeast(0.90));

    let Some(together) = hashes else { return Ok(()) };
    let alone = Bare::measure(1, bench.duration(6.0))?;
    let arrivals = poisson(rate * 0.7, bench.seconds(60.0), &mut bench.random);
    let ideal = Workers::new(cores(), &alone, &together).latencies(&arrivals, &mut bench.random);
    let open = Pace::Open { arrivals: &arrivals, connections: 256 };
    let tally = drive(&[server.address], &open, &mut sign_ins)?.only(&[(SignIns::KIND, 201)])?;
    bench.report.tell(PART, "one hash, alone", alone.mean() * 1000.0, "ms");
    bench.report.tell(PART, "one hash, all cores busy", together.mean() * 1000.0, "ms");
    for (name, part, most) in [("p50", 0.5, 1.3), ("p99", 0.99, 1.2)] {
        let (ours, ideal) = (tally.quantile(SignIns::KIND, 201, part), quantile(&ideal, part) * 1000.0);
        bench.report.tell(PART, &format!("70 % load, {name}, ideal queue"), ideal, "ms");
        bench.report.tell(PART, &format!("70 % load, {name}, createCode"), ours, "ms");
        let what = format!("70 % load, {name}, createCode / ideal queue");
        bench.report.hold(PART, &what, ours / ideal, "", AtMost(most));
    }
    Ok(())
}
