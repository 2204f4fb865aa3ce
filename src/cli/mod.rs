//! The command line, one file per command.

mod app;
mod audit;
mod backup;
mod class;
mod demo;
mod doctor;
mod file_ownership;
mod given;
mod health;
mod keys;
mod listing;
mod log;
mod migrate;
mod openapi;
mod owner;
mod reload_certificate;
mod roster;
mod serve;
mod session;
mod shutdown_limits;
mod user;

use std::{
    env,
    error::Error as StdError,
    fmt::Display,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::{
    ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable, error::ErrorKind,
};
use tokio::time::timeout;

use crate::{
    config::{Data, LogFormat},
    db::{self, DatabaseUrl, Db},
    domain::language::Language,
};

/// The exit status if standard output is closed early, as in `homeroom user list | head -0`. It is 128 plus the number of SIGPIPE,
/// as a shell reports for programs that this signal ends.
const CLOSED_PIPE: u8 = 141;
/// The default data directory of `demo`, which differs from that of `serve`.
const DEMO_DIRECTORY: &str = "data-demo";

/// Homeroom: sign-in and classes for a school
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<crate::config::Config>),
    /// Run the server with a sample school, and print requests to try it
    Demo(Box<crate::config::Config>),
    /// Print the OpenAPI document
    Openapi(openapi::Arguments),
    /// Bring the database schema up to date. `serve` does this too
    Migrate(Data),
    /// Register the apps that users sign in to
    App(app::Arguments),
    /// Create, change, export and remove accounts
    User(user::Arguments),
    /// List and end sessions
    Session(session::Arguments),
    /// Create, list, change and remove classes
    Class(class::Arguments),
    /// Import and export the teachers, students and classes of the school's own system, and print login cards
    Roster(roster::Arguments),
    /// Rotate, retire and list the keys that sign tokens
    Keys(keys::Arguments),
    /// Print the audit trail: a line for each security event, oldest first
    Audit(Box<audit::Arguments>),
    /// Check everything that `serve` needs, and suggest remedies. Changes nothing. Takes the flags of `serve`
    Doctor(Box<crate::config::Config>),
    /// Copy the SQLite database while the server runs
    Backup(backup::Arguments),
    /// Ask the running server whether it is ready. The exit status is 0 if it is, and 1 if it is not. For containers without curl
    Health(health::Arguments),
}

/// The operator asked for something invalid: exit status 2, as for an invalid flag.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

fn usage(message: impl Display) -> anyhow::Error {
    UsageError(message.to_string()).into()
}

/// The program that reads standard output has ended: exit status [`CLOSED_PIPE`], without a message.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
struct ClosedPipe;

fn output_error(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        ClosedPipe.into()
    } else {
        anyhow::Error::new(error).context("writing to standard output")
    }
}

/// A failed step with all causes, in one line.
fn failed(step: &str, error: impl StdError + Send + Sync + 'static) -> String {
    one_line(&anyhow::Error::new(error).context(step.to_owned()))
}

fn one_line(error: &anyhow::Error) -> String {
    db::causes(error.as_ref()).replace('\n', " ")
}

/// Reports an error on standard error, and returns the exit status.
fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<ClosedPipe>() {
        return ExitCode::from(CLOSED_PIPE);
    }
    complain(&format!("error: {}", one_line(error)));
    ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 })
}

/// Parses the command line and runs the command. An invalid value is one line on standard error, and exit status 2.
pub fn main() -> ExitCode {
    log::hide_panic_messages();
    let cli = match arguments().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return match error.print().and_then(|()| io::stdout().flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => report(&output_error(error)),
            };
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) => {
            let message = error.to_string();
            let line: Vec<&str> =
                message.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            complain(&line.join(" "));
            return ExitCode::from(2);
        }
    };
    let outcome =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting").and_then(
            |runtime| {
                let outcome = runtime.block_on(run(cli.command));
                // A thread may wait for a slow directory.
                runtime.shutdown_timeout(shutdown_limits::THREADS);
                outcome
            },
        );
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn arguments() -> Result<ArgMatches, clap::Error> {
    let demo = |command: clap::Command| {
        let command = command.mut_arg("data_dir", |flag| flag.default_value(DEMO_DIRECTORY));
        command
            .mut_arg("student_domain", |flag| {
                flag.default_value(demo::STUDENT_DOMAIN).help("The domain of the user names of students")
            })
            .mut_arg("student_passwords", |flag| flag.default_value("keep"))
    };
    without_empty_variables(Cli::command().mut_subcommand("demo", demo)).try_get_matches()
}

/// The command without its empty environment variables, which count as unset.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty =
        |arg: &clap::Arg| arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(config) => serve::run(&config).await,
        Command::Demo(config) => demo::run(&config).await,
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Migrate(data) => migrate::run(&data).await,
        Command::App(arguments) => app::run(arguments).await,
        Command::User(arguments) => user::run(arguments).await,
        Command::Session(arguments) => session::run(arguments).await,
        Command::Class(arguments) => class::run(arguments).await,
        Command::Roster(arguments) => roster::run(arguments).await,
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Audit(arguments) => audit::run(*arguments).await,
        Command::Doctor(config) => doctor::run(&config).await,
        Command::Backup(arguments) => backup::run(&arguments).await,
        Command::Health(arguments) => health::run(&arguments).await,
    }
}

/// The language of a flag.
fn language(text: &str) -> Result<Language, &'static str> {
    let known = Language::ALL.into_iter().find(|language| language.tag() == text);
    known.ok_or("must be en, de or vi")
}

/// Prints a line to standard output.
fn say(line: &str) -> anyhow::Result<()> {
    print(format!("{line}\n").as_bytes())
}

/// A number and the noun that it counts.
fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Prints to standard output.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout();
    out.write_all(text).and_then(|()| out.flush()).map_err(output_error)
}

/// Prints a line to standard error, and ignores failures: only the exit status could report them.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Connections to PostgreSQL of a command that is not a server. One is enough, because a command sends one statement after the other.
const COMMAND_CONNECTIONS: u32 = 1;

/// Runs `work` on an existing database. With a mistyped directory, no database is created.
async fn with_existing<T>(
    data: &Data,
    work: impl AsyncFnOnce(&Db) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if let DatabaseUrl::Sqlite(path) = database_url(data)?
        && !exists(&path)?
    {
        let missing = format!("there is no {}; name the server's with --data-dir", path.display());
        return Err(usage(missing));
    }
    let db = connect(data, COMMAND_CONNECTIONS).await?;
    closing(&db, async {
        migrate(&db).await?;
        // Boxed to keep the futures of the commands small.
        Box::pin(work(&db)).await
    })
    .await
}

/// Whether a file exists.
fn exists(path: &Path) -> anyhow::Result<bool> {
    path.try_exists().with_context(|| format!("looking for {}", path.display()))
}

/// Runs `work` on the database with an up-to-date schema, creates the database if needed, and closes it afterwards.
async fn with_database<T>(
    data: &Data,
    connections: u32,
    work: impl AsyncFnOnce(&Db) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let db = connect(data, connections).await?;
    closing(&db, async {
        if migrate(&db).await? {
            // The directory may be mistyped.
            tracing::warn!(
                database = %database_url(data)?,
                "a new, empty database was created; if you expected an existing one, name it with --data-dir or --database-url"
            );
        }
        // Boxed to keep the futures of the commands small.
        Box::pin(work(&db)).await
    })
    .await
}

/// Closes the database after `work`, so that a SQLite file is complete without its write-ahead log.
async fn closing<T>(db: &Db, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let outcome = work.await;
    match timeout(shutdown_limits::CLOSE, db.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = db::causes(&error), "the database could not be closed"),
        Err(_) => tracing::warn!("the database took too long to close"),
    }
    outcome
}

fn database_url(data: &Data) -> anyhow::Result<DatabaseUrl> {
    data.database().map_err(usage)
}

/// Connects to the database. Its schema may be old or missing.
async fn connect(data: &Data, connections: u32) -> anyhow::Result<Db> {
    // `serve` has set up its log already.
    log::to_stderr(log::WARNINGS, LogFormat::Human);
    let url = database_url(data)?;
    // The directory contains password hashes and signing keys, so that only its owner may enter it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data.directory())
        .with_context(|| format!("creating {}", data.directory().display()))?;
    Db::connect_with(&url, connections).await.with_context(|| format!("opening the database ({url})"))
}

/// Brings the schema up to date. Returns whether the database was empty before.
async fn migrate(db: &Db) -> anyhow::Result<bool> {
    let before = db.migrate().await;
    Ok(before.context("bringing the schema up to date")?.applied == 0)
}
