//! The addresses that clients come to, and the certificates that they are shown there.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pki::{CertificateError, ListenerCertificate, ServerConfig};
use runtime::Shutdown;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::cluster::compose;
use crate::config::TlsSection;
use crate::files;
use crate::process::Failed;

/// Files are looked at so often: whoever renews a certificate writes it, and need not tell us.
const LOOK_EVERY: Duration = Duration::from_secs(10);

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
pub(crate) async fn open(
    address: SocketAddr,
    section: &TlsSection,
    name: &'static str,
    shutdown: &Shutdown,
) -> Result<Door, Failed> {
    let listener = compose::listen(address).await?;
    let Some(files) = Files::of(section, name)? else { return Ok(Door { listener, tls: None }) };
    let pair = files.read()?;
    let certificate = Arc::new(ListenerCertificate::parse(&pair.chain, &pair.key).map_err(files.unfit())?);
    let tls = certificate.server_config().map_err(|_| TlsFileError::Config)?;
    told(&certificate, name);
    shutdown.spawn_until(follow(certificate, files, pair, name));
    Ok(Door { listener, tls: Some(tls) })
}

/// Shows what the files hold, whenever that is another pair.
async fn follow(certificate: Arc<ListenerCertificate>, files: Files, mut shown: Pair, name: &'static str) {
    let mut complained = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match renewed(&certificate, &files, &shown) {
            Ok(None) => complained = false,
            Ok(Some(pair)) => {
                (shown, complained) = (pair, false);
                info!(listener = name, "the certificate was renewed");
                told(&certificate, name);
            }
            // Half written perhaps, or one of the two still the old one.
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    warn!(listener = name, %error, "the certificate stays the one that it was");
                }
            }
        }
    }
}

fn renewed(certificate: &ListenerCertificate, files: &Files, shown: &Pair) -> Result<Option<Pair>, TlsFileError> {
    let pair = files.read()?;
    if pair == *shown {
        return Ok(None);
    }
    certificate.replace(&pair.chain, &pair.key).map_err(files.unfit())?;
    Ok(Some(pair))
}

fn told(certificate: &ListenerCertificate, name: &'static str) {
    let seconds = certificate.expires().0 / 1000;
    metrics::gauge!("tls_certificate_expires_timestamp_seconds", "listener" => name).set(seconds as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

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
