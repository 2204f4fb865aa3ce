//! `homeroom doctor`: checks everything that `serve` needs, and suggests remedies. It changes nothing and shows no secret.

mod database;
mod files;
mod machine;
mod mail;

use std::{fmt::Display, io::ErrorKind, net::SocketAddr};

use anyhow::anyhow;
use chrono::{DateTime, TimeDelta, Utc};
use url::{Host, Url};

use super::{failed, say};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    listener::{Listener, Tls},
};

/// A certificate that is valid for less than this should have been renewed. Automatic renewal happens a month before expiry.
const RENEWAL: TimeDelta = TimeDelta::days(14);

/// Checks everything that `serve` would use with the same flags. Warnings do not fail the command.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let mut report = Report::default();
    public_url(config, &mut report);
    tls(config, SystemClock.now(), &mut report);
    listen("listen", config.listen, "--listen", &mut report);
    metrics(config, &mut report).await;
    machine::clock(SystemClock.now(), &mut report);
    let readable = files::data_directory(config.data.directory(), &mut report);
    files::keys(&config.data, readable, SystemClock.now(), &mut report);
    database::check(config, &mut report).await;
    mail::server(config, &mut report).await;
    machine::password_hash(&config.hashing, &mut report).await;
    machine::memory(&config.hashing, &mut report);
    machine::open_files(config.http.max_connections.get(), &mut report);
    report.end()
}

fn public_url(config: &Config, report: &mut Report) {
    const SUBJECT: &str = "public URL";
    match config.public_url(config.listen) {
        Err(error) => report.wrong(SUBJECT, error, "say with --public-url how users reach the server"),
        Ok(url) if url.scheme() == "https" => report.ok(SUBJECT, url),
        Ok(url) if is_this_machine(&url) => report.ok(SUBJECT, format!("{url}, for this machine alone")),
        Ok(url) => report.warning(
            SUBJECT,
            format!("{url} is not https: passwords and tokens can be read on their way"),
            "put a reverse proxy with TLS before the server and name its https URL, or use --tls-cert and --tls-key",
        ),
    }
}

fn tls(config: &Config, now: DateTime<Utc>, report: &mut Report) {
    const SUBJECT: &str = "TLS";
    let Some((certificate, key)) = config.http.tls() else { return };
    let tls = match Tls::open(certificate, key) {
        Ok(tls) => tls,
        Err(error) => {
            return report.wrong(
                SUBJECT,
                failed("opening the certificate", error),
                "name PEM files that belong together, and let the server's user read them",
            );
        }
    };
    let shown = certificate.display();
    match tls.validity() {
        None => report.ok(SUBJECT, format!("{shown} and its key can be used")),
        Some([from, until]) => {
            let what = format!("{shown} is valid from {from:?} until {until:?}");
            if now < from || until < now {
                report.wrong(SUBJECT, what, "replace it by a valid one, or correct the clock");
            } else if until < now + RENEWAL {
                report.warning(SUBJECT, what, "renew it");
            } else {
                report.ok(SUBJECT, what);
            }
        }
    }
    if let Ok(metadata) = key.metadata() {
        files::private(SUBJECT, &[(key.to_owned(), metadata)], report);
    }
}

/// Whether the host of a URL is this machine.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn listen(subject: &str, address: SocketAddr, flag: &str, report: &mut Report) {
    match Listener::bind(address, 1) {
        Ok(_) if address.ip().is_unspecified() => report.ok(
            subject,
            format!("{address} is free: every network of this machine reaches it, past a proxy as well"),
        ),
        Ok(_) => report.ok(subject, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => report.warning(
            subject,
            format!("{address} is taken"),
            &format!("nothing, if it is taken by this server; else choose another with {flag}"),
        ),
        Err(error) => report.wrong(
            subject,
            format!("{address}: {error}"),
            &format!("choose an address of this machine, and a port that its user may use, with {flag}"),
        ),
    }
}

async fn metrics(config: &Config, report: &mut Report) {
    const SUBJECT: &str = "metrics";
    let Some(address) = config.http.metrics_listen else { return };
    let own = config.listen;
    let is_every = |address: SocketAddr| address.ip().is_unspecified();
    let overlaps = address.ip() == own.ip() || is_every(address) || is_every(own);
    if address.port() != 0 && address.port() == own.port() && overlaps {
        report.wrong(
            SUBJECT,
            format!("{address} is the server's own"),
            "choose another port with --metrics-listen",
        );
    } else if is_every(address) {
        report.warning(
            SUBJECT,
            format!("every network of this machine reaches {address}, and needs no password"),
            "name an inner address with --metrics-listen",
        );
    } else {
        listen(SUBJECT, address, "--metrics-listen", report);
    }
}

/// Prints a line for each check, and counts the verdicts.
#[derive(Debug, Default)]
struct Report {
    well: usize,
    warnings: usize,
    wrong: usize,
    skipped: usize,
    /// Why the report could not be printed.
    unprinted: Option<anyhow::Error>,
}

impl Report {
    /// No problem.
    fn ok(&mut self, subject: &str, what: impl Display) {
        self.well += 1;
        self.line("ok", subject, what);
    }

    /// A problem that does not prevent the start.
    fn warning(&mut self, subject: &str, what: impl Display, remedy: &str) {
        self.warnings += 1;
        self.line("warning", subject, what);
        self.line("", "", format!("-> {remedy}"));
    }

    /// A problem that prevents the start, or makes the server unsafe.
    fn wrong(&mut self, subject: &str, what: impl Display, remedy: &str) {
        self.wrong += 1;
        self.line("WRONG", subject, what);
        self.line("", "", format!("-> {remedy}"));
    }

    /// A check that could not be made for another reason.
    fn skipped(&mut self, subject: &str, why: impl Display) {
        self.skipped += 1;
        self.line("skipped", subject, why);
    }

    fn line(&mut self, verdict: &str, subject: &str, what: impl Display) {
        if self.unprinted.is_none() {
            let line = format!("{verdict:<9}{subject:<16}{}", what.to_string().replace('\n', " "));
            self.unprinted = say(&line).err();
        }
    }

    fn end(self) -> anyhow::Result<()> {
        let Self { well, warnings, wrong, skipped, unprinted } = self;
        if let Some(error) = unprinted {
            return Err(error);
        }
        let count = format!("{well} ok, {warnings} to be warned of, {wrong} wrong, {skipped} skipped");
        if wrong > 0 {
            return Err(anyhow!(count));
        }
        say(&count)
    }
}
