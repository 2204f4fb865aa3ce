//! A real SMTP server on loopback, `scripts/smtp-server`, and the mails that it accepted.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The limit of waits that should be short.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// A running SMTP server.
pub struct SmtpServer {
    child: Option<Child>,
    arguments: Vec<String>,
    pub port: u16,
    directory: TempDir,
}

impl SmtpServer {
    /// A server without encryption and authentication.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with these flags. Its certificate for `localhost` is at [`SmtpServer::certificate`].
    pub fn start_with(flags: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::create_dir(directory.path().join("mails")).unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let mut arguments: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        for (flag, name) in [("--directory", "mails"), ("--cert", "cert.pem"), ("--key", "key.pem")] {
            arguments.extend([flag.to_owned(), path(name)]);
        }
        let mut server = Self { child: None, arguments, port: 0, directory };
        server.restart();
        server
    }

    /// Starts the server again, on the same port.
    pub fn restart(&mut self) {
        self.stop();
        let mut child = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/smtp-server"))
            .args(&self.arguments)
            .args(["--port", &self.port.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.port = line.trim().strip_prefix("listening on ").expect("it listens").parse().unwrap();
        self.child = Some(child);
    }

    /// Stops the server. Connections to its port are then refused.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The certificate of the server.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// The accepted mails, in order.
    pub fn mails(&self) -> Vec<Value> {
        let read = |number: u32| {
            let path = self.directory.path().join(format!("mails/{number}.json"));
            fs::read_to_string(path).ok().map(|text| serde_json::from_str(&text).unwrap())
        };
        (1..).map_while(read).collect()
    }

    /// The accepted mails to an address.
    pub fn mails_to(&self, address: &str) -> Vec<Value> {
        self.mails().into_iter().filter(|mail| mail["to"] == address).collect()
    }

    /// Waits until this many mails to an address were accepted.
    pub async fn wait_for(&self, count: usize, address: &str) -> Vec<Value> {
        let until = Instant::now() + MAX_WAIT;
        loop {
            let mails = self.mails_to(address);
            if mails.len() >= count {
                return mails;
            }
            assert!(Instant::now() < until, "{} of {count} mails to {address}", mails.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.stop();
    }
}
