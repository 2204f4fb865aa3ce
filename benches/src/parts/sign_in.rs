//! `createCode` against the bare hash, saturated and at 70 % of that.

use std::time::Duration;

use super::{Bench, CONNECTIONS};
use crate::{
    Outcome, cores,
    driver::{Pace, Tally, drive, poisson},
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
        rounds.push(Saturated::measure(bench, &server, &mut sign_ins)?);
    }
    let of = |figure: fn(&Saturated) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    bench.report.tell(PART, "bare hashes, one thread per core", of(|round| round.bare), "/s");
    bench.report.tell(PART, "createCode, 64 connections", of(|round| round.rate), "/s");
    bench.report.tell(PART, "createCode, processor time of each", of(|round| round.cost), "ms");
    let saturated = of(|round| round.rate / round.bare);
    bench.report.hold(PART, "createCode / bare hashes", saturated, "", AtLeast(0.90));

    let loaded = Loaded::measure(bench, &server, &mut sign_ins, saturated * LOAD)?;
    bench.report.tell(PART, "one hash, alone", loaded.alone.mean() * 1000.0, "ms");
    bench.report.tell(PART, "one hash, all cores busy", loaded.together.mean() * 1000.0, "ms");
    for (name, part, most) in [("p50", 0.5, 1.3), ("p99", 0.99, 1.2)] {
        let ideal = quantile(&loaded.ideal, part) * 1000.0;
        let ours = loaded.ours.quantile(SignIns::KIND, 201, part);
        bench.report.tell(PART, &format!("70 % load, {name}, ideal queue"), ideal, "ms");
        bench.report.tell(PART, &format!("70 % load, {name}, createCode"), ours, "ms");
        let what = format!("70 % load, {name}, createCode / ideal queue");
        bench.report.hold(PART, &what, ours / ideal, "", AtMost(most));
        let what = format!("70 % load, {name}, threads that do nothing but hash / ideal queue");
        let bare = quantile(&loaded.bare, part) * 1000.0;
        bench.report.tell(PART, &what, bare / ideal, "");
    }
    Ok(())
}

/// As many sign-ins as can be done.
struct Saturated {
    /// Hashes a second, before and after.
    bare: f64,
    /// `createCode` a second.
    rate: f64,
    /// The processor time of each, in milliseconds.
    cost: f64,
}

impl Saturated {
    fn measure(bench: &Bench, server: &Server, sign_ins: &mut SignIns) -> Outcome<Self> {
        let before = Bare::measure(cores(), bench.duration(3.0))?;
        let processor = server.processor()?;
        let tally = drive(&[server.address], &Pace::closed(CONNECTIONS, bench.seconds(6.0)), sign_ins)?
            .one(&[(SignIns::KIND, 201)])?;
        let answers = tally.count(SignIns::KIND, 201) as f64;
        let cost = (server.processor()? - processor) / answers * 1000.0;
        let rate = tally.rate(SignIns::KIND, 201);
        let after = Bare::measure(cores(), bench.duration(3.0))?;
        Ok(Self { bare: f64::midpoint(before.rate, after.rate), rate, cost })
    }
}

/// A part of that, as it comes: the same arrivals for the server, for threads that do nothing but hash, and for an ideal
/// queue. It is measured in turns of two seconds, because a machine that others share has another pace a few seconds
/// later, and so another ideal.
struct Loaded {
    /// The hash by itself and beside others.
    alone: Bare,
    together: Bare,
    /// Latencies, in order of size those in seconds.
    ours: Tally,
    bare: Vec<f64>,
    ideal: Vec<f64>,
}

impl Loaded {
    /// At this part of the bare hashes.
    fn measure(bench: &mut Bench, server: &Server, sign_ins: &mut SignIns, load: f64) -> Outcome<Self> {
        const TURN: f64 = 2.0;
        let probe = |seconds| {
            let duration = Duration::from_secs_f64(seconds);
            Outcome::Ok((Bare::measure(1, duration)?, Bare::measure(cores(), duration)?))
        };
        let (mut alone, mut together) = probe(TURN)?;
        let mut all = Self {
            alone: alone.clone(),
            together: together.clone(),
            ours: Tally::default(),
            bare: Vec::new(),
            ideal: Vec::new(),
        };
        for _ in 0..bench.seconds(30.0) as usize {
            // The mean of all so far: at the pace of a single probe, the next turn may be past all bearing.
            let pace = cores() as f64 / all.together.mean();
            let arrivals = poisson(pace * load, TURN, &mut bench.random);
            let open = Pace::Open { arrivals: &arrivals, connections: 256 };
            all.ours.add(&drive(&[server.address], &open, sign_ins)?.one(&[(SignIns::KIND, 201)])?)?;
            all.bare.extend(queue(cores(), &arrivals)?);
            let (alone_then, together_then) = probe(0.3)?;
            let workers =
                Workers::new(cores(), &alone.and(alone_then.clone()), &together.and(together_then.clone()));
            all.ideal.extend(workers.latencies(&arrivals, &mut bench.random));
            all.alone = all.alone.and(alone_then.clone());
            all.together = all.together.and(together_then.clone());
            (alone, together) = (alone_then, together_then);
        }
        all.bare.sort_by(f64::total_cmp);
        all.ideal.sort_by(f64::total_cmp);
        Ok(all)
    }
}
