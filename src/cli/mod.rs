//! DOOR: the command line, one file per command.

mod app;
mod backup;
mod class;
mod demo;
mod doctor;
mod keys;
mod log;
mod migrate;
mod openapi;
mod serve;
mod shutdown;
mod user;

use std::{error::Error as StdError, io::Write, os::unix::fs::DirBuilderExt, path::Path, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    config::{Data, LogFormat},
    store::{Location, Store},
};

/// Homeroom: signing in, and joining a class
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
    /// Run the server with a sample school, made once, and print the requests that walk through it
    Demo(Box<crate::config::Config>),
    /// Print the OpenAPI document
    Openapi(openapi::Arguments),
    /// Bring the database's schema up to date; `serve` does so too
    Migrate(Data),
    /// Register apps, for which people sign in
    App(app::Arguments),
    /// Make accounts
    User(user::Arguments),
    /// Make classes
    Class(class::Arguments),
    /// Look after the keys that tokens are signed with
    Keys(keys::Arguments),
    /// Say what is wrong with what `serve` would run on, and what to do; nothing is changed. Takes what `serve` takes
    Doctor(Box<crate::config::Config>),
    /// Copy the SQLite database, while the server runs
    Backup(backup::Arguments),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was asked for makes no sense: exit 2, as for a flag that cannot be read.
    #[error("{0}")]
    Usage(String),
    /// Something did not work: exit 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// `doing` failed, with every cause of it, in one line.
    fn of(doing: &str, error: &dyn StdError) -> Self {
        let mut line = format!("{doing}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let words = error.to_string();
            // Some errors repeat their cause in their own words.
            if !line.contains(&words) {
                line = format!("{line}: {words}");
            }
            cause = error.source();
        }
        Self::Failed(line.replace('\n', " "))
    }
}

/// Reads the command line and does what it says. A bad value is one line on standard error, and exit 2.
pub fn main() -> ExitCode {
    log::hide_panic_messages();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) => {
            let message = error.to_string();
            let line: Vec<&str> =
                message.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            eprintln!("{}", line.join(" "));
            return ExitCode::from(2);
        }
    };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of("starting", &error))
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(cli.command));
            // A thread may be at a directory that stands still.
            runtime.shutdown_timeout(shutdown::THREADS);
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Failed(_) => 1,
            })
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(config) => serve::run(&config).await,
        Command::Demo(config) => demo::run(&config).await,
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Migrate(data) => migrate::run(&data).await,
        Command::App(arguments) => app::run(arguments).await,
        Command::User(arguments) => user::run(arguments).await,
        Command::Class(arguments) => class::run(arguments).await,
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Doctor(config) => doctor::run(&config).await,
        Command::Backup(arguments) => backup::run(&arguments).await,
    }
}

/// Prints a line for whoever asked. Nobody may be listening any more, and that is no reason to fail.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The database, with its schema up to date, for whoever asks for what is in it: none is made in a directory that was
/// mistyped.
async fn open_existing(data: &Data) -> Result<Store, Failure> {
    if let Ok(Location::Sqlite(path)) = data.database()
        && !is_there(&path)?
    {
        let missing = format!("there is no {}; name the server's with --data-dir", path.display());
        return Err(Failure::Usage(missing));
    }
    open(data).await
}

/// Whether there is such a file, which not everybody may know.
fn is_there(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|error| Failure::of(&format!("looking for {}", path.display()), &error))
}

/// The database, with its schema up to date.
async fn open(data: &Data) -> Result<Store, Failure> {
    // A server has said already what it writes down.
    log::to_stderr(log::WARNINGS, LogFormat::Human);
    let location = data.database().map_err(|error| Failure::Usage(format!("--database-url: {error}")))?;
    // Passwords' hashes and the signing keys are in there: it is for the server's own user.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data.directory())
        .map_err(|error| Failure::of(&format!("making {}", data.directory().display()), &error))?;
    let store = Store::connect_with(&location, data.database_connections)
        .await
        .map_err(|error| Failure::of(&format!("opening the database ({location})"), &error))?;
    store.migrate().await.map_err(|error| Failure::of("bringing the schema up to date", &error))?;
    Ok(store)
}
