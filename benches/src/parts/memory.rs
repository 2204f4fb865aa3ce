//! Resident memory, idle and flooded.

use std::{thread, time::Duration};

use super::{Bench, CONNECTIONS, SCHOOL};
use crate::{
    Outcome, cores,
    data::{Data, Size},
    driver::{Answer, Pace, Sent, Work, drive},
    report::Bound::AtMost,
    server::Server,
    work::{Draws, Joins, SignIns},
};

/// After this long without a sign-in a server is idle. The bound is on the minute before it, and a moment more.
const IDLE: Duration = Duration::from_secs(63);

pub fn run(bench: &mut Bench) -> Outcome<()> {
    const PART: &str = "memory";
    let (like, tokens) = bench.school()?;
    // Its own: what is joined here has the code that it began with, and others draw for every class.
    let data = Data::sqlite(SCHOOL, Some(&like))?;
    let (owners, students) = tokens.split_at(SCHOOL.owners());
    let server = Server::start(&data)?;
    bench.report.tell(PART, "resident, just started", server.resident()?, "MiB");
    let mut sign_ins = SignIns::new(data.size);
    drive(&[server.address], &Pace::closed(CONNECTIONS, 3.0), &mut sign_ins)?.one(&[(SignIns::KIND, 201)])?;
    bench.report.tell(PART, "resident, while signing in", server.resident()?, "MiB");
    thread::sleep(IDLE);
    let idle = server.resident()?;
    bench.report.hold(PART, "resident, a minute after the last sign-in", idle, "MiB", AtMost(25.0));

    server.forget_peak()?;
    let mut flood = Flood {
        sign_ins,
        // The other half is joined.
        draws: Draws::new(Size { classes: SCHOOL.classes / 2, ..SCHOOL }, owners),
        joins: Joins::new(data.size, students),
        turn: 0,
    };
    let tally = drive(&[server.address], &Pace::closed(512, bench.seconds(20.0)), &mut flood)?.one(&[
        (SignIns::KIND, 201),
        (SignIns::KIND, 503),
        (Draws::KIND, 200),
        (Draws::KIND, 503),
        (Joins::KIND, 201),
        (Joins::KIND, 503),
    ])?;
    for (kind, status) in [(SignIns::KIND, 201), (Draws::KIND, 200), (Joins::KIND, 201)] {
        bench.report.tell(PART, &format!("{kind}, flooded"), tally.rate(kind, status), "/s");
    }
    let most = idle + (cores() * 19 + 32) as f64;
    bench.report.hold(
        PART,
        "resident at most, flooded by 512 connections",
        server.peak()?,
        "MiB",
        AtMost(most),
    );
    Ok(())
}

/// Everything at once.
struct Flood<'a> {
    sign_ins: SignIns,
    draws: Draws<'a>,
    joins: Joins<'a>,
    turn: usize,
}

impl Work for Flood<'_> {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        self.turn += 1;
        match self.turn % 4 {
            0 => self.draws.next(request),
            1 => self.joins.next(request),
            _ => self.sign_ins.next(request),
        }
    }

    fn answered(&mut self, sent: Sent, answer: &Answer) {
        self.sign_ins.answered(sent, answer);
    }
}
