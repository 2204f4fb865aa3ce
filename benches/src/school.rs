//! A class of 600 that signs in for the first time, and two who guess beside it: all behind one address, at two servers
//! over one database, with the limits that a server has if nothing is said.

use std::{net::SocketAddr, thread};

use crate::{
    Outcome,
    data::{self, Data, Size},
    driver::{Answer, Pace, Sent, Tally, Work, drive, poisson},
    failed,
    report::{
        Bound::{AtLeast, AtMost},
        Report,
    },
    request,
    server::Server,
    work::{self, Exchanges, Joins, SignIns},
};

const PUPILS: usize = 600;
/// Whose password is guessed, and who guesses join codes: no pupils.
const VICTIM: usize = PUPILS + 1;
const INTRUDER: usize = PUPILS + 2;
/// How many guesses a second are sent, whatever is answered.
const GUESSES: f64 = 20.0;
/// How often an account may be guessed at in a row (NIST SP 800-63B-4 section 3.2.2).
const IN_A_ROW: u64 = 100;

/// Lets the class arrive within so many seconds.
pub fn run(seconds: f64) -> Outcome<bool> {
    const PART: &str = "school";
    let mut report = Report::begin("school");
    // The one class is the first user's, who is nobody's pupil.
    let size = Size { users: PUPILS + 3, classes: 1 };
    let data = Data::postgres(size, crate::postgres()?, None)?;
    // The first start makes the keys.
    let first = Server::start_with(&data, &[])?;
    let other = Data::beside(&data)?;
    let servers = [first, Server::start_with(&other, &[])?];
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    let intruder = sign_in(&addresses, INTRUDER)?;

    // Each pupil signs in, swaps the code and joins.
    let mut random = fastrand::Rng::with_seed(17);
    let steps = poisson(3.0 * PUPILS as f64 / seconds, seconds * 2.0, &mut random);
    let guesses = poisson(GUESSES, seconds, &mut random);
    let beside = |mut guesser: Guesses| {
        let (addresses, arrivals) = (addresses.clone(), guesses.clone());
        thread::spawn(move || {
            let pace = Pace::Open { arrivals: &arrivals, connections: 64 };
            let tally = drive(&addresses, &pace, &mut guesser).map_err(|error| error.to_string())?;
            Ok::<_, String>((tally, guesser))
        })
    };
    let passwords = beside(Guesses::new("guess of a password", None));
    let codes = beside(Guesses::new("guess of a join code", Some(intruder)));
    let mut class = Pupils { next: 1, codes: Vec::new(), tokens: Vec::new() };
    let pace = Pace::Open { arrivals: &steps, connections: 64 };
    let pupils = drive(&addresses, &pace, &mut class)?;

    report.tell(PART, "pupils", PUPILS as f64, "");
    report.tell(PART, "within", seconds, "s");
    for (kind, status) in [(SignIns::KIND, 201), (Exchanges::KIND, 201), (Joins::KIND, 201)] {
        let what = format!("pupils: {kind}, {status}");
        report.hold(PART, &what, pupils.count(kind, status) as f64, "", AtLeast(PUPILS as f64));
        report.tell(PART, &format!("pupils: {kind}, p99"), pupils.quantile(kind, status, 0.99), "ms");
    }
    let refused = with_status(&pupils, 429);
    report.hold(PART, "pupils: 429", refused, "", AtMost(0.0));
    for guesser in [passwords, codes] {
        let Ok(outcome) = guesser.join() else { return failed("a guesser panicked") };
        let (tally, guesses) = outcome?;
        let kind = guesses.kind;
        let answers: u64 = tally.counts.values().sum();
        report.tell(PART, &format!("{kind}: sent"), answers as f64, "");
        let judged = tally.count(kind, 400);
        report.hold(PART, &format!("{kind}: judged (400)"), judged as f64, "", AtMost(IN_A_ROW as f64));
        report.hold(PART, &format!("{kind}: 429"), with_status(&tally, 429), "", AtLeast(1.0));
        let wait = guesses.retry_after.unwrap_or(0);
        report.tell(PART, &format!("{kind}: Retry-After of the last 429"), wait as f64, "s");
        // Delays grow; from here on they are at least as long as the last one.
        let hundred = seconds + (IN_A_ROW.saturating_sub(judged) * wait) as f64;
        report.tell(PART, &format!("{kind}: {IN_A_ROW} take at least"), hundred / 3600.0, "h");
        let other = answers as f64 - judged as f64 - with_status(&tally, 429);
        report.hold(PART, &format!("{kind}: any other answer"), other, "", AtMost(0.0));
    }
    report.end()
}

fn with_status(tally: &Tally, status: u16) -> f64 {
    tally.counts.iter().filter(|((_, seen), _)| *seen == status).map(|(_, count)| *count as f64).sum()
}

fn sign_in(servers: &[SocketAddr], user: usize) -> Outcome<String> {
    work::tokens_of(servers[0], user..user + 1)?.pop().ok_or_else(|| "no token".into())
}

struct Pupils {
    next: usize,
    codes: Vec<String>,
    tokens: Vec<String>,
}

impl Work for Pupils {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        if let Some(token) = self.tokens.pop() {
            request::join(&data::first_join_code(0), &token, request);
            Some(Sent { kind: Joins::KIND, item: 0 })
        } else if let Some(code) = self.codes.pop() {
            request::exchange(&code, request);
            Some(Sent { kind: Exchanges::KIND, item: 0 })
        } else if self.next <= PUPILS {
            request::sign_in(&request::email(self.next), request::PASSWORD, request);
            self.next += 1;
            Some(Sent { kind: SignIns::KIND, item: self.next - 1 })
        } else {
            None
        }
    }

    fn answered(&mut self, sent: Sent, answer: &Answer) {
        match sent.kind {
            SignIns::KIND => self.codes.extend(request::code_in(answer.body)),
            Exchanges::KIND => self.tokens.extend(request::token_in(answer.body)),
            _ => {}
        }
    }
}

/// Passwords of one account, or join codes with one token.
struct Guesses {
    kind: &'static str,
    token: Option<String>,
    random: fastrand::Rng,
    retry_after: Option<u64>,
}

impl Guesses {
    fn new(kind: &'static str, token: Option<String>) -> Self {
        Self { kind, token, random: fastrand::Rng::with_seed(19), retry_after: None }
    }
}

impl Work for Guesses {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        let guess = data::join_code(self.random.u64(..));
        match &self.token {
            None => request::sign_in(&request::email(VICTIM), &guess, request),
            Some(token) => request::join(&guess, token, request),
        }
        Some(Sent { kind: self.kind, item: 0 })
    }

    fn answered(&mut self, _: Sent, answer: &Answer) {
        if answer.status == 429 {
            self.retry_after = answer.retry_after;
        }
    }
}
