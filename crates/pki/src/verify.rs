//! Whom a connection is with: the chain to the cluster's authority, and the URI in the certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use types::{ClusterId, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::NodeId;
use crate::identity::IdentityError;

/// AES-128 first: the cheapest of the three on every machine that has AES instructions, and more than enough.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
    let cipher_suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(CryptoProvider { cipher_suites, ..default_provider() })
}

/// Accepts members of one cluster, on either side of a connection.
#[derive(Debug)]
pub(crate) struct MembersOnly {
    cluster: ClusterId,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl MembersOnly {
    pub(crate) fn new(
        cluster: ClusterId,
        authority: &CertificateDer<'static>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, IdentityError> {
        let roots = Arc::new(roots(authority)?);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            // Members know their authority; strangers need not learn its name.
            .clear_root_hint_subjects()
            .build()
            .map_err(|_| IdentityError::Malformed("the authority's certificate"))?;
        Ok(Self { cluster, roots, provider, clients })
    }

    fn check_name(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let refused = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        match node_of(certificate) {
            Ok(node) if node.cluster == self.cluster => Ok(()),
            _ => Err(refused),
        }
    }
}

impl ServerCertVerifier for MembersOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        self.check_name(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

impl ClientCertVerifier for MembersOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.clients.verify_client_cert(end_entity, intermediates, now)?;
        self.check_name(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

/// Accepts every server: for an enrolling process, which has nothing to judge by before the join token has spoken.
#[derive(Debug)]
pub(crate) struct Anyone {
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn roots(authority: &CertificateDer<'static>) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(|_| IdentityError::Malformed("the authority's certificate"))?;
    Ok(roots)
}

/// Whether `own` chains to `authority`, judged as of `at`.
pub(crate) fn signed_by(
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    authority: &CertificateDer<'static>,
    at: Timestamp,
) -> Result<(), IdentityError> {
    let parsed = ParsedCertificate::try_from(own).map_err(|_| IdentityError::Malformed("the certificate"))?;
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_millis(at.0));
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots(authority)?, between, at, algorithms)
        .map_err(|_| IdentityError::Unsigned)
}

/// Who a certificate's holder is. Proves nothing by itself: the chain does.
pub(crate) fn node_of(certificate: &CertificateDer<'_>) -> Result<NodeId, IdentityError> {
    with_only_uri(certificate, |uri| NodeId::parse_uri(uri).ok())
}

/// The cluster whose authority this certificate is.
pub(crate) fn cluster_of(authority: &CertificateDer<'_>) -> Result<ClusterId, IdentityError> {
    with_only_uri(authority, NodeId::parse_cluster_uri)
}

/// Two names would let two readers of one certificate see two holders.
fn with_only_uri<T>(certificate: &CertificateDer<'_>, read: impl FnOnce(&str) -> Option<T>) -> Result<T, IdentityError> {
    const WHAT: IdentityError = IdentityError::Malformed("the name in a certificate");
    let certificate = parse(certificate)?;
    let names = certificate.subject_alternative_name().map_err(|_| WHAT)?.ok_or(WHAT)?.value;
    match names.general_names.as_slice() {
        [GeneralName::URI(uri)] => read(uri).ok_or(WHAT),
        _ => Err(WHAT),
    }
}

pub(crate) fn public_key_of(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, IdentityError> {
    Ok(parse(certificate)?.public_key().subject_public_key.data.to_vec())
}

pub(crate) fn validity_of(certificate: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), IdentityError> {
    let validity = parse(certificate)?.validity().clone();
    let at = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or_default().saturating_mul(1000));
    Ok((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, IdentityError> {
    let (rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| IdentityError::Malformed("a certificate"))?;
    if rest.is_empty() { Ok(parsed) } else { Err(IdentityError::Malformed("a certificate with bytes behind it")) }
}
