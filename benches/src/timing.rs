//! Whether the time of a refused sign-in tells why: an address without account, a wrong password, a disabled account and
//! one whose address was never confirmed, one after the other in ever another order.

use std::time::Duration;

use crate::{
    Outcome,
    data::{Data, Size},
    driver::{Answer, Pace, Sent, Work, drive},
    hash::Bare,
    report::{Bound::AtMost, Report, median},
    request,
    server::Server,
};

/// Each with accounts of its own; the password is wrong for the second alone.
const KINDS: [&str; 4] = ["unknown address", "wrong password", "disabled", "unverified"];
const ACCOUNTS: usize = 500;

/// Takes so many samples of each.
pub fn run(samples: usize) -> Outcome<bool> {
    const PART: &str = "timing";
    let mut report = Report::begin("timing");
    let data = Data::sqlite(Size { users: KINDS.len() * ACCOUNTS, classes: 1 }, None)?;
    let of = |kind: usize| {
        format!(
            "CAST(substr(email, 5) AS INTEGER) BETWEEN {} AND {}",
            kind * ACCOUNTS,
            (kind + 1) * ACCOUNTS - 1
        )
    };
    data.execute(&format!(
        "DELETE FROM users WHERE {} AND id NOT IN (SELECT owner_id FROM classes);
         UPDATE users SET enabled = 0 WHERE {}; UPDATE users SET email_verified_at = NULL WHERE {}",
        of(0),
        of(2),
        of(3)
    ))?;
    // The class's owner is the first of those who should not be there.
    data.execute("UPDATE users SET email = 'teacher@school.example' WHERE email = 'user0@school.example'")?;
    let hash = Bare::measure(1, Duration::from_secs(3))?.mean() * 1000.0;
    let server = Server::start(&data)?;
    let mut warm = Refusals::new(50);
    drive(&[server.address], &Pace::to_the_end(1), &mut warm)?.one(&KINDS.map(|kind| (kind, 400)))?;
    let mut refusals = Refusals::new(samples);
    drive(&[server.address], &Pace::to_the_end(1), &mut refusals)?.one(&KINDS.map(|kind| (kind, 400)))?;

    report.tell(PART, "samples of each", samples as f64, "");
    report.tell(PART, "one hash", hash, "ms");
    let medians: Vec<f64> = refusals.samples.iter().map(|samples| median(samples)).collect();
    for (kind, median) in KINDS.iter().zip(&medians) {
        report.tell(PART, &format!("{kind}, median"), *median, "ms");
    }
    for first in 0..KINDS.len() {
        for second in first + 1..KINDS.len() {
            let pair = format!("{} / {}", KINDS[first], KINDS[second]);
            let difference = medians[second] - medians[first];
            report.tell(PART, &format!("{pair}, difference"), difference, "ms");
            let t = welch(&refusals.samples[first], &refusals.samples[second]);
            report.tell(PART, &format!("{pair}, Welch's t"), t, "");
        }
    }
    let (least, most) = (least(&medians), -least(&medians.iter().map(|median| -median).collect::<Vec<_>>()));
    report.hold(PART, "largest difference of medians", most - least, "ms", AtMost(1.0));
    report.hold(PART, "the same, of one hash", (most - least) / hash * 100.0, "%", AtMost(5.0));
    report.end()
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Welch's t: how many standard errors lie between two means.
fn welch(first: &[f64], second: &[f64]) -> f64 {
    let moments = |samples: &[f64]| {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let variance = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((first, first_error), (second, second_error)) = (moments(first), moments(second));
    (second - first) / (first_error + second_error).sqrt()
}

/// Rounds of one of each, in any order.
struct Refusals {
    order: Vec<usize>,
    next: usize,
    /// In milliseconds.
    samples: [Vec<f64>; 4],
}

impl Refusals {
    fn new(rounds: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(11);
        let round = || {
            let mut round = [0, 1, 2, 3];
            random.shuffle(&mut round);
            round
        };
        let order = std::iter::repeat_with(round).take(rounds).flatten().collect();
        Self { order, next: 0, samples: Default::default() }
    }
}

impl Work for Refusals {
    fn next(&mut self, request: &mut Vec<u8>) -> Option<Sent> {
        let kind = *self.order.get(self.next)?;
        let account = kind * ACCOUNTS + self.next / KINDS.len() % ACCOUNTS;
        self.next += 1;
        let password = if kind == 1 { "NotThePassword12!" } else { request::PASSWORD };
        request::sign_in(&request::email(account), password, request);
        Some(Sent { kind: KINDS[kind], item: kind })
    }

    fn answered(&mut self, sent: Sent, answer: &Answer) {
        self.samples[sent.item].push(answer.latency.as_secs_f64() * 1000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn welchs_t_is_the_difference_in_standard_errors() {
        // Means 2 and 5, variances 1 and 1, three of each: 3 / sqrt(2/3).
        let t = welch(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        assert!((t - 3.0 / (2.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{t}");
    }
}
