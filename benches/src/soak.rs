//! Minutes of mixed load: no request may fail, and the resident memory must not grow.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    client::{Client, PASSWORD, Response, access_token},
    data::{self, Data, Size},
    failed,
    oha::CONNECTIONS,
    report::{
        Bound::{AtLeast, AtMost},
        Report, median, percentile,
    },
    server::Server,
};

const SCHOOL: Size = Size { users: 2000, classes: 10_000, owners: 1000 };
/// Memory may grow during this share of the run, while caches fill.
const WARM_UP: f64 = 0.2;

/// The expected responses: operation and status.
const EXPECTED: [(&str, u16); 5] = [
    ("createCode", 201),
    ("createToken", 201),
    ("joinClassByCode", 201),
    ("getClassById", 200),
    ("generateJoinCode", 200),
];

/// The latencies in milliseconds of all responses, by operation and status.
type Latencies = BTreeMap<(&'static str, u16), Vec<f64>>;

/// Sends load for this many minutes.
pub fn run(minutes: f64) -> Outcome<bool> {
    let mut report = Report::begin("soak");
    let data = Data::sqlite(SCHOOL)?;
    let server = Server::start(&data)?;
    let duration = Duration::from_secs_f64(minutes * 60.0);
    let (begin, next, latencies) = (Instant::now(), AtomicUsize::new(0), Mutex::new(Latencies::new()));
    let (workers, memory) = thread::scope(|scope| -> Outcome<_> {
        let worker = || -> Outcome<()> {
            let client = Client::new(server.address);
            while begin.elapsed() < duration {
                lesson(&client, next.fetch_add(1, Ordering::Relaxed), &latencies)?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(worker)).collect();
        let mut memory = Vec::new();
        while begin.elapsed() < duration {
            memory.push((begin.elapsed().as_secs_f64() / duration.as_secs_f64(), server.resident()?));
            thread::sleep(Duration::from_millis(250));
        }
        Ok((workers.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>(), memory))
    })?;
    for worker in workers {
        worker.unwrap_or_else(|_| failed("a thread panicked"))?;
    }
    let latencies = latencies.into_inner()?;

    report.inform("minutes", minutes, "");
    for (operation, status) in EXPECTED {
        let latencies = latencies.get(&(operation, status)).map(Vec::as_slice).unwrap_or_default();
        let detail = format!("p99 {:.0} ms", percentile(latencies, 0.99));
        report.check(&format!("{operation}, {status}"), latencies.len() as f64, "", AtLeast(1.0), &detail);
    }
    let unexpected = latencies.iter().filter(|(response, _)| !EXPECTED.contains(response));
    let detail: Vec<_> =
        unexpected.clone().map(|(response, _)| format!("{} {}", response.0, response.1)).collect();
    let count: usize = unexpected.map(|(_, latencies)| latencies.len()).sum();
    report.check("other responses", count as f64, "", AtMost(0.0), &detail.join(", "));
    let resident = |from: f64, to: f64| {
        let within = memory.iter().filter(|(at, _)| (from..to).contains(at));
        median(&within.map(|(_, resident)| *resident).collect::<Vec<_>>())
    };
    let (warm, end) = (resident(WARM_UP, WARM_UP + 0.1), resident(0.9, 1.0));
    let detail = format!("{warm:.1} MiB, {end:.1} MiB");
    report.check("growth of resident memory", (end / warm - 1.0) * 100.0, "%", AtMost(5.0), &detail);
    report.end()
}

/// A student signs in, joins a class and reads it; or a teacher signs in and generates a join code.
fn lesson(client: &Client, number: usize, latencies: &Mutex<Latencies>) -> Outcome<()> {
    let record = |operation: &'static str, response: Response| {
        if let Ok(mut latencies) = latencies.lock() {
            latencies.entry((operation, response.status)).or_default().push(response.latency);
        }
        response
    };
    // Students join the upper half of the classes, and teachers change the codes of the lower half.
    let (half, students) = (SCHOOL.classes / 2, SCHOOL.users - SCHOOL.owners);
    let (round, is_teacher) = (number / 2, number % 2 == 1);
    let class = if is_teacher { round % half } else { half + round / students % half };
    let user = if is_teacher { class % SCHOOL.owners } else { SCHOOL.owners + round % students };

    let code = record("createCode", client.create_code(user, PASSWORD)?);
    if code.status != 201 {
        return Ok(());
    }
    let token = record("createToken", client.create_token(&code)?);
    let Ok(token) = access_token(&token) else { return Ok(()) };
    if is_teacher {
        record("generateJoinCode", client.post(&data::join_code_path(class), &token)?);
    } else {
        record("joinClassByCode", client.join(&data::first_join_code(class), &token)?);
        let path = data::join_code_path(class);
        record("getClassById", client.get(path.trim_end_matches("/join-code"), &token)?);
    }
    Ok(())
}
