//! The cluster's certificate authority.
//!
//! It signs keys that their holders made and never let go; from a request it takes the public key and nothing else, so a
//! request cannot ask for a name or a right. The SCM keeps the authority in its state and decides who gets what name.

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use runtime::{Entropy, SystemEntropy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use types::{ClusterId, Timestamp};
use zeroize::Zeroizing;

use crate::identity::{IdentityError, Issued, NodeIdentity};
use crate::verify;
use crate::{NodeId, NodeName, PeerRole};

/// Longer than any installation goes without an upgrade that could roll it over.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// Certificates begin this long before they are made, for members whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The asker's fault.
    #[error("the signing request is not a valid one for a P-256 key")]
    BadRequest,
    #[error("signing failed")]
    Failed(#[source] rcgen::Error),
}

pub struct ClusterCa {
    cluster: ClusterId,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl ClusterCa {
    /// How long a member's certificate is good unless told otherwise: an absence of some weeks does not lock a member out,
    /// and a key that leaked does not open the cluster for years.
    pub const MEMBER_VALIDITY: Duration = Duration::from_secs(45 * 24 * 3600);

    pub fn generate(cluster: ClusterId, now: Timestamp) -> Result<Self, SignError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(SignError::Failed)?;
        let mut params = base_params(now, AUTHORITY_VALIDITY)?;
        params.distinguished_name.push(DnType::CommonName, format!("trioxide cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![uri(NodeId::cluster_uri(cluster))?];
        let certificate = params.self_signed(&key).map_err(SignError::Failed)?;
        Self::from_parts(cluster, certificate.into(), key).map_err(SignError::Failed)
    }

    /// The certificate and the key, as [`Self::to_pem`] wrote them.
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let malformed = |what| move |_| IdentityError::Malformed(what);
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(malformed("the authority's certificate"))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(malformed("the authority's key"))?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_| IdentityError::Malformed("the authority's key"))?;
        let cluster = verify::cluster_of(&certificate)?;
        if verify::public_key_of(&certificate)? != key.der_bytes() {
            return Err(IdentityError::Malformed("the authority's key, which is not its certificate's"));
        }
        Self::from_parts(cluster, certificate, key).map_err(|_| IdentityError::Malformed("the authority's certificate"))
    }

    /// The whole authority: as secret as anything in the cluster.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut pem = Zeroizing::new(self.issuer.key().serialize_pem());
        pem.push_str(&crate::identity::certificate_pem(&self.certificate));
        pem
    }

    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Certifies the key of `request` as `role`/`name`. Whether the asker may have that name is the caller's decision.
    pub fn sign(
        &self,
        request: &[u8],
        role: PeerRole,
        name: &NodeName,
        now: Timestamp,
        validity: Duration,
    ) -> Result<Issued, SignError> {
        // Reading it also checks that the asker holds the private key.
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(|_| SignError::BadRequest)?;
        let uncompressed_p256_point = request.public_key.der_bytes().len() == 65;
        if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 || !uncompressed_p256_point {
            return Err(SignError::BadRequest);
        }
        let node = NodeId { cluster: self.cluster, role, name: name.clone() };
        let mut params = base_params(now, validity)?;
        params.distinguished_name.push(DnType::CommonName, node.to_string());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![uri(node.uri())?];
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(SignError::Failed)?;
        Ok(Issued {
            cluster: self.cluster,
            chain: vec![certificate.der().to_vec().into()],
            authority: self.certificate.to_vec().into(),
        })
    }

    /// Makes a member of the holder of the authority itself: the first process of a cluster has nobody to ask.
    pub fn issue(
        &self,
        role: PeerRole,
        name: &NodeName,
        now: Timestamp,
        validity: Duration,
    ) -> Result<NodeIdentity, IdentityError> {
        let request = KeyRequest::generate()?;
        let issued = self.sign(request.csr(), role, name, now, validity).map_err(IdentityError::Signing)?;
        request.accept(&issued)
    }

    fn from_parts(cluster: ClusterId, certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { cluster, certificate, issuer })
    }
}

impl fmt::Debug for ClusterCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterCa").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// A fresh key whose certificate is still to come.
#[derive(Debug)]
pub struct KeyRequest {
    key: KeyPair,
    csr: CertificateSigningRequestDer<'static>,
}

impl KeyRequest {
    pub fn generate() -> Result<Self, IdentityError> {
        let failed = |error| IdentityError::Signing(SignError::Failed(error));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&key).map_err(failed)?.into();
        Ok(Self { key, csr })
    }

    pub fn csr(&self) -> &[u8] {
        &self.csr
    }

    /// The identity, if the certificate is for this key and holds together.
    pub fn accept(self, issued: &Issued) -> Result<NodeIdentity, IdentityError> {
        NodeIdentity::assemble(PrivatePkcs8KeyDer::from(self.key.serialize_der()), issued)
    }
}

fn base_params(now: Timestamp, validity: Duration) -> Result<CertificateParams, SignError> {
    let at = |time: Timestamp| {
        let seconds = i64::try_from(time.seconds()).unwrap_or(i64::MAX);
        // Only a clock some thousand years off gets here.
        OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| SignError::Failed(rcgen::Error::Time))
    };
    let mut params = CertificateParams::default();
    params.not_before = at(now - BACKDATED.into())?;
    params.not_after = at(now + validity.into())?;
    params.distinguished_name = DistinguishedName::new();
    let mut serial = [0; 16];
    SystemEntropy.fill(&mut serial);
    // A serial number is positive: the top bit is its sign. One that is not zero has no second encoding.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn uri(text: String) -> Result<SanType, SignError> {
    text.try_into().map(SanType::URI).map_err(SignError::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).expect("legal")
    }

    #[test]
    fn an_authority_reads_back_from_its_text_and_signs_as_before() {
        let first = ClusterCa::generate(ClusterId::from_u128(5), NOW).expect("made");
        let again = ClusterCa::from_pem(&first.to_pem()).expect("reads back");
        assert_eq!(again.cluster(), first.cluster());
        let identity = again.issue(PeerRole::Om, &name("om1"), NOW, ClusterCa::MEMBER_VALIDITY).expect("signed");
        assert_eq!(identity.node().uri(), format!("trioxide://{}/om/om1", first.cluster()));
        assert_eq!(identity.authority(), &first.certificate);
    }

    #[test]
    fn an_authority_whose_key_is_anothers_does_not_load() {
        let one = ClusterCa::generate(ClusterId::from_u128(5), NOW).expect("made");
        let other = ClusterCa::generate(ClusterId::from_u128(5), NOW).expect("made");
        let mixed = one.issuer.key().serialize_pem() + &crate::identity::certificate_pem(&other.certificate);
        assert!(matches!(ClusterCa::from_pem(&mixed), Err(IdentityError::Malformed(_))));
    }

    #[test]
    fn a_request_gets_its_key_certified_and_none_of_its_wishes() {
        let ca = ClusterCa::generate(ClusterId::from_u128(5), NOW).expect("made");
        let key = KeyPair::generate().expect("made");
        let mut wishes = CertificateParams::new(vec!["scm.example".to_owned()]).expect("legal");
        wishes.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let csr = wishes.serialize_request(&key).expect("made");
        let issued = ca.sign(csr.der(), PeerRole::Gateway, &name("g1"), NOW, ClusterCa::MEMBER_VALIDITY).expect("signed");
        let identity = NodeIdentity::assemble(PrivatePkcs8KeyDer::from(key.serialize_der()), &issued).expect("holds together");
        assert_eq!(identity.node().role, PeerRole::Gateway);
        let (_, certificate) = x509_parser::parse_x509_certificate(&identity.chain()[0]).expect("parses");
        assert!(!certificate.is_ca());
        let names = certificate.subject_alternative_name().expect("parses").expect("is there");
        assert_eq!(names.value.general_names.len(), 1);
    }

    #[test]
    fn a_request_that_is_broken_or_not_for_a_p256_key_is_refused() {
        let ca = ClusterCa::generate(ClusterId::from_u128(5), NOW).expect("made");
        let sign = |csr: &[u8]| ca.sign(csr, PeerRole::Om, &name("om1"), NOW, ClusterCa::MEMBER_VALIDITY);
        let csr = KeyRequest::generate().expect("made").csr().to_vec();
        let key_in = |issued: Issued| {
            let own = CertificateDer::from(issued.chain.first().expect("one").to_vec());
            verify::public_key_of(&own).expect("has a key")
        };
        let key = key_in(sign(&csr).expect("signed"));
        for position in 0..csr.len() {
            let mut broken = csr.clone();
            broken[position] ^= 1;
            // The framing around the signed part is not signed; what a flip there may never do is change the key.
            assert!(sign(&broken).map_or(true, |issued| key_in(issued) == key), "byte {position}");
            assert!(sign(&csr[..position]).is_err(), "cut at {position}");
        }
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("made");
        let csr = CertificateParams::default().serialize_request(&other).expect("made");
        assert!(matches!(sign(csr.der()), Err(SignError::BadRequest)));
    }
}
