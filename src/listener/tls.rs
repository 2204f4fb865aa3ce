//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446), with a certificate that may be replaced while connections are served.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};
use x509_parser::{certificate::Validity, parse_x509_certificate, time::ASN1Time};

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("reading {file}")]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: pem::Error,
    },
    /// The file of the certificate holds none.
    #[error("{0} holds no certificate")]
    NoCertificate(PathBuf),
    /// The key is of no use, or another certificate's.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// A certificate with its key, and the files that they are in.
#[derive(Debug, Clone)]
pub struct Tls {
    shown: Arc<Shown>,
    certificate: PathBuf,
    key: PathBuf,
    config: Arc<ServerConfig>,
}

/// The certificate that is shown to whoever connects.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn get(&self) -> Arc<CertifiedKey> {
        // It is only ever replaced whole.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl Tls {
    /// Reads a certificate, with the chain that leads to its root, and its private key, all PEM (RFC 7468).
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let shown = read(certificate, key, &provider)?;
        let shown = Arc::new(Shown(RwLock::new(Arc::new(shown))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { shown, certificate: certificate.into(), key: key.into(), config: Arc::new(config) })
    }

    /// From when until when, inclusively, clients take the certificate that is shown (RFC 5280 section 4.1.2.5). Nothing if
    /// it does not say so in a way that can be read.
    #[must_use]
    pub fn validity(&self) -> Option<[DateTime<Utc>; 2]> {
        let shown = self.shown.get();
        let (_, certificate) = parse_x509_certificate(shown.end_entity_cert().ok()?).ok()?;
        let Validity { not_before, not_after } = certificate.validity();
        let instant = |time: &ASN1Time| DateTime::from_timestamp(time.timestamp(), 0);
        Some([instant(not_before)?, instant(not_after)?])
    }

    /// Reads the files again, and says whether another certificate is shown from now on. If they cannot be used, the
    /// one from before stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let found = read(&self.certificate, &self.key, self.config.crypto_provider())?;
        if found.cert == self.shown.get().cert {
            return Ok(false);
        }
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let unread = |file: &Path| {
        let file = file.to_owned();
        move |cause| TlsError::File { file, cause }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(unread(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unread(key))?;
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}
