//! The TLS certificate of a running server.

use std::error::Error;

use anyhow::Context;
use tokio::task::spawn_blocking;

use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    jobs::Job,
    listener::Tls,
};

/// Opens the certificate that the configuration names, if it names one.
pub fn open(config: &Config) -> anyhow::Result<Option<Tls>> {
    let Some((certificate, key)) = config.http.tls() else { return Ok(None) };
    let tls = Tls::open(certificate, key).context("opening the certificate")?;
    warn_unless_valid(&tls);
    Ok(Some(tls))
}

/// Reads the certificate's files again, and so finds a renewed certificate.
pub struct ReloadCertificate(pub Tls);

impl Job for ReloadCertificate {
    #[expect(clippy::disallowed_methods, reason = "one at a time, of files that may be on a slow mount")]
    async fn run(&mut self) {
        let tls = self.0.clone();
        match spawn_blocking(move || tls.reload()).await {
            Ok(Ok(true)) => {
                tracing::info!("the certificate was replaced");
                warn_unless_valid(&self.0);
            }
            Ok(Err(error)) => {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "the certificate was not replaced");
            }
            // Unchanged, or a panic, which was logged.
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

fn warn_unless_valid(tls: &Tls) {
    let now = SystemClock.now();
    if let Some([from, until]) = tls.validity().filter(|[from, until]| now < *from || *until < now) {
        tracing::warn!(?from, ?until, "the certificate is not valid now, and clients refuse it");
    }
}
