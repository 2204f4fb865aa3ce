//! Whether the duration of a failed sign-in reveals its reason: unknown address, wrong password, disabled account or
//! unconfirmed address. One request at a time, in random order.

use std::time::Duration;

use crate::{
    Outcome,
    client::{Client, PASSWORD},
    data::{Data, Size},
    engines, failed,
    report::{Bound::AtMost, Report, median},
    server::Server,
};

const REASONS: [&str; 4] = ["unknown address", "wrong password", "disabled", "unconfirmed"];
/// The number of accounts for each reason.
const ACCOUNTS: usize = 500;

/// Measures `samples` failed sign-ins for each reason.
pub fn run(samples: usize) -> Outcome<bool> {
    let mut report = Report::begin("timing");
    let data = Data::sqlite(Size { users: REASONS.len() * ACCOUNTS + 1, classes: 1, owners: 1 })?;
    let accounts = |reason: usize| {
        let first = first_account(reason);
        format!("CAST(substr(email, 5) AS INTEGER) BETWEEN {first} AND {}", first + ACCOUNTS - 1)
    };
    data.execute(&format!(
        "DELETE FROM users WHERE {};
         UPDATE users SET enabled = 0 WHERE {};
         UPDATE users SET email_verified_at = NULL WHERE {}",
        accounts(0),
        accounts(2),
        accounts(3)
    ))?;
    let hash = 1000.0 / engines::hashes_per_second(1, Duration::from_secs(3))?;
    let server = Server::start(&data)?;
    let client = Client::new(server.address);
    measure(&client, 50)?;
    let latencies = measure(&client, samples)?;

    report.inform("samples for each reason", samples as f64, "");
    report.inform("one password hash", hash, "ms");
    let medians: Vec<f64> = latencies.iter().map(|latencies| median(latencies)).collect();
    for (reason, median) in REASONS.iter().zip(&medians) {
        report.inform(&format!("{reason}, median"), *median, "ms");
    }
    for first in 0..REASONS.len() {
        for second in first + 1..REASONS.len() {
            let figure = format!("{} / {}, Welch's t", REASONS[first], REASONS[second]);
            report.inform(&figure, welch(&latencies[first], &latencies[second]), "");
        }
    }
    let most = medians.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let difference = most - medians.iter().copied().fold(f64::INFINITY, f64::min);
    report.check("largest difference of two medians", difference, "ms", AtMost(1.0), "");
    report.check("the same, relative to one hash", difference / hash * 100.0, "%", AtMost(5.0), "");
    report.end()
}

/// User 0 owns the class and is not measured.
fn first_account(reason: usize) -> usize {
    1 + reason * ACCOUNTS
}

/// The latencies of each reason, in milliseconds. Each round has one request of each reason.
fn measure(client: &Client, rounds: usize) -> Outcome<[Vec<f64>; 4]> {
    let mut random = fastrand::Rng::with_seed(11);
    let mut latencies: [Vec<f64>; 4] = Default::default();
    let mut order = [0, 1, 2, 3];
    for round in 0..rounds {
        random.shuffle(&mut order);
        for reason in order {
            let password = if reason == 1 { "NotThePassword12!" } else { PASSWORD };
            let response = client.create_code(first_account(reason) + round % ACCOUNTS, password)?;
            if response.status != 400 {
                return failed(format!("{}: status {}", REASONS[reason], response.status));
            }
            latencies[reason].push(response.latency);
        }
    }
    Ok(latencies)
}

/// Welch's t: the difference of two means, in standard errors.
fn welch(first: &[f64], second: &[f64]) -> f64 {
    let mean_and_error = |samples: &[f64]| {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let variance = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((first, first_error), (second, second_error)) = (mean_and_error(first), mean_and_error(second));
    (second - first) / (first_error + second_error).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn welch_two_samples_is_difference_in_standard_errors() {
        // Means 2 and 5, variances 1 and 1, three samples each: 3 / sqrt(2/3).
        let t = welch(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        assert!((t - 3.0 / (2.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{t}");
    }
}
