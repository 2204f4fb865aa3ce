//! Load by oha, <https://github.com/hatoo/oha>: many requests of one operation, at full speed or at a fixed rate.

use std::{fs, net::SocketAddr, process::Command};

use serde_json::Value;

use crate::{
    Outcome,
    client::{PASSWORD, create_code_body},
    data::{self, Data},
    failed,
};

/// The number of connections that saturate the server.
pub const CONNECTIONS: usize = 64;
/// The number of different users or classes in the requests of one run.
const VARIETY: usize = 10_000;

/// How many requests oha sends.
#[derive(Debug, Clone, Copy)]
pub enum Rate {
    /// The next request of a connection follows the response to the last one.
    Unlimited,
    /// Requests per second, independent of the responses. Latencies count from the planned instant.
    PerSecond(f64),
}

/// The result of a run of oha.
#[derive(Debug)]
pub struct Load {
    json: Value,
}

impl Load {
    /// Responses with this status per second.
    pub fn rate(&self, status: u16) -> f64 {
        let count = self.json["statusCodeDistribution"][status.to_string()].as_f64().unwrap_or(0.0);
        count / self.json["summary"]["total"].as_f64().unwrap_or(f64::NAN)
    }

    /// The 99th percentile of the latency of responses with a status below 400, in milliseconds.
    pub fn p99(&self) -> f64 {
        self.milliseconds("latencyPercentilesSuccessful")
    }

    /// The 99th percentile of the latency of responses with another status, in milliseconds.
    pub fn p99_of_errors(&self) -> f64 {
        self.milliseconds("latencyPercentilesNotSuccessful")
    }

    fn milliseconds(&self, key: &str) -> f64 {
        self.json[key]["p99"].as_f64().unwrap_or(f64::NAN) * 1000.0
    }

    /// Fails if a response has another status or a request had no response.
    fn only(self, statuses: &[u16]) -> Outcome<Self> {
        let object = |key: &str| self.json[key].as_object().cloned().unwrap_or_default();
        let expected = |status: &String| statuses.iter().any(|expected| expected.to_string() == *status);
        let responses = object("statusCodeDistribution").into_iter().filter(|(status, _)| !expected(status));
        // oha cancels the requests that are in progress at its end.
        let errors =
            object("errorDistribution").into_iter().filter(|(error, _)| error != "aborted due to deadline");
        let unexpected: Vec<_> =
            responses.chain(errors).map(|(what, count)| format!("{what}: {count}")).collect();
        if unexpected.is_empty() { Ok(self) } else { failed(unexpected.join(", ")) }
    }
}

/// Sends `createCode`, each with a random user.
pub fn create_code(
    server: SocketAddr,
    data: &Data,
    (connections, rate, seconds): (usize, Rate, f64),
    statuses: &[u16],
) -> Outcome<Load> {
    let bodies = data.path().join("create-code-bodies");
    if !bodies.exists() {
        let step = data.size.users.div_ceil(VARIETY);
        let lines = (0..data.size.users).step_by(step).map(|user| create_code_body(user, PASSWORD) + "\n");
        fs::write(&bodies, lines.collect::<String>())?;
    }
    let mut oha = oha(connections, rate, seconds);
    oha.args(["-T", "application/json", "-Z"]).arg(bodies).arg(format!("http://{server}/api/v1/codes"));
    run(oha)?.only(statuses)
}

/// Sends `generateJoinCode`, each for a random class of the owner of `token`.
pub fn generate_join_code(
    server: SocketAddr,
    data: &Data,
    (connections, seconds): (usize, f64),
    token: &str,
) -> Outcome<Load> {
    let urls = data.path().join("join-code-urls");
    let step = data.size.classes.div_ceil(VARIETY);
    let lines =
        (0..data.size.classes).step_by(step).map(|n| format!("http://{server}{}\n", data::join_code_path(n)));
    fs::write(&urls, lines.collect::<String>())?;
    let mut oha = oha(connections, Rate::Unlimited, seconds);
    oha.arg("-H").arg(format!("Authorization: Bearer {token}")).arg("--urls-from-file").arg(urls);
    run(oha)?.only(&[200])
}

fn oha(connections: usize, rate: Rate, seconds: f64) -> Command {
    let program = std::env::var_os("OHA").unwrap_or_else(|| "oha".into());
    let mut oha = Command::new(program);
    oha.args(["--no-tui", "--output-format", "json", "--stats-success-breakdown", "-m", "POST"]);
    oha.args(["-c", &connections.to_string(), "-z", &format!("{}ms", (seconds * 1000.0) as u64)]);
    if let Rate::PerSecond(rate) = rate {
        oha.args(["-q", &rate.to_string(), "--latency-correction"]);
    }
    oha
}

fn run(mut oha: Command) -> Outcome<Load> {
    let output = oha.output().map_err(|error| format!("oha: {error}"))?;
    if !output.status.success() {
        return failed(format!("oha: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Load { json: serde_json::from_slice(&output.stdout)? })
}
