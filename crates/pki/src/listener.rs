//! TLS towards those who are no members: clients with an address that begins with `https://`.
//!
//! The certificate is from whatever authority they trust, and says who we are; who they are, their requests say. It is another in
//! a few weeks, which is no reason to stop.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use types::Timestamp;

use crate::verify;

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the chain is no PEM: {0}")]
    Chain(rustls::pki_types::pem::Error),
    #[error("there is no certificate in the chain")]
    Empty,
    #[error("the first of the chain is no certificate")]
    Malformed,
    #[error("the private key is no PEM: {0}")]
    Key(rustls::pki_types::pem::Error),
    #[error("the private key does not serve: {0}")]
    Unusable(rustls::Error),
    #[error("the certificate is not valid now, and the one that is shown is")]
    NotNow,
}

/// What a listener shows, until it is given another.
#[derive(Debug)]
pub struct ListenerCertificate {
    shown: RwLock<Shown>,
}

#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    begins: Timestamp,
    expires: Timestamp,
}

impl Shown {
    fn parse(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>().map_err(CertificateError::Chain)?;
        let first = chain.first().ok_or(CertificateError::Empty)?;
        let (begins, expires) = verify::validity_of(first).map_err(|_| CertificateError::Malformed)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(CertificateError::Key)?;
        // Fails, too, if the key is another certificate's.
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(CertificateError::Unusable)?;
        Ok(Self { key: Arc::new(key), begins, expires })
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        (self.begins..=self.expires).contains(&now)
    }
}

impl ListenerCertificate {
    /// Both PEM; the chain with the listener's own certificate first.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self { shown: RwLock::new(Shown::parse(chain, key)?) })
    }

    /// Shows another from now on, or the same as before if this one does not serve.
    pub fn replace(&self, chain: &[u8], key: &[u8], now: Timestamp) -> Result<(), CertificateError> {
        let new = Shown::parse(chain, key)?;
        let mut shown = self.shown.write();
        if shown.is_valid(now) && !new.is_valid(now) {
            return Err(CertificateError::NotNow);
        }
        *shown = new;
        Ok(())
    }

    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.shown.read().is_valid(now)
    }

    pub fn expires(&self) -> Timestamp {
        self.shown.read().expires
    }

    /// TLS 1.2 and 1.3, and nothing but HTTP/1.1 in it.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for ListenerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of November 2026.
    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_that_does_not_serve_changes_nothing() {
        let (chain, key) = pair("one.example");
        let (other_chain, other_key) = pair("two.example");
        let shown = ListenerCertificate::parse(chain.as_bytes(), key.as_bytes()).expect("a pair");
        let first = |shown: &ListenerCertificate| shown.shown.read().key.cert[0].clone();
        let before = first(&shown);
        for (chain, key) in [
            (other_chain.as_str(), key.as_str()),
            ("", other_key.as_str()),
            (other_chain.as_str(), ""),
            (other_key.as_str(), other_key.as_str()),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", other_key.as_str()),
            ("-----BEGIN CERTIFICATE-----\n???", other_key.as_str()),
        ] {
            shown.replace(chain.as_bytes(), key.as_bytes(), NOW).expect_err("no pair");
            assert_eq!(first(&shown), before);
        }
        shown.replace(other_chain.as_bytes(), other_key.as_bytes(), NOW).expect("a pair");
        assert_ne!(first(&shown), before);
    }

    #[test]
    fn a_certificate_that_is_over_takes_the_place_of_another_that_is() {
        let (chain, key) = pair("one.example");
        let shown = ListenerCertificate::parse(chain.as_bytes(), key.as_bytes()).expect("a pair");
        let mut params = rcgen::CertificateParams::new(vec!["two.example".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let old_key = rcgen::KeyPair::generate().expect("a key");
        let (old, old_key) = (params.self_signed(&old_key).expect("a certificate").pem(), old_key.serialize_pem());
        let refused = shown.replace(old.as_bytes(), old_key.as_bytes(), NOW);
        assert!(matches!(refused, Err(CertificateError::NotNow)), "{refused:?}");
        let after_all = Timestamp(u64::MAX);
        assert!(shown.is_valid(NOW) && !shown.is_valid(after_all));
        shown.replace(old.as_bytes(), old_key.as_bytes(), after_all).expect("neither is good");
        assert!(!shown.is_valid(NOW));
    }
}
