//! Whether the duration of a request reveals whether an account exists: failed sign-ins by reason, registrations and forgotten
//! passwords of known and unknown addresses. One request at a time, in random order.

use std::time::Duration;

use crate::{
    Outcome,
    client::{APP, Client, PASSWORD, Response},
    data::{self, Data, Size},
    engines, failed,
    report::{Bound::AtMost, Report, median},
    server::{self, Server},
};

/// The number of accounts for each kind of request. An address gets at most 4 requested mails an hour.
const ACCOUNTS: usize = 600;
/// The rounds before the measurement.
const WARM_UP: usize = 50;
/// The most samples: each known account gets one mail per sample, and the warm-up counts too.
const MAX_SAMPLES: usize = 4 * ACCOUNTS - WARM_UP;

/// A kind of request whose duration is compared with the others of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SignInUnknown,
    SignInWrong,
    SignInDisabled,
    SignInUnconfirmed,
    RegisterKnown,
    RegisterUnknown,
    ResetKnown,
    ResetUnknown,
}

use Kind::{
    RegisterKnown, RegisterUnknown, ResetKnown, ResetUnknown, SignInDisabled, SignInUnconfirmed,
    SignInUnknown, SignInWrong,
};

const KINDS: [Kind; 8] = [
    SignInUnknown,
    SignInWrong,
    SignInDisabled,
    SignInUnconfirmed,
    RegisterKnown,
    RegisterUnknown,
    ResetKnown,
    ResetUnknown,
];

/// The kinds that a client must not be able to tell apart.
const GROUPS: [(&str, &[Kind]); 3] = [
    ("sign-in", &[SignInUnknown, SignInWrong, SignInDisabled, SignInUnconfirmed]),
    ("register", &[RegisterKnown, RegisterUnknown]),
    ("reset", &[ResetKnown, ResetUnknown]),
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            SignInUnknown => "sign-in, unknown address",
            SignInWrong => "sign-in, wrong password",
            SignInDisabled => "sign-in, disabled",
            SignInUnconfirmed => "sign-in, unconfirmed",
            RegisterKnown => "register, known address",
            RegisterUnknown => "register, unknown address",
            ResetKnown => "reset, known address",
            ResetUnknown => "reset, unknown address",
        }
    }

    /// The first account of this kind. User 0 owns the class and is not measured.
    fn first_account(self) -> usize {
        1 + self as usize * ACCOUNTS
    }

    fn status(self) -> u16 {
        match self {
            SignInUnknown | SignInWrong | SignInDisabled | SignInUnconfirmed => 400,
            RegisterKnown | RegisterUnknown => 201,
            ResetKnown | ResetUnknown => 200,
        }
    }

    fn send(self, client: &Client, round: usize) -> Outcome<Response> {
        let account = self.first_account() + round % ACCOUNTS;
        match self {
            SignInWrong => client.create_code(account, "NotThePassword12!"),
            SignInUnknown | SignInDisabled | SignInUnconfirmed => client.create_code(account, PASSWORD),
            RegisterKnown | RegisterUnknown => client.create_user(&data::email(account)),
            ResetKnown | ResetUnknown => client.forget_password(&data::email(account)),
        }
    }
}

/// Measures `samples` requests of each kind.
pub fn run(samples: usize) -> Outcome<bool> {
    if samples > MAX_SAMPLES {
        return failed(format!("at most {MAX_SAMPLES} samples"));
    }
    let mut report = Report::begin("timing");
    let data = data()?;
    let hash = 1000.0 / engines::hashes_per_second(1, Duration::from_secs(3))?;
    let server = Server::start(&data)?;
    let client = Client::new(server.address);
    measure(&client, 0..WARM_UP)?;
    let latencies = measure(&client, WARM_UP..WARM_UP + samples)?;

    report.inform("samples of each kind", samples as f64, "");
    report.inform("one password hash", hash, "ms");
    for (name, kinds) in GROUPS {
        let medians: Vec<f64> = kinds.iter().map(|kind| median(&latencies[*kind as usize])).collect();
        for (kind, median) in kinds.iter().zip(&medians) {
            report.inform(&format!("{}, median", kind.name()), *median, "ms");
        }
        for (number, first) in kinds.iter().enumerate() {
            for second in &kinds[number + 1..] {
                let t = welch(&latencies[*first as usize], &latencies[*second as usize]);
                report.inform(&format!("{} / {}, Welch's t", first.name(), second.name()), t, "");
            }
        }
        let most = medians.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let difference = most - medians.iter().copied().fold(f64::INFINITY, f64::min);
        report.check(
            &format!("{name}, largest difference of two medians"),
            difference,
            "ms",
            AtMost(1.0),
            "",
        );
        let relative = difference / hash * 100.0;
        report.check(&format!("{name}, the same, relative to one hash"), relative, "%", AtMost(5.0), "");
    }
    report.end()
}

/// Accounts of each kind, and an app that anybody may register in.
fn data() -> Outcome<Data> {
    let data = Data::sqlite(Size { users: KINDS.len() * ACCOUNTS + 1, classes: 1, owners: 1 })?;
    let accounts = |kind: Kind| {
        let first = kind.first_account();
        format!("CAST(substr(email, 5) AS INTEGER) BETWEEN {first} AND {}", first + ACCOUNTS - 1)
    };
    data.execute(&format!(
        "DELETE FROM users WHERE {} OR {} OR {};
         UPDATE users SET enabled = 0 WHERE {};
         UPDATE users SET email_verified_at = NULL WHERE {}",
        accounts(SignInUnknown),
        accounts(RegisterUnknown),
        accounts(ResetUnknown),
        accounts(SignInDisabled),
        accounts(SignInUnconfirmed)
    ))?;
    server::run(&["app", "set", APP, "--registration", "open"], data.path(), None)?;
    Ok(data)
}

/// The latencies of each kind, in milliseconds. Each round has one request of each kind.
fn measure(client: &Client, rounds: std::ops::Range<usize>) -> Outcome<[Vec<f64>; KINDS.len()]> {
    let mut random = fastrand::Rng::with_seed(11);
    let mut latencies: [Vec<f64>; KINDS.len()] = Default::default();
    let mut order = KINDS;
    for round in rounds {
        random.shuffle(&mut order);
        for kind in order {
            let response = kind.send(client, round)?;
            if response.status != kind.status() {
                return failed(format!("{}: {}: {}", kind.name(), response.status, response.body));
            }
            latencies[kind as usize].push(response.latency);
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
