//! The addresses that clients come to, and the certificates that they are shown there.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_core::dates::format_iso8601;
use pki::{CertificateError, ListenerCertificate, ServerConfig};
use runtime::Clock;
use tokio::net::TcpListener;
use tracing::{info, warn};
use types::Timestamp;

use crate::cluster::compose;
use crate::config::TlsSection;
use crate::files;
use crate::process::{Failed, Parts};

/// Files are looked at so often: whoever renews a certificate writes it, and need not tell us.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What is wrong is said again after so long, for whoever did not see it.
const REPEAT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate that should have been renewed by now.
const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A listener, under TLS if it has a certificate.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFileError {
    #[error("{0}.tls: cert_file and key_file belong together")]
    Half(&'static str),
    #[error("reading {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} and its key: {source}")]
    Certificate { path: PathBuf, source: CertificateError },
    #[error("the certificate does not make a TLS configuration")]
    Config,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// What lies in them.
#[derive(PartialEq, Eq)]
struct Pair {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn of(section: &TlsSection, name: &'static str) -> Result<Option<Self>, TlsFileError> {
        match (&section.cert_file, &section.key_file) {
            (Some(cert), Some(key)) => Ok(Some(Self { cert: cert.clone(), key: key.clone() })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(TlsFileError::Half(name)),
        }
    }

    fn read(&self) -> Result<Pair, TlsFileError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsFileError::Read { path, source }
        };
        let chain = std::fs::read(&self.cert).map_err(failed(&self.cert))?;
        Ok(Pair { chain, key: files::read_secret(&self.key).map_err(failed(&self.key))? })
    }

    /// A disk that hangs must not hold up those who need none.
    async fn read_aside(&self) -> Result<Pair, TlsFileError> {
        let (files, path) = (self.clone(), self.cert.clone());
        let read = tokio::task::spawn_blocking(move || files.read()).await;
        read.unwrap_or_else(|ended| Err(TlsFileError::Read { path, source: io::Error::other(ended) }))
    }

    fn unfit(&self) -> impl FnOnce(CertificateError) -> TlsFileError {
        let path = self.cert.clone();
        move |source| TlsFileError::Certificate { path, source }
    }
}

/// Whether the settings can be right. Files are looked at when the listener opens.
pub(crate) fn check(section: &TlsSection, name: &'static str) -> Result<(), TlsFileError> {
    Files::of(section, name).map(drop)
}

/// Binds; `name` is the section's in the configuration.
pub(crate) async fn open(address: SocketAddr, section: &TlsSection, name: &'static str, parts: &Parts) -> Result<Door, Failed> {
    let Parts { clock, shutdown, .. } = parts.clone();
    let listener = compose::listen(address).await?;
    let Some(files) = Files::of(section, name)? else { return Ok(Door { listener, tls: None }) };
    let pair = files.read()?;
    let certificate = Arc::new(ListenerCertificate::parse(&pair.chain, &pair.key).map_err(files.unfit())?);
    let tls = certificate.server_config().map_err(|_| TlsFileError::Config)?;
    shutdown.spawn_until(follow(certificate, files, pair, name, clock));
    Ok(Door { listener, tls: Some(tls) })
}

/// Shows what the files hold, whenever that is another pair that serves.
async fn follow(certificate: Arc<ListenerCertificate>, files: Files, mut shown: Pair, name: &'static str, clock: Arc<dyn Clock>) {
    let mut complaints = Complaints::default();
    loop {
        let now = clock.now();
        metrics::gauge!("tls_certificate_expires_timestamp_seconds", "listener" => name)
            .set((certificate.expires().0 / 1000) as f64);
        let found = match files.read_aside().await.and_then(|pair| renewed(&certificate, &files, &shown, pair, now)) {
            Ok(None) => ageing(&certificate, now),
            Ok(Some(pair)) => {
                info!(listener = name, "the certificate was renewed");
                shown = pair;
                ageing(&certificate, now)
            }
            // Half written perhaps, or one of the two still the old one.
            Err(error) => Some(format!("the certificate stays the one that it was: {error}")),
        };
        metrics::gauge!("tls_certificate_faulty", "listener" => name).set(if found.is_some() { 1.0 } else { 0.0 });
        if let Some(fault) = complaints.due(found) {
            warn!(listener = name, "{fault}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn renewed(
    certificate: &ListenerCertificate,
    files: &Files,
    shown: &Pair,
    found: Pair,
    now: Timestamp,
) -> Result<Option<Pair>, TlsFileError> {
    if found == *shown {
        return Ok(None);
    }
    certificate.replace(&found.chain, &found.key, now).map_err(files.unfit())?;
    Ok(Some(found))
}

fn ageing(certificate: &ListenerCertificate, now: Timestamp) -> Option<String> {
    if !certificate.is_valid(now) {
        return Some("the certificate is not valid now: clients refuse it".to_owned());
    }
    let expires = certificate.expires();
    let is_soon = u128::from(expires.0.saturating_sub(now.0)) < SOON.as_millis();
    is_soon.then(|| format!("the certificate expires at {}", format_iso8601(expires)))
}

/// The fault that was last told, and when.
#[derive(Default)]
struct Complaints(Option<(String, Instant)>);

impl Complaints {
    /// What is to be told now: a new fault at once, the same one day by day.
    fn due(&mut self, fault: Option<String>) -> Option<String> {
        let Some(fault) = fault else {
            self.0 = None;
            return None;
        };
        if self.0.as_ref().is_some_and(|(told, at)| *told == fault && at.elapsed() < REPEAT_AFTER) {
            return None;
        }
        self.0 = Some((fault.clone(), Instant::now()));
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_until_it_is_another() {
        let fault = |text: &str| Some(text.to_owned());
        let mut complaints = Complaints::default();
        let told: Vec<_> = [fault("a"), fault("a"), fault("b"), None, fault("b")].map(|found| complaints.due(found)).into();
        assert_eq!(told, [fault("a"), None, fault("b"), None, fault("b")]);
    }

    #[test]
    fn half_a_pair_is_refused_by_the_name_of_its_section() {
        let half = TlsSection { cert_file: Some("a".into()), key_file: None };
        assert_eq!(
            check(&half, "gateway").map_err(|error| error.to_string()),
            Err("gateway.tls: cert_file and key_file belong together".to_owned())
        );
        assert!(check(&TlsSection::default(), "admin").is_ok());
    }
}
