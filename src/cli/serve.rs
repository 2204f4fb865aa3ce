//! `homeroom serve`

use std::{io::IsTerminal, sync::Arc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Failure, open, say};
use crate::{
    app::{App, Parts},
    clock::{Clock, SystemClock},
    config::{Config, issuer},
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
    log_to_stderr(&config.log);
    let store = open(&config.data).await?;
    let hashing = PasswordHashing::start(config.hashing.settings(), &OsEntropy)
        .map_err(|error| Failure::of("starting the password hash", &error))?;
    Ok((store, hashing))
}

/// Log lines go to standard error. Of a panic they say where it was: its words may hold anything.
fn log_to_stderr(filter: &str) {
    // A second subscriber in one process is refused, and the first one goes on.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "a panic");
    }));
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
    let known_as = issuer(&public_url);
    let app = App::new(Parts {
        store,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        hashing,
        keys,
        identity: config.identity(&public_url),
        classroom: config.classroom(),
        public_url,
        trusted_proxies: config.throttling.trusted_proxies.clone(),
    });
    let stop = stop().map_err(|error| Failure::of("listening for signals", &error))?;
    let upkeep = tokio::spawn(keep_up(app.clone()));
    say(&format!("listening on http://{address}"));
    welcome(&known_as);
    let drained = listener.serve(app.endpoint(), Limits::default(), stop).await;
    upkeep.abort();
    tracing::info!(cut = drained.cut, "stopped");
    Ok(())
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

/// What is done beside the requests, over and over. Each goes its own pace: a database that hangs must not keep the
/// keys from being read.
async fn keep_up(app: App) {
    let keys = async {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            app.identity.keys().reload();
        }
    };
    let sweep = async {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            if let Err(error) = app.identity.sweep(SystemClock.now()).await {
                tracing::warn!(%error, "expired codes could not be swept away");
            }
        }
    };
    tokio::join!(keys, sweep);
}
