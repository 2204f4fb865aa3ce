//! The measured program: `$HOMEROOM_BINARY`.

use std::{
    env, fs,
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Outcome, client::Client, data::Data, failed};

/// The rate limits, set too high to be reached: all requests come from one address. They stay on, because their cost is
/// part of what is measured.
const HIGH_LIMITS: &[(&str, &str)] = &[
    ("HOMEROOM_MAX_CONNECTIONS_PER_ADDRESS", "0"),
    ("HOMEROOM_JOIN_CODE_RATE", "1000000"),
    ("HOMEROOM_JOIN_USER_FAILURES", "1000000"),
    ("HOMEROOM_JOIN_ADDRESS_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_FREE_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_ACCOUNT_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_ADDRESS_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_ADDRESS_SPRAY", "1000000"),
    ("HOMEROOM_PASSWORD_SERVER_SPRAY", "1000000"),
    ("HOMEROOM_REGISTRATION_RATE", "1000000"),
    ("HOMEROOM_RESET_RATE", "1000000"),
];

/// The public URL of all servers. A token of one server is valid at another only if it is the same.
const PUBLIC_URL: &str = "http://homeroom.school.example";

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// The address that the server listens on.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server whose rate limits are too high to be reached.
    pub fn start(data: &Data) -> Outcome<Self> {
        Self::start_with(data, HIGH_LIMITS)
    }

    /// Starts a server with these environment variables, and waits until it listens.
    pub fn start_with(data: &Data, environment: &[(&str, &str)]) -> Outcome<Self> {
        let mut child = command(data.path(), data.postgres.as_deref())?
            .args(["serve", "--listen", "127.0.0.1:0", "--public-url", PUBLIC_URL])
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(data.path().join("log"))?)
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address = line.trim_end().strip_prefix("listening on http://").map(str::parse);
        if let Some(Ok(address)) = address {
            return Ok(Self { child, address });
        }
        child.wait()?;
        failed(format!("the server did not start: {}", fs::read_to_string(data.path().join("log"))?))
    }

    /// The time from the start of the process to the first 200 of `/health/ready`.
    pub fn time_to_ready(data: &Data) -> Outcome<Duration> {
        let begin = Instant::now();
        let server = Self::start(data)?;
        let response = Client::new(server.address).get("/health/ready", "")?;
        let time = begin.elapsed();
        if response.status == 200 { Ok(time) } else { failed("the server is not ready") }
    }

    /// The resident memory of the process, in MiB.
    pub fn resident(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
        Ok(line.ok_or("no VmRSS")?.trim().parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let deadline = Instant::now() + Duration::from_secs(15);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                _ = self.child.kill();
                _ = self.child.wait();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs another command of the program to its end.
pub fn run(arguments: &[&str], data: &Path, postgres: Option<&str>) -> Outcome<()> {
    let output = command(data, postgres)?.args(arguments).output()?;
    if output.status.success() { Ok(()) } else { failed(String::from_utf8_lossy(&output.stderr)) }
}

fn command(data: &Path, postgres: Option<&str>) -> Outcome<Command> {
    let binary = env::var_os("HOMEROOM_BINARY").ok_or("HOMEROOM_BINARY is not set")?;
    let mut command = Command::new(binary);
    command.env_clear().env("HOMEROOM_DATA_DIR", data);
    if let Some(url) = postgres {
        command.env("HOMEROOM_DATABASE_URL", url);
    }
    Ok(command)
}
