//! The load: HTTP/1.1 over kept connections, from one thread, for as little of the processor as can be. It shares the
//! cores with the server that it measures.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::event::{
    Timespec,
    epoll::{self, CreateFlags, Event, EventData, EventFlags},
};

use crate::{Outcome, failed};

/// How long nothing may happen before a run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was sent: an operation, and whatever the work knows it by.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// The operation.
    pub kind: &'static str,
    /// The user, the class, whatever.
    pub item: usize,
}

/// What came back.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: &'a [u8],
    /// From the moment at which the request was to be sent.
    pub latency: Duration,
}

/// What is sent, and what is made of the answers.
pub trait Work {
    /// Writes the next request. Nothing: there is none for now.
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent>;

    /// Hears an answer.
    fn answered(&mut self, _sent: Sent, _answer: &Answer) {}
}

/// When requests are sent.
#[derive(Debug)]
pub enum Pace<'a> {
    /// Each connection sends as soon as it was answered, until the time is over or there is no work.
    Closed {
        /// How many connections.
        connections: usize,
        /// At first, what is not measured.
        warm_up: Duration,
        /// Then, what is.
        measured: Duration,
    },
    /// At these instants, whatever the server does; counted from the start, in order.
    Open {
        /// The instants.
        arrivals: &'a [Duration],
        /// Most connections. Whoever finds none free waits for one, and that counts.
        connections: usize,
    },
}

impl Pace<'_> {
    /// Connections that send one request after the other for so many seconds, after a tenth to warm up.
    pub fn closed(connections: usize, seconds: f64) -> Self {
        let measured = Duration::from_secs_f64(seconds);
        Self::Closed { connections, warm_up: measured / 10, measured }
    }

    /// Until there is no work left.
    pub fn to_the_end(connections: usize) -> Self {
        Self::Closed { connections, warm_up: Duration::ZERO, measured: Duration::from_hours(1) }
    }
}

/// Arrivals of a Poisson process (independent of one another, `rate` a second on average), for so many seconds.
pub fn poisson(rate: f64, seconds: f64, random: &mut fastrand::Rng) -> Vec<Duration> {
    let mut at = 0.0;
    std::iter::from_fn(|| {
        at -= (1.0 - random.f64()).ln() / rate;
        (at < seconds).then(|| Duration::from_secs_f64(at))
    })
    .collect()
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// How long was measured, in seconds.
    pub seconds: f64,
    /// All answers, by operation and status.
    pub counts: BTreeMap<(&'static str, u16), u64>,
    /// How long the measured ones took, in microseconds.
    latencies: BTreeMap<(&'static str, u16), Histogram<u64>>,
}

impl Tally {
    /// Answers a second.
    pub fn rate(&self, kind: &'static str, status: u16) -> f64 {
        self.latencies.get(&(kind, status)).map_or(0.0, |all| all.len() as f64 / self.seconds)
    }

    /// The latency that this part of the answers did not exceed, in milliseconds.
    pub fn quantile(&self, kind: &'static str, status: u16, part: f64) -> f64 {
        self.latencies
            .get(&(kind, status))
            .map_or(f64::NAN, |all| all.value_at_quantile(part) as f64 / 1000.0)
    }

    /// How many answers there were.
    pub fn count(&self, kind: &'static str, status: u16) -> u64 {
        self.counts.get(&(kind, status)).copied().unwrap_or(0)
    }

    /// Fails if there was an answer that is not among these.
    pub fn only(self, expected: &[(&'static str, u16)]) -> Outcome<Self> {
        let other = self.counts.iter().find(|(answer, _)| !expected.contains(answer));
        match other {
            None => Ok(self),
            Some(((kind, status), count)) => failed(format!("{kind} was answered {status}, {count} times")),
        }
    }

    fn hear(&mut self, kind: &'static str, status: u16, latency: Duration, measured: bool) {
        *self.counts.entry((kind, status)).or_default() += 1;
        if measured {
            self.latencies
                .entry((kind, status))
                .or_insert_with(histogram)
                .saturating_record(latency.as_micros() as u64);
        }
    }
}

/// Up to five minutes, with the three digits that a latency is worth.
fn histogram() -> Histogram<u64> {
    // The constructor refuses more than five digits, and bounds that are none.
    Histogram::new_with_bounds(1, 300_000_000, 3).unwrap_or_else(|_| unreachable!())
}

/// A connection, with the request that it carries and its answer as far as it came.
struct Connection {
    stream: TcpStream,
    carries: Option<Carried>,
    heard: Vec<u8>,
    /// Whether it was answered before. The server may have closed it since, and then nobody is to blame.
    used: bool,
}

struct Carried {
    sent: Sent,
    due: Instant,
    request: Vec<u8>,
}

/// Sends `work` to the servers, each connection to the next of them, until it is done and answered.
pub fn drive(servers: &[SocketAddr], pace: &Pace, work: &mut impl Work) -> Outcome<Tally> {
    Driver {
        servers,
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        connections: Vec::new(),
        idle: VecDeque::new(),
        busy: 0,
        tally: Tally::default(),
    }
    .run(pace, work)
}

struct Driver<'a> {
    servers: &'a [SocketAddr],
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Those that carry nothing; who rested longest comes first, before the server finds that it idles.
    idle: VecDeque<usize>,
    busy: usize,
    tally: Tally,
}

impl Driver<'_> {
    fn run(mut self, pace: &Pace, work: &mut impl Work) -> Outcome<Tally> {
        let begin = Instant::now();
        let (most, measure_from, end) = match *pace {
            Pace::Closed { connections, warm_up, measured } => {
                (connections, begin + warm_up, begin + warm_up + measured)
            }
            Pace::Open { connections, .. } => (connections, begin, begin + Duration::from_hours(24)),
        };
        let mut arrivals = match pace {
            Pace::Closed { .. } => [].iter(),
            Pace::Open { arrivals, .. } => arrivals.iter(),
        }
        .peekable();
        let open = matches!(pace, Pace::Open { .. });
        let mut events = Vec::with_capacity(256);
        let mut last_heard = begin;
        loop {
            let mut now = Instant::now();
            let mut timeout = PATIENCE;
            loop {
                let due = if open {
                    let Some(arrival) = arrivals.peek() else { break };
                    begin + **arrival
                } else {
                    now
                };
                if due > now {
                    timeout = due - now;
                    break;
                }
                if now >= end || (self.idle.is_empty() && self.connections.len() == most) {
                    break;
                }
                let mut request = Vec::with_capacity(1024);
                let Some(sent) = work.next(&mut request) else {
                    // An arrival for which there is nothing to do is none.
                    if arrivals.next().is_none() {
                        break;
                    }
                    continue;
                };
                arrivals.next();
                self.send(Carried { sent, due, request })?;
                now = Instant::now();
            }
            if self.busy == 0 && (!open || arrivals.len() == 0) {
                break;
            }
            if last_heard.elapsed() > PATIENCE && self.busy > 0 {
                return failed(format!("no answer for {PATIENCE:?}, to {} requests", self.busy));
            }
            self.wait(&mut events, timeout)?;
            for event in events.drain(..) {
                let index = event.data.u64() as usize;
                if self.hear(index, measure_from, end, work)? {
                    last_heard = Instant::now();
                }
            }
            if self.busy == 0 {
                last_heard = Instant::now();
            }
        }
        let over = Instant::now().min(end);
        self.tally.seconds = (over - measure_from).as_secs_f64();
        Ok(self.tally)
    }

    fn wait(&self, events: &mut Vec<Event>, timeout: Duration) -> Outcome<()> {
        let timeout = Timespec::try_from(timeout)?;
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives it to a connection that has nothing to do, or to a new one.
    fn send(&mut self, carried: Carried) -> Outcome<()> {
        let index = if let Some(index) = self.idle.pop_front() {
            index
        } else {
            let index = self.connections.len();
            let stream = self.connect(index)?;
            self.connections.push(Connection { stream, carries: None, heard: Vec::new(), used: false });
            index
        };
        self.busy += 1;
        let connection = &mut self.connections[index];
        let written = connection.stream.write(&carried.request);
        let whole = carried.request.len();
        connection.carries = Some(carried);
        match written {
            // A request is small and alone on its way: there is room for all of it.
            Ok(length) if length == whole => Ok(()),
            Ok(_) => failed("a request did not fit into the socket"),
            Err(_) if connection.used => self.again(index),
            Err(error) => Err(error.into()),
        }
    }

    fn connect(&self, index: usize) -> Outcome<TcpStream> {
        let stream = TcpStream::connect(self.servers[index % self.servers.len()])?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        Ok(stream)
    }

    /// Sends once more, over a new connection, what the server cannot have read: it had closed an idle one.
    fn again(&mut self, index: usize) -> Outcome<()> {
        let stream = self.connect(index)?;
        let connection = &mut self.connections[index];
        connection.stream = stream;
        connection.used = false;
        connection.heard.clear();
        if let Some(carried) = &connection.carries {
            connection.stream.write_all(&carried.request)?;
        }
        Ok(())
    }

    /// Takes what has come over a connection; says whether that was an answer.
    fn hear(
        &mut self,
        index: usize,
        measure_from: Instant,
        end: Instant,
        work: &mut impl Work,
    ) -> Outcome<bool> {
        let connection = &mut self.connections[index];
        let mut buffer = [0; 16 * 1024];
        match connection.stream.read(&mut buffer) {
            Ok(0) => return self.closed(index),
            Ok(length) => connection.heard.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(_) => return self.closed(index),
        }
        let Some(head) = Head::parse(&connection.heard)? else { return Ok(false) };
        if connection.heard.len() < head.length + head.body {
            return Ok(false);
        }
        let Some(Carried { sent, due, .. }) = connection.carries.take() else {
            return failed(format!("an answer to nothing: {}", String::from_utf8_lossy(&connection.heard)));
        };
        let now = Instant::now();
        let answer = Answer {
            status: head.status,
            retry_after: head.retry_after,
            body: &connection.heard[head.length..head.length + head.body],
            latency: now - due,
        };
        self.tally.hear(sent.kind, head.status, answer.latency, now >= measure_from && now <= end);
        work.answered(sent, &answer);
        connection.heard.clear();
        connection.used = true;
        self.busy -= 1;
        self.idle.push_back(index);
        Ok(true)
    }

    fn closed(&mut self, index: usize) -> Outcome<bool> {
        let connection = &mut self.connections[index];
        if connection.used && connection.heard.is_empty() {
            self.again(index)?;
            Ok(false)
        } else {
            failed("the server cut a connection that carried a request")
        }
    }
}

/// What of the head of an answer is looked at.
struct Head {
    length: usize,
    status: u16,
    body: usize,
    retry_after: Option<u64>,
}

impl Head {
    fn parse(answer: &[u8]) -> Outcome<Option<Self>> {
        let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&answer[..end])?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)).unwrap_or_default().parse()?;
        let mut head = Self { length: end + 4, status, body: 0, retry_after: None };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                head.body = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("retry-after") {
                head.retry_after = Some(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return failed("an answer in chunks, which this client does not read");
            }
        }
        Ok(Some(head))
    }
}
