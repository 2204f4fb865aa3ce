//! DOOR: the command line, one file per command.

mod app;
mod backup;
mod certificate;
mod class;
mod demo;
mod doctor;
mod health;
mod keys;
mod log;
mod migrate;
mod openapi;
mod ownership;
mod serve;
mod shutdown;
mod user;

use std::{
    env,
    error::Error as StdError,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::ExitCode,
};

use clap::{
    ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable, error::ErrorKind,
};
use tokio::time::timeout;

use crate::{
    config::{Data, LogFormat},
    db::{self, DatabaseUrl, Db},
};

/// The exit status of a command whose reader has gone, as in `homeroom user list | head -0`: 128 and the number of SIGPIPE.
/// A shell reports the same of a program that the signal ended, which is what most programs do there.
const CLOSED_PIPE: u8 = 141;
/// Where `demo` keeps its data unless another directory is named: not where `serve` does.
const DEMO_DIRECTORY: &str = "data-demo";

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
    /// Ask the running server whether it is ready: exit status 0 if it is, 1 if not. For containers, which have no curl
    Health(health::Arguments),
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
    /// The program that read the output has ended: exit [`CLOSED_PIPE`], without a message.
    #[error("the output is not read any more")]
    ClosedPipe,
}

impl Failure {
    /// `doing` failed, with every cause of it, in one line.
    fn of(doing: &str, error: &(dyn StdError + 'static)) -> Self {
        Self::Failed(format!("{doing}: {}", db::causes(error)).replace('\n', " "))
    }

    /// Standard output could not be written.
    fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::of("writing to standard output", error)
        }
    }

    /// Says what failed on standard error, and gives the exit status.
    fn report(&self) -> ExitCode {
        let status = match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::ClosedPipe => return ExitCode::from(CLOSED_PIPE),
        };
        complain(&format!("error: {self}"));
        ExitCode::from(status)
    }
}

/// Reads the command line and does what it says. A bad value is one line on standard error, and exit 2.
pub fn main() -> ExitCode {
    log::hide_panic_messages();
    let cli = match arguments().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return match error.print().and_then(|()| io::stdout().flush()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => Failure::of_output(&error).report(),
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
        Err(failure) => failure.report(),
    }
}

fn arguments() -> Result<ArgMatches, clap::Error> {
    let demo = |demo: clap::Command| demo.mut_arg("data_dir", |flag| flag.default_value(DEMO_DIRECTORY));
    without_empty_variables(Cli::command().mut_subcommand("demo", demo)).try_get_matches()
}

/// The command without the environment variables that are set to nothing: they count as unset.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty =
        |arg: &clap::Arg| arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
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
        Command::Health(arguments) => health::run(&arguments).await,
    }
}

/// Prints a line to standard output.
fn say(line: &str) -> Result<(), Failure> {
    print(format!("{line}\n").as_bytes())
}

/// Prints to standard output.
fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(text).and_then(|()| out.flush()).map_err(|error| Failure::of_output(&error))
}

/// Prints a line to standard error. If that cannot be written either, only the exit status is left to tell.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Connections to PostgreSQL of a command that is not a server. One is enough, because a command sends one statement after the other.
const COMMAND_CONNECTIONS: u32 = 1;

/// Does `work` on the database of a command that asks for what is in it: none is made in a directory that was mistyped.
async fn with_existing<T>(
    data: &Data,
    work: impl AsyncFnOnce(&Db) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let DatabaseUrl::Sqlite(path) = location(data)?
        && !is_there(&path)?
    {
        let missing = format!("there is no {}; name the server's with --data-dir", path.display());
        return Err(Failure::Usage(missing));
    }
    let db = connect(data, COMMAND_CONNECTIONS).await?;
    closing(&db, async {
        migrate(&db).await?;
        // Boxed to keep the futures of the commands small.
        Box::pin(work(&db)).await
    })
    .await
}

/// Whether there is such a file, which not everybody may know.
fn is_there(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|error| Failure::of(&format!("looking for {}", path.display()), &error))
}

/// Does `work` on the database, with its schema up to date. The database is closed after that, whatever came of it.
async fn with_database<T>(
    data: &Data,
    connections: u32,
    work: impl AsyncFnOnce(&Db) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let db = connect(data, connections).await?;
    closing(&db, async {
        if migrate(&db).await? {
            // Of two directories one may be mistyped.
            tracing::warn!(
                database = %location(data)?,
                "a new, empty database was made; if there should have been one, name it with --data-dir or --database-url"
            );
        }
        // Boxed to keep the futures of the commands small.
        Box::pin(work(&db)).await
    })
    .await
}

/// Closes the database when `work` has ended, so that a SQLite file is whole without the log beside it.
async fn closing<T>(db: &Db, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let outcome = work.await;
    match timeout(shutdown::CLOSE, db.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = db::causes(&error), "the database could not be closed"),
        Err(_) => tracing::warn!("the database took too long to close"),
    }
    outcome
}

fn location(data: &Data) -> Result<DatabaseUrl, Failure> {
    data.database().map_err(|error| Failure::Usage(error.to_string()))
}

/// The database, whose schema may be an old one, or none.
async fn connect(data: &Data, connections: u32) -> Result<Db, Failure> {
    // A server has said already what it writes down.
    log::to_stderr(log::WARNINGS, LogFormat::Human);
    let location = location(data)?;
    // Passwords' hashes and the signing keys are in there: it is for the server's own user.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data.directory())
        .map_err(|error| Failure::of(&format!("making {}", data.directory().display()), &error))?;
    Db::connect_with(&location, connections)
        .await
        .map_err(|error| Failure::of(&format!("opening the database ({location})"), &error))
}

/// Brings the schema up to date, and says whether there was nothing in the database before.
async fn migrate(db: &Db) -> Result<bool, Failure> {
    let before = db.migrate().await;
    Ok(before.map_err(|error| Failure::of("bringing the schema up to date", &error))?.applied == 0)
}
