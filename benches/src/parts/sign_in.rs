//! `createCode` against the bare hash, saturated and at 70 % of that.

use super::{Bench, CONNECTIONS};
use crate::{
    Outcome, cores,
    driver::{Pace, drive, poisson},
    hash::{Bare, queue},
    ideal::Workers,
    report::{
        Bound::{AtLeast, AtMost},
        median, quantile,
    },
    server::Server,
    work::SignIns,
};

/// The part of the saturated rate at which latency is measured.
const LOAD: f64 = 0.7;

pub fn run(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "sign-in";
    let (data, _) = bench.school()?;
    let server = Server::start(&data)?;
    let mut sign_ins = SignIns::new(data.size);
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds() {
        rounds.push(Round::measure(bench, &server, &mut sign_ins)?);
    }
    let of = |figure: fn(&Round) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    bench.report.tell(PART, "bare hashes, one thread per core", of(|round| round.bare), "/s");
    bench.report.tell(PART, "createCode, 64 connections", of(|round| round.rate), "/s");
    bench.report.tell(PART, "createCode, processor time of each", of(|round| round.cost), "ms");
    let saturated = of(|round| round.rate / round.bare);
    bench.report.hold(PART, "createCode / bare hashes", saturated, "", AtLeast(0.90));
    bench.report.tell(PART, "one hash, alone", of(|round| round.alone), "ms");
    bench.report.tell(PART, "one hash, all cores busy", of(|round| round.together), "ms");
    for (name, most, figure) in
        [("p50", 1.3, (|round| round.p50) as fn(&Round) -> Latency), ("p99", 1.2, |round| round.p99)]
    {
        let of = |part: fn(&Latency) -> f64| {
            median(&rounds.iter().map(|round| part(&figure(round))).collect::<Vec<_>>())
        };
        bench.report.tell(PART, &format!("70 % load, {name}, ideal queue"), of(|both| both.ideal), "ms");
        bench.report.tell(PART, &format!("70 % load, {name}, createCode"), of(|both| both.ours), "ms");
        let what = format!("70 % load, {name}, createCode / ideal queue");
        bench.report.hold(PART, &what, of(|both| both.ours / both.ideal), "", AtMost(most));
        let what = format!("70 % load, {name}, threads that do nothing but hash / ideal queue");
        bench.report.tell(PART, &what, of(|both| both.bare / both.ideal), "");
    }
    Ok(())
}

/// What was measured within a minute, of a machine whose pace differs from one minute to the next.
struct Round {
    /// Hashes a second, before and after.
    bare: f64,
    /// `createCode` a second.
    rate: f64,
    /// The processor time of each, in milliseconds.
    cost: f64,
    /// A hash by itself and beside others, in milliseconds.
    alone: f64,
    together: f64,
    p50: Latency,
    p99: Latency,
}

/// The same quantile of all, in milliseconds.
#[derive(Clone, Copy)]
struct Latency {
    ours: f64,
    /// Of the hash alone, at the same arrivals.
    bare: f64,
    ideal: f64,
}

impl Round {
    fn measure(bench: &mut Bench, server: &Server, sign_ins: &mut SignIns) -> Outcome<Self> {
        let before = Bare::measure(cores(), bench.duration(3.0))?;
        let processor = server.processor()?;
        let tally = drive(&[server.address], &Pace::closed(CONNECTIONS, bench.seconds(6.0)), sign_ins)?
            .only(&[(SignIns::KIND, 201)])?;
        let answers = tally.count(SignIns::KIND, 201) as f64;
        let cost = (server.processor()? - processor) / answers * 1000.0;
        let rate = tally.rate(SignIns::KIND, 201);
        let after = Bare::measure(cores(), bench.duration(3.0))?;
        let bare = f64::midpoint(before.rate, after.rate);

        let alone = Bare::measure(1, bench.duration(3.0))?;
        let arrivals = poisson(rate * LOAD, bench.seconds(15.0), &mut bench.random);
        let open = Pace::Open { arrivals: &arrivals, connections: 256 };
        let tally = drive(&[server.address], &open, sign_ins)?.only(&[(SignIns::KIND, 201)])?;
        let bare_queue = queue(cores(), &arrivals)?;
        let together = after.and(Bare::measure(cores(), bench.duration(3.0))?);
        let ideal = Workers::new(cores(), &alone, &together).latencies(&arrivals, &mut bench.random);
        let latency = |part| Latency {
            ours: tally.quantile(SignIns::KIND, 201, part),
            bare: quantile(&bare_queue, part) * 1000.0,
            ideal: quantile(&ideal, part) * 1000.0,
        };
        Ok(Self {
            bare,
            rate,
            cost,
            alone: alone.mean() * 1000.0,
            together: together.mean() * 1000.0,
            p50: latency(0.5),
            p99: latency(0.99),
        })
    }
}
