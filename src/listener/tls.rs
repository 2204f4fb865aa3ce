//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446), with a certificate that can be reloaded while connections are served.

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

/// Why a certificate cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("reading {file}")]
    File {
        /// The file.
        file: PathBuf,
        /// The cause.
        #[source]
        cause: pem::Error,
    },
    /// The certificate file contains no certificate.
    #[error("{0} holds no certificate")]
    NoCertificate(PathBuf),
    /// The key is not valid, or does not match the certificate.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// A certificate with its key, and their files.
#[derive(Debug, Clone)]
pub struct Tls {
    current: Arc<CurrentCertificate>,
    certificate: PathBuf,
    key: PathBuf,
    config: Arc<ServerConfig>,
}

/// The current certificate.
#[derive(Debug)]
struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl CurrentCertificate {
    fn get(&self) -> Arc<CertifiedKey> {
        // It is replaced in one step, so a panic cannot leave an inconsistent state.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl Tls {
    /// Reads a certificate with its chain, and its private key, all in PEM (RFC 7468).
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = read(certificate, key, &provider)?;
        let current = Arc::new(CurrentCertificate(RwLock::new(Arc::new(current))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { current, certificate: certificate.into(), key: key.into(), config: Arc::new(config) })
    }

    /// The validity of the current certificate, both ends included (RFC 5280 section 4.1.2.5). None if it cannot be parsed.
    #[must_use]
    pub fn validity(&self) -> Option<[DateTime<Utc>; 2]> {
        let current = self.current.get();
        let (_, certificate) = parse_x509_certificate(current.end_entity_cert().ok()?).ok()?;
        let Validity { not_before, not_after } = certificate.validity();
        let instant = |time: &ASN1Time| DateTime::from_timestamp(time.timestamp(), 0);
        Some([instant(not_before)?, instant(not_after)?])
    }

    /// Reads the files again. Returns whether they contain another certificate, which is used from now on. After an error the
    /// previous certificate stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let found = read(&self.certificate, &self.key, self.config.crypto_provider())?;
        if found.cert == self.current.get().cert {
            return Ok(false);
        }
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let file_error = |file: &Path| {
        let file = file.to_owned();
        move |cause| TlsError::File { file, cause }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(file_error(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(file_error(key))?;
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}
