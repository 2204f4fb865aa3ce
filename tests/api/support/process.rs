//! The program as a process: its command line, and its server over a socket.

use std::{
    cell::Cell,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use homeroom::db::DatabaseUrl;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use super::{Kind, OWN_CLASS, PUBLIC_URL, code_in, exchange_body, sign_in_body};

/// The time limit for a program that should finish immediately. It only detects a program that hangs.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// A data directory and a database to run the program with.
pub struct Site {
    pub location: DatabaseUrl,
    data: PathBuf,
    environment: Vec<(String, String)>,
    programs: Cell<u32>,
    directory: TempDir,
}

/// The exit status and the output of a program.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// The standard output of a program, which must have succeeded.
    pub fn success(self) -> String {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        self.out
    }

    /// The line on standard error of a program that must have exited with status 2.
    pub fn refusal(self) -> String {
        assert_eq!(self.status.code(), Some(2), "{self:?}");
        assert_eq!((self.out.as_str(), self.err.lines().count()), ("", 1), "{self:?}");
        self.err
    }
}

impl Site {
    /// A new database, and a data directory with a signing key, because generating a key takes long.
    pub async fn new(kind: Kind) -> Self {
        let mut site = Self::bare();
        fs::create_dir(&site.data).unwrap();
        super::keys_in(&site.data);
        site.location = kind.location(&site.data).await;
        if let DatabaseUrl::Postgres(url) = site.location.clone() {
            site = site.with("HOMEROOM_DATABASE_URL", &url);
        }
        site
    }

    /// A data directory that does not exist yet, with SQLite.
    pub fn bare() -> Self {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        let environment = vec![("HOMEROOM_DATA_DIR".to_owned(), data.to_str().unwrap().to_owned())];
        let location = DatabaseUrl::in_directory(&data);
        Self { location, data, environment, programs: Cell::new(0), directory }
    }

    /// The same with one more environment variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Starts the program with `input` as its standard input, and with the environment of the site only.
    pub fn start(&self, arguments: &[&str], input: &str) -> Program {
        self.spawn(Command::new(env!("CARGO_BIN_EXE_homeroom")).args(arguments), input)
    }

    /// The same with files limited to `kilobytes`, until [`Server::lift`] is called.
    pub fn start_within(&self, kilobytes: u32, arguments: &[&str]) -> Program {
        let script = format!("trap '' XFSZ; ulimit -S -f {kilobytes}; exec \"$0\" \"$@\"");
        let program = ["-c", &script, env!("CARGO_BIN_EXE_homeroom")];
        self.spawn(Command::new("bash").args(program).args(arguments), "")
    }

    /// Runs the program to its end with `out` as its standard output.
    pub async fn run_into(&self, out: impl Into<Stdio>, arguments: &[&str]) -> Ended {
        self.spawn_into(Some(out.into()), Command::new(env!("CARGO_BIN_EXE_homeroom")).args(arguments), "")
            .end()
            .await
    }

    /// Starts the program with `out` as its standard output and with a log that cannot be written.
    pub fn start_without_log(&self, out: impl Into<Stdio>, arguments: &[&str]) -> Program {
        let program = ["-c", "exec \"$0\" \"$@\" 2>/dev/full", env!("CARGO_BIN_EXE_homeroom")];
        self.spawn_into(Some(out.into()), Command::new("bash").args(program).args(arguments), "")
    }

    fn spawn(&self, command: &mut Command, input: &str) -> Program {
        self.spawn_into(None, command, input)
    }

    fn spawn_into(&self, stdout: Option<Stdio>, command: &mut Command, input: &str) -> Program {
        let number = self.programs.replace(self.programs.get() + 1);
        let file = |stream: &str| self.directory.path().join(format!("{number}.{stream}"));
        let (out, err) = (file("out"), file("err"));
        let file = File::create(&out).unwrap();
        let mut child = command
            .current_dir(self.directory.path())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(stdout.unwrap_or(file.into()))
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that reads nothing may have ended already.
        _ = stdin.write_all(input.as_bytes());
        Program { child, out, err }
    }

    /// Runs the program to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments, "").end().await
    }

    /// Runs `user add`.
    pub async fn add_user(&self, email: &str, password: &str) -> Ended {
        self.run_saying(&["user", "add", "--email", email], password).await
    }

    /// Runs a command with this standard input.
    pub async fn run_saying(&self, arguments: &[&str], input: &str) -> Ended {
        self.start(arguments, input).end().await
    }

    /// Runs a script in the directory of the data directory, with `homeroom` as the program.
    pub async fn run_script(&self, script: &str) -> Ended {
        let script = format!("homeroom() {{ {} \"$@\"; }}\n{script}", env!("CARGO_BIN_EXE_homeroom"));
        self.spawn(Command::new("bash").args(["-euo", "pipefail", "-c", &script]), "").end().await
    }

    /// Starts `serve` or `demo` on a free port, and waits until it listens. Its public URL does not depend on the port, so that tokens
    /// stay valid after a restart.
    pub async fn listen(&self, command: &str) -> Server {
        self.listen_as(command, PUBLIC_URL).await
    }

    /// The same with another public URL.
    pub async fn listen_as(&self, command: &str, public_url: &str) -> Server {
        let arguments = [command, "--listen", "127.0.0.1:0", "--public-url", public_url];
        Self::listening(self.start(&arguments, "")).await
    }

    /// The same with files limited to `kilobytes`.
    pub async fn listen_within(&self, kilobytes: u32, command: &str) -> Server {
        let arguments = [command, "--listen", "127.0.0.1:0", "--public-url", PUBLIC_URL];
        Self::listening(self.start_within(kilobytes, &arguments)).await
    }

    /// Waits until a program listens.
    pub async fn listening(mut program: Program) -> Server {
        let until = Instant::now() + MAX_WAIT;
        let url = loop {
            let out = program.out();
            if let Some((line, _)) = out.split_once('\n') {
                break line.strip_prefix("listening on ").unwrap().to_owned();
            }
            assert!(program.child.try_wait().unwrap().is_none(), "{}", program.err());
            assert!(Instant::now() < until, "it does not listen");
            pause().await;
        };
        let client = Client::builder().no_proxy().timeout(MAX_WAIT).build().unwrap();
        Server { program, url, client }
    }
}

/// A running program, which is killed at the end of the test.
pub struct Program {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Program {
    /// The standard output so far.
    pub fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// The log so far.
    pub fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// The memory of the program in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until the program ends.
    pub async fn end(mut self) -> Ended {
        let until = Instant::now() + MAX_WAIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ended { status, out: self.out(), err: self.err() };
            }
            assert!(Instant::now() < until, "it does not end: {}", self.err());
            pause().await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// A running server.
pub struct Server {
    pub program: Program,
    pub url: String,
    pub client: Client,
}

/// A response over a socket: the status, and the body as JSON or `null`.
pub type StatusAndBody = (u16, Value);

impl Server {
    /// Kills the server with SIGKILL, and starts it again.
    pub async fn crash(self, site: &Site) -> Self {
        drop(self.program);
        site.listen("serve").await
    }

    /// Removes the limit on file size.
    pub fn lift(&self) {
        let pid = self.program.child.id().to_string();
        let status = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// Tries to sign in.
    pub async fn try_sign_in(&self, email: &str, password: &str, accept: bool) -> StatusAndBody {
        let mut body = sign_in_body(email);
        body["password"] = password.into();
        body["acceptPrivacyPolicy"] = accept.into();
        send(self.post("/api/v1/codes").json(&body)).await
    }

    /// Signs in and returns the code.
    pub async fn code(&self, email: &str, password: &str, accept: bool) -> String {
        let (status, body) = self.try_sign_in(email, password, accept).await;
        assert_eq!(status, 201, "{body}");
        code_in(&Url::parse(body["items"][0]["nextAction"]["url"].as_str().unwrap()).unwrap())
    }

    /// Tries to exchange a code.
    pub async fn exchange(&self, code: &str) -> StatusAndBody {
        send(self.post("/api/v1/tokens").json(&exchange_body(code))).await
    }

    /// Exchanges a code for an access token.
    pub async fn token(&self, code: &str) -> String {
        let (status, body) = self.exchange(code).await;
        assert_eq!(status, 201, "{body}");
        body["items"][0]["accessToken"].as_str().unwrap().to_owned()
    }

    /// Generates a join code for the sample teacher's class.
    pub async fn generate_join_code(&self, token: &str) -> String {
        let generate = self.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer_auth(token);
        let (status, body) = send(generate).await;
        assert_eq!(status, 200, "{body}");
        body["data"]["joinCode"].as_str().unwrap().to_owned()
    }

    /// Tries to join.
    pub async fn join(&self, token: &str, code: &str) -> u16 {
        send(self.post(&format!("/classes/join/{code}")).bearer_auth(token)).await.0
    }
}

/// Sends a request and reads the complete response.
pub async fn send(request: RequestBuilder) -> StatusAndBody {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}
