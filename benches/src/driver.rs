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

/// How long a connection may have rested that is used again. A server ends one that idles, and what is sent in that moment
/// is lost (RFC 9112 section 9.5). Ours waits for ten seconds: half of that keeps clear of it, and so a connection that ends
/// under a request is the server's fault.
const REST: Duration = Duration::from_secs(5);

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

    /// Counts what came of more of it as well.
    pub fn add(&mut self, other: &Self) -> Outcome<()> {
        self.seconds += other.seconds;
        for (answer, count) in &other.counts {
            *self.counts.entry(*answer).or_default() += count;
        }
        for (answer, latencies) in &other.latencies {
            self.latencies.entry(*answer).or_insert_with(histogram).add(latencies)?;
        }
        Ok(())
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
    /// None: the server has ended it. The next request begins another in its place.
    stream: Option<TcpStream>,
    carries: Option<Carried>,
    heard: Vec<u8>,
    /// When it was last answered.
    rests_since: Instant,
}

struct Carried {
    sent: Sent,
    due: Instant,
}

/// Sends `work` to the servers, each connection to the next of them, until it is done and answered.
pub fn drive(servers: &[SocketAddr], pace: &Pace, work: &mut impl Work) -> Outcome<Tally> {
    Driver::new(servers)?.run(pace, work)
}

struct Driver<'a> {
    servers: &'a [SocketAddr],
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Those that carry nothing; who rested longest comes first, so that none rests for too long.
    idle: VecDeque<usize>,
    busy: usize,
    tally: Tally,
}

impl<'a> Driver<'a> {
    fn new(servers: &'a [SocketAddr]) -> Outcome<Self> {
        Ok(Self {
            servers,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            idle: VecDeque::new(),
            busy: 0,
            tally: Tally::default(),
        })
    }

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
        let mut request = Vec::with_capacity(1024);
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
                request.clear();
                let Some(sent) = work.next(&mut request) else {
                    // An arrival for which there is nothing to do is none.
                    if arrivals.next().is_none() {
                        break;
                    }
                    continue;
                };
                arrivals.next();
                self.send(Carried { sent, due }, &request)?;
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

    /// Gives it to the connection that has had nothing to do for the longest time, or to a new one.
    fn send(&mut self, carried: Carried, request: &[u8]) -> Outcome<()> {
        let index = self.idle.pop_front().unwrap_or_else(|| {
            let (heard, rests_since) = (Vec::new(), carried.due);
            self.connections.push(Connection { stream: None, carries: None, heard, rests_since });
            self.connections.len() - 1
        });
        let connection = &mut self.connections[index];
        let mut stream = match connection.stream.take() {
            Some(stream) if connection.rests_since.elapsed() < REST => stream,
            _ => self.connect(index)?,
        };
        // A request is small and alone on its way: there is room for all of it.
        if stream.write(request)? != request.len() {
            return failed("a request did not fit into the socket");
        }
        let connection = &mut self.connections[index];
        connection.stream = Some(stream);
        connection.carries = Some(carried);
        self.busy += 1;
        Ok(())
    }

    fn connect(&self, index: usize) -> Outcome<TcpStream> {
        let stream = TcpStream::connect(self.servers[index % self.servers.len()])?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        Ok(stream)
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
        let Some(stream) = &mut connection.stream else { return Ok(false) };
        let mut buffer = [0; 16 * 1024];
        match stream.read(&mut buffer) {
            Ok(0) => return connection.ended("ended"),
            Ok(length) => connection.heard.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(error) => return connection.ended(&error.to_string()),
        }
        let Some(head) = Head::parse(&connection.heard)? else { return Ok(false) };
        if connection.heard.len() < head.length + head.body {
            return Ok(false);
        }
        let Some(Carried { sent, due }) = connection.carries.take() else {
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
        connection.rests_since = now;
        if head.close {
            connection.stream = None;
        }
        self.busy -= 1;
        self.idle.push_back(index);
        Ok(true)
    }
}

impl Connection {
    /// The server has ended it, which is its right while nothing is asked.
    fn ended(&mut self, how: &str) -> Outcome<bool> {
        self.stream = None;
        match &self.carries {
            None => Ok(false),
            Some(Carried { sent, .. }) => {
                failed(format!("a connection that carried a request, {}: {how}", sent.kind))
            }
        }
    }
}

/// What of the head of an answer is looked at.
struct Head {
    length: usize,
    status: u16,
    body: usize,
    retry_after: Option<u64>,
    /// Whether the server ends the connection with it (RFC 9112 section 9.6).
    close: bool,
}

impl Head {
    fn parse(answer: &[u8]) -> Outcome<Option<Self>> {
        let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&answer[..end])?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)).unwrap_or_default().parse()?;
        let mut head = Self { length: end + 4, status, body: 0, retry_after: None, close: false };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                head.body = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("retry-after") {
                head.retry_after = Some(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("connection") {
                head.close = value.trim().eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return failed("an answer in chunks, which this client does not read");
            }
        }
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests;
