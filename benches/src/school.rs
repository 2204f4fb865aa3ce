//! Six hundred students sign in for the first time and join a class. At the same time, two attackers guess the password of
//! one account and join codes. All requests come from one address and go to two servers with one PostgreSQL database and
//! the default rate limits.

use std::{
    env,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use crate::{
    Outcome,
    client::{Client, PASSWORD, Response, access_token, at_arrivals, poisson},
    data::{self, Data, Size},
    failed,
    report::{
        Bound::{AtLeast, AtMost},
        Report, percentile,
    },
    server::Server,
};

const STUDENTS: usize = 600;
/// The account whose password is guessed.
const VICTIM: usize = STUDENTS + 1;
/// The account that guesses join codes.
const INTRUDER: usize = STUDENTS + 2;
/// Guesses per second of each attacker.
const GUESSES: f64 = 20.0;
/// The number of wrong passwords in a row that an account may get (NIST SP 800-63B-4 section 3.2.2).
const GUESSES_IN_A_ROW: usize = 100;

/// Lets the students arrive within `seconds`.
pub fn run(seconds: f64) -> Outcome<bool> {
    let url = env::var("HOMEROOM_TEST_POSTGRES_URL")
        .map_err(|_| "HOMEROOM_TEST_POSTGRES_URL is not set: run scripts/school")?;
    let mut report = Report::begin("school");
    let data = Data::postgres(Size { users: STUDENTS + 3, classes: 1, owners: 1 }, url)?;
    // The first server creates the signing keys that the second one uses too.
    let first = Server::start_with(&data, &[])?;
    let second_data = data.second_node()?;
    let second = Server::start_with(&second_data, &[])?;
    let servers = [first.address, second.address];
    let token = Client::new(servers[0]).sign_in(INTRUDER)?;

    let mut random = fastrand::Rng::with_seed(17);
    let arrivals: Vec<_> = poisson(STUDENTS as f64 / seconds, &mut random).take(STUDENTS).collect();
    let guesses: Vec<_> = poisson(GUESSES, &mut random).take_while(|at| at.as_secs_f64() < seconds).collect();
    let wrong = |random: u64| data::join_code(random);
    let (students, passwords, codes) = thread::scope(|scope| {
        let passwords = scope.spawn(|| {
            guess(&servers, &guesses, |client| client.create_code(VICTIM, &wrong(fastrand::u64(..))))
        });
        let codes = scope
            .spawn(|| guess(&servers, &guesses, |client| client.join(&wrong(fastrand::u64(..)), &token)));
        let students = at_arrivals(&arrivals, |index| enter(servers[index % 2], index + 1));
        (students, passwords.join(), codes.join())
    });

    report.inform("students", STUDENTS as f64, "");
    report.inform("arrive within", seconds, "s");
    let students = students?;
    for (operation, status, index) in
        [("createCode", 201, 0), ("createToken", 201, 1), ("joinClassByCode", 201, 2)]
    {
        let responses: Vec<_> = students.iter().filter_map(|responses| responses.get(index)).collect();
        let succeeded = responses.iter().filter(|response| response.status == status).count();
        let latencies: Vec<f64> = responses.iter().map(|response| response.latency).collect();
        let detail = format!("p99 {:.0} ms", percentile(&latencies, 0.99));
        report.check(
            &format!("students: {operation}, {status}"),
            succeeded as f64,
            "",
            AtLeast(STUDENTS as f64),
            &detail,
        );
    }
    let limited = students.iter().flatten().filter(|response| response.status == 429).count();
    report.check("students: 429", limited as f64, "", AtMost(0.0), "");
    for (attack, responses) in [("password guesses", passwords), ("join code guesses", codes)] {
        let Ok(responses) = responses else { return failed("a thread panicked") };
        check_attack(&mut report, attack, &responses?, seconds);
    }
    report.end()
}

/// One student signs in, exchanges the code for tokens and joins the class. Ends after a response that is not 201.
fn enter(server: SocketAddr, student: usize) -> Outcome<Vec<Response>> {
    let client = Client::new(server);
    let mut responses = vec![client.create_code(student, PASSWORD)?];
    if responses[0].status == 201 {
        responses.push(client.create_token(&responses[0])?);
        if responses[1].status == 201 {
            responses.push(client.join(&data::first_join_code(0), &access_token(&responses[1])?)?);
        }
    }
    Ok(responses)
}

fn guess(
    servers: &[SocketAddr; 2],
    arrivals: &[Duration],
    request: impl Fn(&Client) -> Outcome<Response> + Sync,
) -> Outcome<Vec<Response>> {
    let next = AtomicUsize::new(0);
    at_arrivals(arrivals, |_| request(&Client::new(servers[next.fetch_add(1, Ordering::Relaxed) % 2])))
}

/// The server must check only few guesses (400) and refuse the others (429).
fn check_attack(report: &mut Report, attack: &str, responses: &[Response], seconds: f64) {
    let count = |status| responses.iter().filter(|response| response.status == status).count();
    let (checked, limited) = (count(400), count(429));
    let other = responses.len() - checked - limited;
    report.inform(&format!("{attack}: sent"), responses.len() as f64, "");
    report.check(
        &format!("{attack}: checked (400)"),
        checked as f64,
        "",
        AtMost(GUESSES_IN_A_ROW as f64),
        "",
    );
    report.check(&format!("{attack}: refused (429)"), limited as f64, "", AtLeast(1.0), "");
    report.check(&format!("{attack}: other responses"), other as f64, "", AtMost(0.0), "");
    let wait = responses.iter().filter_map(|response| response.retry_after).max().unwrap_or(0);
    report.inform(&format!("{attack}: longest Retry-After"), wait as f64, "s");
    // The back-off never becomes shorter during an attack, so this is a lower limit.
    let least = seconds + GUESSES_IN_A_ROW.saturating_sub(checked) as f64 * wait as f64;
    report.inform(&format!("{attack}: time for {GUESSES_IN_A_ROW}, at least"), least / 3600.0, "h");
}
