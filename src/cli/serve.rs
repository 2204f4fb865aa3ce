//! `homeroom serve`

use std::{
    error::Error,
    future::pending,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    panic::resume_unwind,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinSet, spawn_blocking},
    time::interval,
};

use super::{Failure, demo, log, ownership, say, shutdown, with_database};
use crate::{
    clock::{Clock, Pace, SystemClock},
    config::{Config, audience},
    db::{Db, causes},
    identity::{
        password_hashing::{PasswordHashing, StartError},
        signing_keys::SigningKeys,
    },
    listener::{Limits, Listener, Tls, TlsError},
    random::OsRandom,
    server::{Parts, Server},
};

/// How often keys and the certificate are read again, and what has expired is swept away.
const UPKEEP: Duration = Duration::from_mins(1);
/// How long the clock must have kept pace with the monotonic clock before anything is swept by it: since the start, as a machine
/// may start with a wrong clock, and since it last jumped. It is no longer than codes are kept after their time anyway.
const SETTLED: Duration = Duration::from_mins(5);
/// How often what was observed is sorted into its histograms. It takes memory until then.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// How often the runtime's timer goes off at least: sooner than any time that a request may take. Otherwise each request
/// that sets itself a limit would wake the thread which waits for the network, to tell it of an earlier time.
const TICK: Duration = Duration::from_secs(2);
/// How many may ask for metrics at once.
const METRICS_CONNECTIONS: usize = 16;

pub async fn run(config: &Config) -> Result<(), Failure> {
    let hashing = prepare(config)?;
    with_database(&config.data, async |db| {
        let hashing = hashing.tested()?;
        for account in demo::open_accounts(db.read(), &hashing).await? {
            tracing::warn!(
                account,
                "an account of the sample school is enabled, and its password is public: \
                 `homeroom user set --email {account} --enabled false`"
            );
        }
        listen(config, db.clone(), hashing, |_, _| Ok(())).await
    })
    .await
}

/// The password hash, which is being tested.
pub struct Hashing(JoinHandle<Result<PasswordHashing, StartError>>);

impl Hashing {
    /// Waits for the outcome.
    pub fn tested(self) -> Result<PasswordHashing, Failure> {
        match self.0.join() {
            Ok(started) => started.map_err(|error| Failure::of("starting the password hash", &error)),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// What there is to do before the database is opened. What makes no sense is said before anything is made.
pub fn prepare(config: &Config) -> Result<Hashing, Failure> {
    config.public_url(config.listen).map_err(|error| Failure::Usage(error.to_string()))?;
    log::to_stderr(&config.log, config.log_format);
    ownership::check(&config.data)?;
    // Testing the hash takes a processor as long as opening the database takes another.
    let settings = config.hashing.settings();
    Ok(Hashing(thread::spawn(move || PasswordHashing::start(settings, &OsRandom))))
}

/// Serves until the process is told to end. Calls `welcome` when it can be reached, with the URL that reaches it from this
/// machine, and with its public URL.
pub async fn listen(
    config: &Config,
    db: Db,
    hashing: PasswordHashing,
    welcome: impl FnOnce(&str, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let keys = SigningKeys::open(&config.data.keys(), SystemClock.now(), &OsRandom)
        .map_err(|error| Failure::of("opening the signing keys", &error))?;
    let tls = config
        .doors
        .tls()
        .map(|(certificate, key)| Tls::open(certificate, key))
        .transpose()
        .map_err(|error| Failure::of("opening the certificate", &error))?;
    if let Some(tls) = &tls {
        warn_of_certificate(tls);
    }
    let limits = limits(config);
    let (listener, address) = bind(config.listen, limits.max_connections)?;
    let public_url = config.public_url(address).map_err(|error| Failure::Usage(error.to_string()))?;
    let known_as = audience(&public_url);
    let server = Server::new(Parts {
        db,
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        hashing,
        keys,
        identity: config.identity(&public_url),
        classroom: config.classroom(),
        public_url,
        trusted_proxies: config.rate_limits.trusted_proxies.clone(),
        hsts: config.doors.hsts,
    });
    let stop = stop().map_err(|error| Failure::of("listening for signals", &error))?;
    let mut beside = JoinSet::new();
    // Whoever looks after the server has a door of its own, which is open until the other one is closed.
    let watched = match config.doors.metrics_listen {
        None => None,
        Some(address) => {
            let metrics = server.metrics().map_err(|error| Failure::of("keeping metrics", &error))?;
            let (listener, address) = bind(address, METRICS_CONNECTIONS)?;
            let limits = Limits { max_connections: METRICS_CONNECTIONS, ..Limits::default() };
            let serving = listener.serve(metrics.endpoint(), limits, pending());
            beside.spawn(async move { _ = serving.await });
            beside.spawn(async move {
                let mut ticks = interval(METRICS_UPKEEP);
                loop {
                    ticks.tick().await;
                    metrics.keep_up();
                }
            });
            Some(address)
        }
    };
    let endpoint = server.endpoint();
    beside.spawn(keep_up(server.clone(), tls.clone()));
    beside.spawn(async {
        let mut ticks = interval(TICK);
        loop {
            ticks.tick().await;
        }
    });
    let watched =
        watched.map_or_else(String::new, |address| format!("\nmetrics on http://{address}/metrics"));
    let said = say(&format!("listening on {}://{address}{watched}", config.scheme()));
    match said.and_then(|()| welcome(&reached_at(config, address, &known_as), &known_as)) {
        // The program that started the server has read enough, or nothing: that is no reason to end.
        Ok(()) | Err(Failure::ClosedPipe) => {}
        Err(failure) => return Err(failure),
    }
    let drained = listener
        .secured(tls)
        .trusting(config.rate_limits.trusted_proxies.clone())
        .serve(endpoint, limits, async {
            stop.await;
            shutdown::enforce_limit();
            tracing::info!("stopping");
            server.leave();
        })
        .await;
    beside.shutdown().await;
    tracing::info!(cut = drained.cut, "stopped");
    Ok(())
}

/// The URL that reaches the server from this machine. A certificate is made for the name in the public URL; without one, a
/// proxy may stand between the public URL and this server, and may not be there yet.
fn reached_at(config: &Config, address: SocketAddr, public_url: &str) -> String {
    if config.doors.tls().is_some() {
        return public_url.to_owned();
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Completes when the process is told to end.
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The terminal is closed.
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_connections: config.doors.max_connections.get(),
        max_connections_per_address: config.doors.max_connections_per_address(),
        keep_alive: config.doors.keep_alive(),
        leave: shutdown::LEAVE,
        drain: shutdown::DRAIN,
        ..Limits::default()
    }
}

fn bind(address: SocketAddr, backlog: usize) -> Result<(Listener, SocketAddr), Failure> {
    let failed = |error| Failure::of(&format!("listening on {address}"), &error);
    let listener = Listener::bind(address, backlog).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What is done beside the requests, over and over. Each goes its own pace: a database that hangs must not keep the
/// keys from being read, nor must a directory that stands still keep anything.
#[expect(clippy::disallowed_methods, reason = "one at a time, of files that may not answer")]
async fn keep_up(server: Server, tls: Option<Tls>) {
    let keys = async {
        let mut ticks = interval(UPKEEP);
        loop {
            ticks.tick().await;
            server.identity.keys().reload().await;
        }
    };
    let certificate = async {
        let Some(tls) = tls else { return };
        let mut ticks = interval(UPKEEP);
        loop {
            ticks.tick().await;
            let reloading = tls.clone();
            if let Ok(reloaded) = spawn_blocking(move || reloading.reload()).await {
                tell_of_certificate(&tls, reloaded);
            }
        }
    };
    let sweep = async {
        let mut ticks = interval(UPKEEP);
        let mut pace = Pace::since(SystemClock.now(), Instant::now());
        loop {
            ticks.tick().await;
            let now = SystemClock.now();
            if pace.kept_for(now, Instant::now()) < SETTLED {
                tracing::debug!("nothing is swept yet: the clock may have jumped");
                continue;
            }
            if let Err(error) = server.sweep(now).await {
                tracing::warn!(error = causes(&error), "what has expired could not be swept away");
            }
        }
    };
    tokio::join!(keys, certificate, sweep);
}

fn warn_of_certificate(tls: &Tls) {
    let now = SystemClock.now();
    if let Some([from, until]) = tls.validity().filter(|[from, until]| now < *from || *until < now) {
        tracing::warn!(?from, ?until, "the certificate is not valid now, and clients refuse it");
    }
}

fn tell_of_certificate(tls: &Tls, reloaded: Result<bool, TlsError>) {
    match reloaded {
        Ok(true) => {
            tracing::info!("another certificate is shown from now on");
            warn_of_certificate(tls);
        }
        Ok(false) => {}
        Err(error) => {
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "the certificate stays as it was");
        }
    }
}
