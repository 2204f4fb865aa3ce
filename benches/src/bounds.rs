//! The bounds on speed and memory. A ratio compares two figures that were measured alternately in the same run.

use std::{
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    client::{Client, PASSWORD, refresh_token},
    data::{Data, Size},
    engines, failed,
    oha::{
        CONNECTIONS, Load,
        Rate::{PerSecond, Unlimited},
        create_code, generate_join_code,
    },
    report::{
        Bound::{AtLeast, AtMost},
        Report, median,
    },
    server::{self, Server},
};

type Part = fn(&mut Bench) -> Outcome<()>;

const PARTS: &[(&str, Part)] = &[
    ("sign-in", sign_in),
    ("refresh", refresh),
    ("join-code", join_code),
    ("contention", contention),
    ("import", import),
    ("start", start),
    ("idle", idle),
    ("overload", overload),
    ("growth", growth),
];

/// The data of all parts except growth. One owner, because oha sends the same bearer token with each request.
const SCHOOL: Size = Size { users: 2000, classes: 10_000, owners: 1 };

/// The state that all parts share.
struct Bench {
    quick: bool,
    report: Report,
    school: Data,
}

impl Bench {
    /// The number of times that two compared figures are measured.
    fn rounds(&self) -> usize {
        if self.quick { 3 } else { 5 }
    }

    /// The duration of a measurement that takes `full` seconds without `--quick`.
    fn seconds(&self, full: f64) -> f64 {
        if self.quick { full / 2.0 } else { full }
    }
}

/// Runs these parts, or all. Returns whether all bounds are met.
pub fn run(names: &[&str], quick: bool) -> Outcome<bool> {
    let known: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return failed(format!("unknown part {unknown}: the parts are {}", known.join(" ")));
    }
    let mut bench = Bench { quick, report: Report::begin("bench"), school: Data::sqlite(SCHOOL)? };
    for (name, part) in PARTS {
        if (names.is_empty() || names.contains(name))
            && let Err(error) = part(&mut bench)
        {
            bench.report.error(name, &error.to_string());
        }
    }
    bench.report.end()
}

/// Saturates the server with sign-ins that all succeed.
fn saturate(server: &Server, data: &Data, seconds: f64) -> Outcome<Load> {
    create_code(server.address, data, (CONNECTIONS, Unlimited, seconds), &[201])
}

/// `createCode` against the password hash alone.
fn sign_in(bench: &mut Bench) -> Outcome<()> {
    let server = Server::start(&bench.school)?;
    saturate(&server, &bench.school, 1.0)?;
    let (mut rates, mut hashes, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let before = engines::hashes_per_second_on_all_cores(bench.seconds(3.0))?;
        let rate = saturate(&server, &bench.school, bench.seconds(6.0))?.rate(201);
        let after = engines::hashes_per_second_on_all_cores(bench.seconds(3.0))?;
        rates.push(rate);
        hashes.push(f64::midpoint(before, after));
        ratios.push(rate / f64::midpoint(before, after));
    }
    let detail = format!("{:.0}/s, {:.0}/s", median(&rates), median(&hashes));
    bench.report.check("createCode / Argon2id alone", median(&ratios), "", AtLeast(0.9), &detail);
    Ok(())
}

/// `createToken` with a refresh token against `createToken` with a code. Both sign two tokens.
fn refresh(bench: &mut Bench) -> Outcome<()> {
    /// The number of clients, each with its own session.
    const CLIENTS: usize = 16;
    let server = Server::start(&bench.school)?;
    let client = || Client::new(server.address);
    let codes = |count: usize| -> Outcome<Vec<_>> {
        (0..count).map(|user| client().create_code(user % SCHOOL.users, PASSWORD)).collect()
    };
    // Runs `work` on each client, and returns the requests per second of all together.
    let rate = |work: &(dyn Fn(usize) -> Outcome<u32> + Sync)| -> Outcome<f64> {
        let begin = Instant::now();
        let count: Outcome<u32> = thread::scope(|scope| {
            let threads: Vec<_> = (0..CLIENTS).map(|index| scope.spawn(move || work(index))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| failed("a thread panicked")))
                .sum()
        });
        Ok(f64::from(count?) / begin.elapsed().as_secs_f64())
    };
    let (mut exchanges, mut refreshes, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let codes = codes(CLIENTS * if bench.quick { 10 } else { 20 })?;
        let exchange = rate(&|index| {
            let (client, mut count) = (client(), 0);
            for code in codes.iter().skip(index).step_by(CLIENTS) {
                refresh_token(&client.create_token(code)?)?;
                count += 1;
            }
            Ok(count)
        })?;
        let seconds = bench.seconds(4.0);
        let sessions = refresh_tokens(&client(), CLIENTS)?;
        let refresh = rate(&|index| {
            let (client, begin, mut count) = (client(), Instant::now(), 0);
            let mut token = sessions[index].clone();
            while begin.elapsed().as_secs_f64() < seconds {
                token = refresh_token(&client.refresh(&token)?)?;
                count += 1;
            }
            Ok(count)
        })?;
        exchanges.push(exchange);
        refreshes.push(refresh);
        ratios.push(refresh / exchange);
    }
    let detail = format!("{:.0}/s, {:.0}/s", median(&refreshes), median(&exchanges));
    bench.report.check("refresh / exchange of a code", median(&ratios), "", AtLeast(0.9), &detail);
    Ok(())
}

/// The refresh tokens of new sessions of this many users.
fn refresh_tokens(client: &Client, users: usize) -> Outcome<Vec<String>> {
    (0..users)
        .map(|user| refresh_token(&client.create_token(&client.create_code(user, PASSWORD)?)?))
        .collect()
}

/// `generateJoinCode` against its statement alone, on SQLite with `synchronous = FULL`.
fn join_code(bench: &mut Bench) -> Outcome<()> {
    let copy = bench.school.copy_of_file()?;
    let server = Server::start(&bench.school)?;
    let token = Client::new(server.address).sign_in(0)?;
    let load = |seconds| generate_join_code(server.address, &bench.school, (CONNECTIONS, seconds), &token);
    load(1.0)?;
    let (mut rates, mut statements, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let alone = engines::upserts_per_second(&copy, SCHOOL, bench.seconds(4.0))?;
        let rate = load(bench.seconds(4.0))?.rate(200);
        rates.push(rate);
        statements.push(alone);
        ratios.push(rate / alone);
    }
    let detail = format!("{:.0}/s, {:.0}/s", median(&rates), median(&statements));
    let figure = "generateJoinCode / its statement with a commit each";
    bench.report.check(figure, median(&ratios), "", AtLeast(2.0), &detail);
    Ok(())
}

/// The latency of `generateJoinCode` on four connections while other connections saturate sign-in.
fn contention(bench: &mut Bench) -> Outcome<()> {
    let server = Server::start(&bench.school)?;
    let token = Client::new(server.address).sign_in(0)?;
    let seconds = bench.seconds(12.0);
    let (sign_in, join_code) = thread::scope(|scope| {
        let sign_in = scope.spawn(|| saturate(&server, &bench.school, seconds + 2.0));
        thread::sleep(Duration::from_secs(1));
        let join_code = generate_join_code(server.address, &bench.school, (4, seconds), &token);
        (sign_in.join(), join_code)
    });
    let (Ok(sign_in), join_code) = (sign_in, join_code?) else { return failed("a thread panicked") };
    let detail = format!("{:.0}/s, createCode {:.0}/s", join_code.rate(200), sign_in?.rate(201));
    let figure = "generateJoinCode during saturated createCode, p99";
    bench.report.check(figure, join_code.p99(), "ms", AtMost(25.0), &detail);
    Ok(())
}

/// The latency of `createCode` while `homeroom roster import` creates 10,000 students in 400 classes, against the latency alone.
fn import(bench: &mut Bench) -> Outcome<()> {
    const STUDENT_DOMAIN: &str = "pupils.school.example";
    let (mut alone, mut beside, mut times) = (vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        // A new database, because a second import of the same files changes nothing.
        let data = Data::sqlite(SCHOOL)?;
        let files = data.path().join("roster");
        let sample = Command::new("scripts/roster-sample").arg(&files).args(["10000", "400"]).status()?;
        let (true, Some(files)) = (sample.success(), files.to_str()) else { return failed("no sample") };
        let server = Server::start(&data)?;
        let load = |seconds| create_code(server.address, &data, (8, PerSecond(40.0), seconds), &[201]);
        load(1.0)?;
        alone.push(load(bench.seconds(6.0))?.p99());
        let (load, time) = thread::scope(|scope| {
            let signing_in = scope.spawn(|| load(bench.seconds(6.0)));
            let begin = Instant::now();
            let import = ["roster", "import", files, "--student-domain", STUDENT_DOMAIN];
            let time = server::run(&import, data.path(), None).map(|()| begin.elapsed().as_secs_f64());
            (signing_in.join(), time)
        });
        let Ok(load) = load else { return failed("a thread panicked") };
        beside.push(load?.p99());
        times.push(time?);
    }
    let (alone, beside) = (median(&alone), median(&beside));
    let detail = format!("{beside:.0} ms, {alone:.0} ms, import {:.1} s", median(&times));
    bench.report.check(
        "createCode beside roster import / alone, p99",
        beside / alone,
        "",
        AtMost(2.0),
        &detail,
    );
    Ok(())
}

/// The time from the start of the process to ready, with an existing database.
fn start(bench: &mut Bench) -> Outcome<()> {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let times: Vec<f64> =
        (0..11).map(|_| Server::time_to_ready(&bench.school).map(milliseconds)).collect::<Outcome<_>>()?;
    let detail = format!("{} classes", SCHOOL.classes);
    bench.report.check("start to ready", median(&times), "ms", AtMost(150.0), &detail);
    Ok(())
}

/// The resident memory one minute after the last sign-in.
fn idle(bench: &mut Bench) -> Outcome<()> {
    let server = Server::start(&bench.school)?;
    saturate(&server, &bench.school, 3.0)?;
    let loaded = server.resident()?;
    thread::sleep(Duration::from_secs(63));
    let detail = format!("{loaded:.1} MiB right after the load");
    bench.report.check("idle: resident memory", server.resident()?, "MiB", AtMost(40.0), &detail);
    Ok(())
}

/// Five times as many sign-ins as the server can do, at a fixed rate.
fn overload(bench: &mut Bench) -> Outcome<()> {
    let (server, data) = (Server::start(&bench.school)?, &bench.school);
    saturate(&server, data, 1.0)?;
    let seconds = bench.seconds(16.0);
    let before = saturate(&server, data, seconds / 2.0)?.rate(201);
    let (over, is_over) = mpsc::channel::<()>();
    let (load, health) = thread::scope(|scope| {
        let client = Client::new(server.address);
        let health = scope.spawn(move || {
            let mut latencies = Vec::new();
            while is_over.recv_timeout(Duration::from_millis(50)) == Err(mpsc::RecvTimeoutError::Timeout) {
                let response = client.get("/health/ready", "")?;
                if response.status != 200 {
                    return failed(format!("health returned {}", response.status));
                }
                latencies.push(response.latency);
            }
            Ok(latencies)
        });
        let rate = PerSecond(before * 5.0);
        let load = create_code(server.address, data, (512, rate, seconds), &[201, 503]);
        drop(over);
        (load, health.join())
    });
    let (load, Ok(health)) = (load?, health) else { return failed("a thread panicked") };
    // The speed of a virtual machine changes within seconds, so the peak is measured before and after.
    let peak = f64::midpoint(before, saturate(&server, data, seconds / 2.0)?.rate(201));
    let accepted = load.rate(201);
    let detail = format!("{accepted:.0}/s, {peak:.0}/s, p99 {:.0} ms", load.p99());
    bench.report.check("overload: accepted createCode / peak", accepted / peak, "", AtLeast(0.9), &detail);
    let detail = format!("{:.0}/s", load.rate(503));
    bench.report.check("overload: 503, p99", load.p99_of_errors(), "ms", AtMost(50.0), &detail);
    let health = health?;
    let detail = format!("all 200, p99 {:.1} ms", crate::report::percentile(&health, 0.99));
    bench.report.check("overload: answers of /health/ready", health.len() as f64, "", AtLeast(1.0), &detail);
    Ok(())
}

/// The cost of a request with 1,000,000 users and classes against 1,000.
fn growth(bench: &mut Bench) -> Outcome<()> {
    let school = |count| -> Outcome<_> {
        let data = Data::sqlite(Size { users: count, classes: count, owners: 1 })?;
        let server = Server::start(&data)?;
        let token = Client::new(server.address).sign_in(0)?;
        Ok((data, server, token))
    };
    let schools = [school(1000)?, school(1_000_000)?];
    let (mut sign_ins, mut join_codes) = ([vec![], vec![]], [vec![], vec![]]);
    let seconds = bench.seconds(4.0);
    for _ in 0..bench.rounds() {
        for (index, (data, server, token)) in schools.iter().enumerate() {
            sign_ins[index].push(saturate(server, data, seconds)?.rate(201));
            let load = generate_join_code(server.address, data, (CONNECTIONS, seconds), token)?;
            join_codes[index].push(load.rate(200));
        }
    }
    for (operation, [small, large]) in [("createCode", sign_ins), ("generateJoinCode", join_codes)] {
        let (small, large) = (median(&small), median(&large));
        let figure = format!("{operation}: cost with 10^6 rows / with 10^3");
        let detail = format!("{large:.0}/s, {small:.0}/s");
        bench.report.check(&figure, small / large, "", AtMost(1.3), &detail);
    }
    Ok(())
}
