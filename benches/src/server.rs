//! The program that is measured: `$HOMEROOM_BINARY`, the release build.

use std::{
    env, fs,
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Outcome,
    data::Data,
    driver::{Pace, drive},
    failed,
    work::Get,
};

/// One address guesses for a whole town here, and draws for one class over and over, which is what the limits are there
/// to stop. They are set where nothing reaches them, and not off: what they cost is measured. All else is as an operator
/// finds it.
pub const WIDE_LIMITS: &[(&str, &str)] = &[
    ("HOMEROOM_MAX_CONNECTIONS_PER_ADDRESS", "0"),
    ("HOMEROOM_JOIN_CODE_RATE", "1000000"),
    ("HOMEROOM_JOIN_USER_FAILURES", "1000000"),
    ("HOMEROOM_JOIN_ADDRESS_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_FREE_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_ACCOUNT_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_ADDRESS_FAILURES", "1000000"),
    ("HOMEROOM_PASSWORD_ADDRESS_SPRAY", "1000000"),
    ("HOMEROOM_PASSWORD_SERVER_SPRAY", "1000000"),
];

/// Who the servers say that they are, so that one's token is good at another.
const PUBLIC_URL: &str = "http://homeroom.school.example";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts it with limits that nothing reaches.
    pub fn start(data: &Data) -> Outcome<Self> {
        Self::start_with(data, WIDE_LIMITS)
    }

    /// Starts it with these variables set and no other of its own, and waits until it listens.
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

    /// How long it took from the start of the program until it said that it was ready.
    pub fn time_to_ready(data: &Data) -> Outcome<Duration> {
        let begin = Instant::now();
        let server = Self::start(data)?;
        let once = Pace::Open { arrivals: &[Duration::ZERO], connections: 1 };
        drive(&[server.address], &once, &mut Get("/health/ready"))?.one(&[("/health/ready", 200)])?;
        Ok(begin.elapsed())
    }

    /// Its memory that is resident now, in MiB.
    pub fn resident(&self) -> Outcome<f64> {
        self.status("VmRSS:")
    }

    /// The most memory that was resident since [`Server::forget_peak`], in MiB.
    pub fn peak(&self) -> Outcome<f64> {
        self.status("VmHWM:")
    }

    /// Begins to look for the peak anew.
    pub fn forget_peak(&self) -> Outcome<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    fn status(&self, name: &str) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib: f64 =
            line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no such line")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// The processor time that it has used so far, in seconds.
    pub fn processor(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let behind_name = stat.rsplit_once(')').map(|(_, rest)| rest).ok_or("no name")?;
        let mut ticks = behind_name.split_whitespace().skip(11).map(str::parse::<f64>);
        let (Some(Ok(user)), Some(Ok(system))) = (ticks.next(), ticks.next()) else {
            return failed("no times");
        };
        // The kernel counts in hundredths of a second, whatever it works with inside.
        Ok((user + system) / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > Duration::from_secs(15) {
                _ = self.child.kill();
                _ = self.child.wait();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs another of its commands to the end.
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
