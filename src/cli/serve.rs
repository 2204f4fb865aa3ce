//! `homeroom serve`

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, open};
use crate::{
    app::{App, Parts},
    clock::{Clock, SystemClock},
    config::Config,
    entropy::OsEntropy,
    identity::{password_hashing::PasswordHashing, signing_keys::SigningKeys},
    listener::{Limits, Listener},
    store::Store,
};

/// How often keys are read again and what has expired is swept away.
const UPKEEP: Duration = Duration::from_mins(1);

pub async fn run(config: &Config) -> Result<(), Failure> {
    let (store, hashing) = prepare(config).await?;
    listen(config, store, hashing, |_| {}).await
}

/// What there is to do before anything is served. What makes no sense is said before anything is made.
pub async fn prepare(config: &Config) -> Result<(Store, PasswordHashing), Failure> {
    config.public_url(config.listen).map_err(|error| Failure::Usage(error.to_string()))?;
    log_to_stderr();
    let store = open(&config.data).await?;
    let hashing = PasswordHashing::start(config.hashing.settings(), &OsEntropy)
        .map_err(|error| Failure::of("starting the password hash", &error))?;
    Ok((store, hashing))
}

/// Log lines go to standard error; `HOMEROOM_LOG` says which (`warn`, `homeroom=debug`, ...).
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("HOMEROOM_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A second subscriber in one process is refused, and the first one goes on.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}

/// Serves until the process is told to end, and says `welcome` when it can be reached.
pub async fn listen(
    config: &Config,
    store: Store,
    hashing: PasswordHashing,
    welcome: impl FnOnce(&str),
) -> Result<(), Failure> {
    let keys = SigningKeys::open(&config.data.keys(), SystemClock.now(), &OsEntropy)
        .map_err(|error| Failure::of("opening the signing keys", &error))?;
    let listener = Listener::bind(config.listen)
        .await
        .map_err(|error| Failure::of(&format!("listening on {}", config.listen), &error))?;
    let address = listener.local_addr().map_err(|error| Failure::of("listening", &error))?;
    let public_url = config.public_url(address).map_err(|error| Failure::Usage(error.to_string()))?;
    let app = App::new(Parts {
        store,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        hashing,
        keys,
        identity: config.identity(&public_url),
        classroom: config.classroom(),
        public_url,
    });
    let stop = stop().map_err(|error| Failure::of("listening for signals", &error))?;
    let upkeep = tokio::spawn(keep_up(app.clone()));
    say(&format!("listening on http://{address}"));
    welcome(&format!("http://{address}"));
    let drained = listener.serve(app.endpoint(), Limits::default(), stop).await;
    upkeep.abort();
    tracing::info!(cut = drained.cut, "stopped");
    Ok(())
}

/// Prints a line for whoever started the server. Nobody may be listening, and that is no reason to stop.
pub fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Completes when the process is told to end.
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What is done beside the requests, over and over.
async fn keep_up(app: App) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        app.identity.keys().reload();
        if let Err(error) = app.identity.sweep(SystemClock.now()).await {
            tracing::warn!(%error, "expired codes could not be swept away");
        }
    }
}
