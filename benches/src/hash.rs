//! The bare password hash: the engine and the parameters of the server, and nothing around them.

use std::{
    sync::{Barrier, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use argon2_rust::{
    Algorithm, Argon2, Hasher, Params, Version,
    params::{Memory, TagLen},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::{Outcome, failed, request::PASSWORD};

fn hasher() -> Outcome<Hasher> {
    let params = Params::builder()
        .memory(Memory::kib(19_456))
        .passes(2)
        .lanes(1)
        .tag_len(TagLen::bytes(32))
        .build()
        .map_err(|error| format!("argon2: {error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hasher())
}

fn hash(hasher: &mut Hasher, salt: &[u8]) -> Outcome<[u8; 32]> {
    let mut tag = [0; 32];
    hasher.hash_into(PASSWORD.as_bytes(), salt, &mut tag).map_err(|error| format!("argon2: {error}"))?;
    Ok(tag)
}

/// The stored form of everybody's password, as a PHC string.
pub fn stored() -> Outcome<String> {
    let salt = b"salt of everyone";
    let tag = hash(&mut hasher()?, salt)?;
    let (salt, tag) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
    Ok(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${tag}"))
}

/// What so many threads did, each with memory of its own that it fills again and again.
#[derive(Debug, Clone)]
pub struct Bare {
    /// Hashes a second, all together.
    pub rate: f64,
    /// How long each took, in seconds, in order of size.
    pub times: Vec<f64>,
}

impl Bare {
    /// Hashes for so long on so many threads, once each has its memory.
    pub fn measure(threads: usize, duration: Duration) -> Outcome<Self> {
        let ready = Barrier::new(threads + 1);
        let work = || -> Result<Vec<f64>, String> {
            let warm = warm();
            ready.wait();
            let (begin, mut hasher, mut times) = (Instant::now(), warm?, Vec::new());
            while begin.elapsed() < duration {
                let begin = Instant::now();
                hash(&mut hasher, b"salt of everyone").map_err(|error| error.to_string())?;
                times.push(begin.elapsed().as_secs_f64());
            }
            Ok(times)
        };
        let mut begin = Instant::now();
        let mut times = on_threads(threads, work, || {
            ready.wait();
            begin = Instant::now();
            Ok(())
        })?;
        let rate = times.len() as f64 / begin.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        Ok(Self { rate, times })
    }

    /// Both, as if they had been measured together.
    pub fn and(mut self, other: Self) -> Self {
        self.rate = f64::midpoint(self.rate, other.rate);
        self.times.extend(other.times);
        self.times.sort_by(f64::total_cmp);
        self
    }

    /// How long one took on average, in seconds.
    pub fn mean(&self) -> f64 {
        self.times.iter().sum::<f64>() / self.times.len() as f64
    }
}

/// How long each of these arrivals waited and was worked on, in seconds, in order of size, where so many threads do nothing
/// but hash, and take whoever came first: the queue that is computed elsewhere, as this machine has it at this moment.
pub fn queue(threads: usize, arrivals: &[Duration]) -> Outcome<Vec<f64>> {
    let (arrive, arrived) = mpsc::channel::<Instant>();
    let (arrived, ready) = (Mutex::new(arrived), Barrier::new(threads + 1));
    let work = || -> Result<Vec<f64>, String> {
        let warm = warm();
        ready.wait();
        let (mut hasher, mut times) = (warm?, Vec::new());
        // Who waits for the next arrival keeps the others from it: they have nothing to do either.
        let next = || arrived.lock().ok().and_then(|arrived| arrived.recv().ok());
        while let Some(due) = next() {
            hash(&mut hasher, b"salt of everyone").map_err(|error| error.to_string())?;
            times.push(due.elapsed().as_secs_f64());
        }
        Ok(times)
    };
    let mut times = on_threads(threads, work, || {
        ready.wait();
        let begin = Instant::now();
        for arrival in arrivals {
            thread::sleep((begin + *arrival).saturating_duration_since(Instant::now()));
            arrive.send(begin + *arrival)?;
        }
        drop(arrive);
        Ok(())
    })?;
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// An engine that has its memory.
fn warm() -> Result<Hasher, String> {
    let mut hasher = hasher().map_err(|error| error.to_string())?;
    hash(&mut hasher, b"salt of everyone").map_err(|error| error.to_string())?;
    Ok(hasher)
}

/// What so many threads measured while they did the same.
fn on_threads(
    threads: usize,
    work: impl Fn() -> Result<Vec<f64>, String> + Sync,
    meanwhile: impl FnOnce() -> Outcome<()>,
) -> Outcome<Vec<f64>> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        meanwhile()?;
        let mut times = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(measured) => times.extend(measured?),
                Err(_) => return failed("a hashing thread panicked"),
            }
        }
        Ok(times)
    })
}
