//! The ideal: a queue without cost before workers without cost, which take whoever came first.

use std::{collections::VecDeque, time::Duration};

use crate::hash::Bare;

/// What workers that share nothing but the memory bus need for one hash, by how many of them are busy.
#[derive(Debug)]
pub struct Workers {
    /// How many.
    count: usize,
    /// Seconds for a hash while one is busy, and while all are.
    alone: f64,
    together: f64,
    /// What was measured with all busy, as parts of its own mean.
    shapes: Vec<f64>,
}

impl Workers {
    /// Workers as they were measured.
    pub fn new(count: usize, alone: &Bare, together: &Bare) -> Self {
        let mean = together.mean();
        let shapes = together.times.iter().map(|time| time / mean).collect();
        Self { count, alone: alone.mean(), together: mean, shapes }
    }

    /// How long one hash takes while so many are at work.
    fn pace(&self, busy: usize) -> f64 {
        if self.count < 2 {
            return self.together;
        }
        let part = (busy - 1) as f64 / (self.count - 1) as f64;
        self.alone + (self.together - self.alone) * part
    }

    /// How long each of these arrivals has to wait and be worked on, in seconds, in order of size.
    pub fn latencies(&self, arrivals: &[Duration], random: &mut fastrand::Rng) -> Vec<f64> {
        let mut latencies = Vec::with_capacity(arrivals.len());
        let mut waiting: VecDeque<f64> = VecDeque::new();
        // When each job at work came, and how much of it is left, in hashes.
        let mut working: Vec<(f64, f64)> = Vec::new();
        let mut arrivals = arrivals.iter().map(Duration::as_secs_f64).peekable();
        let mut now = 0.0_f64;
        loop {
            while working.len() < self.count {
                let Some(came) = waiting.pop_front() else { break };
                working.push((came, self.shapes[random.usize(..self.shapes.len())]));
            }
            let pace = self.pace(working.len().max(1));
            let first_done = working.iter().map(|(_, left)| now + left * pace).min_by(f64::total_cmp);
            let until = match (arrivals.peek(), first_done) {
                (Some(arrival), Some(done)) => arrival.min(done),
                (Some(arrival), None) => *arrival,
                (None, Some(done)) => done,
                (None, None) => break,
            };
            for (_, left) in &mut working {
                *left -= (until - now) / pace;
            }
            now = until;
            if let Some(came) = arrivals.next_if(|arrival| *arrival <= now) {
                waiting.push_back(came);
            }
            working.retain(|(came, left)| {
                // What is left of a hash by rounding is none.
                let done = *left < 1e-9;
                if done {
                    latencies.push(now - came);
                }
                !done
            });
        }
        latencies.sort_by(f64::total_cmp);
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(count: usize, alone: f64, together: f64) -> Workers {
        Workers { count, alone, together, shapes: vec![1.0] }
    }

    fn latencies(workers: &Workers, arrivals: &[f64]) -> Vec<f64> {
        let arrivals: Vec<_> = arrivals.iter().copied().map(Duration::from_secs_f64).collect();
        let latencies = workers.latencies(&arrivals, &mut fastrand::Rng::with_seed(1));
        latencies.iter().map(|latency| (latency * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn who_finds_a_worker_free_waits_for_none() {
        assert_eq!(latencies(&workers(2, 1.0, 1.0), &[0.0, 0.5, 5.0]), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn who_finds_none_waits_for_the_first() {
        assert_eq!(latencies(&workers(1, 1.0, 1.0), &[0.0, 0.1, 0.2]), [1.0, 1.9, 2.8]);
        assert_eq!(latencies(&workers(2, 1.0, 1.0), &[0.0, 0.5, 0.75]), [1.0, 1.0, 1.25]);
    }

    #[test]
    fn workers_hinder_one_another() {
        // Alone for half of the first, then both at half the pace.
        assert_eq!(latencies(&workers(2, 1.0, 2.0), &[0.0, 0.5]), [1.5, 1.5]);
    }

    #[test]
    fn a_queue_of_one_worker_is_as_long_as_the_formula_says() {
        // M/D/1 at a load of 0.7: the mean wait is 0.7 / (2 * 0.3) of the service time (Pollaczek and Khinchine).
        let mut random = fastrand::Rng::with_seed(7);
        let arrivals = crate::driver::poisson(0.7, 200_000.0, &mut random);
        let latencies = workers(1, 1.0, 1.0).latencies(&arrivals, &mut random);
        let mean = latencies.iter().sum::<f64>() / latencies.len() as f64;
        assert!((mean - (1.0 + 0.7 / 0.6)).abs() < 0.05, "{mean}");
    }
}
