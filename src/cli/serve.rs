//! `homeroom serve`

use std::{
    future::pending,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    panic::resume_unwind,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    ClosedPipe, demo, file_ownership, log,
    reload_certificate::{self, ReloadCertificate},
    say, shutdown_limits, usage, with_database,
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Config, audience},
    db::Db,
    identity::{
        password_hashing::{PasswordHashing, StartError},
        signing_keys::SigningKeys,
    },
    jobs::Runner,
    listener::{Limits, Listener},
    mail::{self, Delivery},
    random::OsRandom,
    server::{Parts, Server, UPKEEP},
};

/// The period in which the metrics recorder moves observations into histograms. Until then each one takes memory.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// Upper bound on connections to the metrics endpoint.
const METRICS_CONNECTIONS: usize = 16;

pub async fn run(config: &Config) -> anyhow::Result<()> {
    let (hashing, mail) = prepare(config)?;
    with_database(&config.data, config.data.database_connections, async |db| {
        let hashing = hashing.join()?;
        let open = demo::open_accounts(db.read(), &hashing).await.context("checking the sample school")?;
        for account in open {
            tracing::warn!(
                account,
                "an account of the sample school is enabled, and its password is public: \
                 `homeroom user set --email {account} --enabled false`"
            );
        }
        listen(config, db.clone(), hashing, mail, |_, _| Ok(())).await
    })
    .await
}

/// Password hashing, which starts on a thread of its own.
pub struct Hashing(JoinHandle<Result<PasswordHashing, StartError>>);

impl Hashing {
    /// Waits until it has started.
    pub fn join(self) -> anyhow::Result<PasswordHashing> {
        match self.0.join() {
            Ok(started) => started.context("starting the password hash"),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// The steps before the database is opened. Invalid settings are reported before anything is created.
pub fn prepare(config: &Config) -> anyhow::Result<(Hashing, mail::Settings)> {
    config.public_url(config.listen).map_err(usage)?;
    let mail = config.mail.settings(config.data.directory()).map_err(usage)?;
    let settings = config.hashing.settings().map_err(usage)?;
    log::to_stderr(&config.log, config.log_format);
    file_ownership::check(&config.data)?;
    // The self-test of the hash takes as long as opening the database, so that both run in parallel.
    Ok((Hashing(thread::spawn(move || PasswordHashing::start(settings, &OsRandom))), mail))
}

/// Serves until the process receives a signal to stop. Once the server listens, calls `welcome` with the URL that reaches it from
/// this machine, and with its public URL.
pub async fn listen(
    config: &Config,
    db: Db,
    hashing: PasswordHashing,
    mail: mail::Settings,
    welcome: impl FnOnce(&str, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let keys = SigningKeys::open(&config.data.keys(), SystemClock.now(), &OsRandom)
        .context("opening the signing keys")?;
    let tls = reload_certificate::open(config)?;
    let limits = limits(config);
    let (listener, address) = bind(config.listen, limits.max_connections)?;
    let public_url = config.public_url(address).map_err(usage)?;
    let known_as = audience(&public_url);
    if let Delivery::Files(directory) = &mail.delivery {
        tracing::info!(directory = %directory.path().display(), "mails are written to files: there is no SMTP server");
    }
    let server = Server::new(Parts {
        db,
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        hashing,
        keys,
        identity: config.identity(&public_url),
        classroom: config.classroom(),
        school: config.students.school(),
        mail,
        audit_retention: config.audit.retention(),
        public_url,
        trusted_proxies: config.rate_limits.trusted_proxies.clone(),
        hsts: config.http.hsts,
    });
    let stop = stop_signal().context("listening for signals")?;
    let mut jobs = server.start_jobs();
    let metrics = match config.http.metrics_listen {
        Some(address) => {
            format!("\nmetrics on http://{}/metrics", serve_metrics(&server, address, &mut jobs)?)
        }
        None => String::new(),
    };
    let endpoint = server.endpoint().context("building the OpenAPI document")?;
    if let Some(tls) = tls.clone() {
        jobs.every(UPKEEP, ReloadCertificate(tls));
    }
    let announced = say(&format!("listening on {}://{address}{metrics}", config.scheme()));
    match announced.and_then(|()| welcome(&local_url(config, address, &known_as), &known_as)) {
        // The program that reads standard output has ended. The server goes on.
        Ok(()) => {}
        Err(error) if error.is::<ClosedPipe>() => {}
        Err(error) => return Err(error),
    }
    let drained = listener
        .secured(tls)
        .trusting(config.rate_limits.trusted_proxies.clone())
        .serve(endpoint, limits, async {
            stop.await;
            shutdown_limits::enforce_limit();
            tracing::info!("stopping");
            server.drain();
        })
        .await;
    jobs.stop().await;
    tracing::info!(cut = drained.cut, "stopped");
    Ok(())
}

/// Serves metrics on a listener of their own, which stays open while the API drains.
fn serve_metrics(server: &Server, address: SocketAddr, jobs: &mut Runner) -> anyhow::Result<SocketAddr> {
    let metrics = server.metrics().context("keeping metrics")?;
    let (listener, address) = bind(address, METRICS_CONNECTIONS)?;
    let limits = Limits { max_connections: METRICS_CONNECTIONS, ..Limits::default() };
    let serving = listener.serve(metrics.endpoint(), limits, pending());
    jobs.spawn(async move { _ = serving.await });
    jobs.every(METRICS_UPKEEP, metrics);
    Ok(address)
}

/// The URL that reaches the server from this machine. With TLS it is the public URL, whose name is in the certificate. Without TLS
/// it is the address, because the public URL may be that of a proxy that is not running yet.
fn local_url(config: &Config, address: SocketAddr, public_url: &str) -> String {
    if config.http.tls().is_some() {
        return public_url.to_owned();
    }
    format!("http://{}", reachable(address))
}

/// The address at which a server that listens on `address` is reached from the same machine.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Completes when the process receives SIGTERM, SIGINT, or SIGHUP, which a closed terminal sends.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
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
        max_connections: config.http.max_connections.get(),
        max_connections_per_address: config.http.max_connections_per_address(),
        keep_alive: config.http.keep_alive(),
        drain: shutdown_limits::DRAIN,
        finish: shutdown_limits::FINISH,
        ..Limits::default()
    }
}

fn bind(address: SocketAddr, backlog: usize) -> anyhow::Result<(Listener, SocketAddr)> {
    let bind = || {
        let listener = Listener::bind(address, backlog)?;
        let bound = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, bound))
    };
    bind().with_context(|| format!("listening on {address}"))
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn reachable_wildcard_address_is_loopback() {
        for (listening, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(reachable(listening.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
