//! A school day at 80 % of what the server can do, minutes long: no failure, and no memory that is never given back.

use std::{
    collections::VecDeque,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome, cores,
    data::{Data, Size},
    driver::{Answer, Pace, Sent, Tally, Work, drive, poisson},
    failed,
    hash::Bare,
    report::{
        Bound::{AtLeast, AtMost},
        Report, median,
    },
    request,
    server::Server,
    work::{self, Draws, Exchanges, Joins, SignIns},
};

/// The school.
const SIZE: Size = Size { users: 2000, classes: 10_000 };
/// How long memory may grow, of ten minutes: caches fill, connections come.
const WARM_UP: f64 = 0.2;
/// What of the peak is asked for.
const LOAD: f64 = 0.8;
/// How many may be connected.
const MOST_CONNECTIONS: usize = 512;
/// For how many seconds it is asked for, until the peak is measured anew; and for how many that is.
const STRETCH: f64 = 30.0;
const PEAK: f64 = 5.0;
/// For how long the bare hash is, before and after.
const BARE: Duration = Duration::from_secs(5);
/// Reading a class.
const READ: &str = "getClassById";

/// Soaks for so many minutes.
pub fn run(minutes: f64) -> Outcome<bool> {
    const PART: &str = "soak";
    let mut report = Report::begin("soak");
    let data = Data::sqlite(SIZE, None)?;
    let server = Server::start(&data)?;
    let tokens = work::tokens(server.address, SIZE.users)?;
    let (owners, students) = tokens.split_at(SIZE.owners());
    let mut lessons = Lessons {
        sign_ins: SignIns::new(SIZE),
        codes: VecDeque::new(),
        owners,
        students,
        joins: Joins::new(SIZE, students),
        turn: 0,
        began: Instant::now(),
        failed: Vec::new(),
    };
    // What a pile-up takes is taken once: what is looked for is memory that is taken and never given back.
    drive(&[server.address], &Pace::closed(MOST_CONNECTIONS, 5.0), &mut lessons)?;
    lessons.codes.clear();
    let before = Bare::measure(cores(), BARE)?;
    (lessons.began, lessons.failed) = (Instant::now(), Vec::new());
    let (soaked, memory) = thread::scope(|scope| -> Outcome<_> {
        let (over, is_over) = mpsc::channel::<()>();
        let server = &server;
        let sampler = scope.spawn(move || {
            let begin = Instant::now();
            let mut samples = Vec::new();
            while is_over.recv_timeout(Duration::from_millis(250)) == Err(mpsc::RecvTimeoutError::Timeout) {
                samples.push((begin.elapsed().as_secs_f64(), server.resident().unwrap_or(f64::NAN)));
            }
            samples
        });
        let soaked = soak(server, minutes * 60.0, &mut lessons);
        drop(over);
        match sampler.join() {
            Ok(memory) => Ok((soaked?, memory)),
            Err(_) => failed("the sampler panicked"),
        }
    })?;
    let Soaked { tally, asked, peaks } = soaked;
    let seconds = lessons.began.elapsed().as_secs_f64();
    let after = Bare::measure(cores(), BARE)?;

    report.tell(PART, "bare hashes, before", before.rate, "/s");
    report.tell(PART, "bare hashes, after", after.rate, "/s");
    report.tell(PART, "minutes", minutes, "");
    let least = peaks.iter().copied().fold(f64::INFINITY, f64::min);
    report.tell(PART, "the mix, 64 connections, the least", least, "/s");
    report.tell(PART, "the mix, 64 connections, the median", median(&peaks), "/s");
    report.tell(PART, "the mix, 64 connections, the most", peaks.iter().copied().fold(0.0, f64::max), "/s");
    report.tell(PART, "asked for, 80 % of each, on average", asked as f64 / (minutes * 60.0), "/s");
    for (kind, status) in Lessons::ANSWERS {
        report.tell(PART, &format!("{kind}, {status}"), tally.count(kind, *status) as f64, "");
        report.tell(PART, &format!("{kind}, p99"), tally.quantile(kind, *status, 0.99), "ms");
    }
    let count = |wanted: &dyn Fn((&'static str, u16)) -> bool| count(&tally, wanted);
    report.hold(PART, "answers of 5xx", lessons.failed.len() as f64, "", AtMost(0.0));
    if let (Some(first), Some(last)) = (lessons.failed.first(), lessons.failed.last()) {
        report.tell(PART, "the first answer of 5xx, after", *first, "s");
        report.tell(PART, "the last one, after", *last, "s");
    }
    let other = count(&|answer| answer.1 < 500 && !Lessons::ANSWERS.contains(&answer));
    report.hold(PART, "answers that are none of these", other, "", AtMost(0.0));
    report.hold(PART, "requests", count(&|_| true), "", AtLeast(asked as f64));
    // What a moment needs comes and goes: a tenth of the time stands on either side.
    let between = |from: f64, to: f64| {
        let within = memory.iter().filter(|(at, _)| (from * seconds..to * seconds).contains(at));
        median(&within.map(|(_, memory)| *memory).collect::<Vec<_>>())
    };
    let (warm, end) = (between(WARM_UP, WARM_UP + 0.1), between(0.9, 1.0));
    report.tell(PART, "resident, after the first fifth", warm, "MiB");
    report.tell(PART, "resident, at the end", end, "MiB");
    report.hold(PART, "growth of resident memory", (end / warm - 1.0) * 100.0, "%", AtMost(5.0));
    report.end()
}

/// What came of it.
struct Soaked {
    /// All answers at 80 % load.
    tally: Tally,
    /// How many requests that were.
    asked: usize,
    /// What the server can do, as it was measured over and over.
    peaks: Vec<f64>,
}

/// Asks for 80 % of what the server can do, for so many seconds. The pace of a machine moves by a third within minutes, so
/// that 80 % of a good moment is more than all of a bad one: what it can do is measured each half minute anew.
fn soak(server: &Server, seconds: f64, lessons: &mut Lessons) -> Outcome<Soaked> {
    let mut random = fastrand::Rng::with_seed(5);
    let mut soaked = Soaked { tally: Tally::default(), asked: 0, peaks: Vec::new() };
    let mut left = seconds;
    while left > 0.0 {
        let tally = drive(&[server.address], &Pace::closed(64, PEAK), lessons)?;
        let peak = Lessons::ANSWERS.iter().map(|(kind, status)| tally.rate(kind, *status)).sum::<f64>();
        let arrivals = poisson(peak * LOAD, left.min(STRETCH), &mut random);
        let pace = Pace::Open { arrivals: &arrivals, connections: MOST_CONNECTIONS };
        soaked.tally.add(&drive(&[server.address], &pace, lessons)?)?;
        soaked.asked += arrivals.len();
        soaked.peaks.push(peak);
        left -= STRETCH;
    }
    Ok(soaked)
}

fn count(tally: &Tally, wanted: &dyn Fn((&'static str, u16)) -> bool) -> f64 {
    tally.counts.iter().filter(|(answer, _)| wanted(**answer)).map(|(_, count)| *count as f64).sum()
}

/// Somebody signs in, swaps the code; a teacher draws a code, a student joins a class, a teacher reads one; and so on.
struct Lessons<'a> {
    sign_ins: SignIns,
    /// What was issued and is not swapped yet, the oldest first: it is worth nothing after a minute.
    codes: VecDeque<String>,
    owners: &'a [String],
    students: &'a [String],
    joins: Joins<'a>,
    turn: usize,
    began: Instant,
    /// When there was an answer of 5xx, in seconds.
    failed: Vec<f64>,
}

impl Lessons<'_> {
    const ANSWERS: &'static [(&'static str, u16)] =
        &[(SignIns::KIND, 201), (Exchanges::KIND, 201), (Draws::KIND, 200), (Joins::KIND, 201), (READ, 200)];
}

impl Work for Lessons<'_> {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        self.turn += 1;
        // Codes are drawn for one half of the classes, and the other half is joined.
        let class = self.turn % (SIZE.classes / 2);
        let owner = &self.owners[class % SIZE.owners()];
        match self.turn % 5 {
            0 => {
                request::draw(class, owner, request);
                Some(Sent { kind: Draws::KIND, item: class })
            }
            1 => {
                let (student, class) = self.joins.pair();
                request::join(&crate::data::first_join_code(class), &self.students[student], request);
                Some(Sent { kind: Joins::KIND, item: class })
            }
            2 => {
                request::read(class, owner, request);
                Some(Sent { kind: READ, item: class })
            }
            3 => match self.codes.pop_front() {
                Some(code) => {
                    request::exchange(&code, request);
                    Some(Sent { kind: Exchanges::KIND, item: 0 })
                }
                None => self.sign_ins.next(request),
            },
            _ => self.sign_ins.next(request),
        }
    }

    fn answered(&mut self, sent: Sent, answer: &Answer) {
        if answer.status >= 500 {
            self.failed.push(self.began.elapsed().as_secs_f64());
        }
        if sent.kind == SignIns::KIND {
            self.codes.extend(request::code_in(answer.body));
        }
    }
}
