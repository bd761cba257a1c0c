//! A process's own key and certificate, and the file that keeps them.
//!
//! Key, chain and authority live in one file, replaced as one: no crash leaves a key beside another key's certificate.
//! The file is written aside, synced, renamed and its folder synced before [`NodeIdentity::store`] returns.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rcgen::PublicKeyData;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use types::{ClusterId, Timestamp};
use zeroize::Zeroizing;

use crate::authority::SignError;
use crate::{NodeId, verify};

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("malformed: {0}")]
    Malformed(&'static str),
    #[error("the certificate was not signed by the cluster's authority")]
    Unsigned,
    #[error("making a certificate")]
    Signing(#[source] SignError),
    #[error("{} may be read by others (mode {mode:o}); it holds a private key: make it 0600 or remove it", path.display())]
    ReadableByOthers { path: PathBuf, mode: u32 },
    #[error("{} {}", attempt, path.display())]
    Io {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What an authority gives out: certificates in DER, the holder's own first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Issued {
    #[n(0)]
    pub cluster: ClusterId,
    #[n(1)]
    pub chain: Vec<ByteVec>,
    #[n(2)]
    pub authority: ByteVec,
}

/// The key and certificate with which a process shows who it is. They fit each other and the authority; whether the
/// certificate is good *now* is [`Self::is_over`].
pub struct NodeIdentity {
    node: NodeId,
    key: PrivatePkcs8KeyDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    authority: CertificateDer<'static>,
    begins: Timestamp,
    ends: Timestamp,
}

impl NodeIdentity {
    const FILE: &str = "identity.pem";

    pub(crate) fn assemble(key: PrivatePkcs8KeyDer<'static>, issued: &Issued) -> Result<Self, IdentityError> {
        let der = |bytes: &ByteVec| CertificateDer::from(bytes.to_vec());
        Self::from_parts(key, issued.chain.iter().map(der).collect(), der(&issued.authority))
    }

    fn from_parts(
        key: PrivatePkcs8KeyDer<'static>,
        chain: Vec<CertificateDer<'static>>,
        authority: CertificateDer<'static>,
    ) -> Result<Self, IdentityError> {
        let (own, between) = chain.split_first().ok_or(IdentityError::Malformed("a chain without certificates"))?;
        let node = verify::node_of(own)?;
        if verify::cluster_of(&authority)? != node.cluster {
            return Err(IdentityError::Malformed("the certificate of another cluster than its authority's"));
        }
        let pair = rcgen::KeyPair::try_from(&key).map_err(|_| IdentityError::Malformed("the private key"))?;
        if verify::public_key_of(own)? != pair.der_bytes() {
            return Err(IdentityError::Malformed("a key that is not its certificate's"));
        }
        let (begins, ends) = verify::validity_of(own)?;
        verify::signed_by(own, between, &authority, begins)?;
        Ok(Self { node, key, chain, authority, begins, ends })
    }

    /// The identity kept in `folder`, if there is one.
    pub fn load(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let path = folder.join(Self::FILE);
        let failed = |attempt| {
            let path = path.clone();
            move |source| IdentityError::Io { attempt, path, source }
        };
        let mode = match fs::metadata(&path) {
            Ok(found) => found.permissions().mode() & 0o777,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("looking at")(error)),
        };
        if mode & 0o077 != 0 {
            return Err(IdentityError::ReadableByOthers { path, mode });
        }
        let pem = Zeroizing::new(fs::read(&path).map_err(failed("reading"))?);
        Self::from_pem(&pem).map(Some)
    }

    /// Replaces what `folder` keeps; once this returns, the identity survives power loss.
    pub fn store(&self, folder: &Path) -> Result<(), IdentityError> {
        let path = folder.join(Self::FILE);
        let aside = folder.join(format!("{}.new", Self::FILE));
        let failed = |attempt, path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { attempt, path, source }
        };
        fs::create_dir_all(folder).map_err(failed("creating", folder))?;
        // A leftover of a crash, maybe with other permissions: the new file must be made by us.
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("removing", &aside)(error)),
            _ => {}
        }
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
            file.write_all(self.to_pem().as_bytes())?;
            file.sync_all()
        };
        write().map_err(failed("writing", &aside))?;
        fs::rename(&aside, &path).map_err(failed("putting in place", &path))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("syncing", folder))
    }

    fn from_pem(pem: &[u8]) -> Result<Self, IdentityError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| IdentityError::Malformed("the private key"))?;
        let mut chain = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| IdentityError::Malformed("the certificates"))?;
        let authority = chain.pop().ok_or(IdentityError::Malformed("no certificates"))?;
        Self::from_parts(key, chain, authority)
    }

    /// The key, the chain, and last the authority.
    fn to_pem(&self) -> Zeroizing<String> {
        let mut pem = Zeroizing::new(pem_section("PRIVATE KEY", self.key.secret_pkcs8_der()));
        for certificate in self.chain.iter().chain([&self.authority]) {
            pem.push_str(&certificate_pem(certificate));
        }
        pem
    }

    pub fn node(&self) -> &NodeId {
        &self.node
    }

    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(crate) fn key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.clone_key()
    }

    /// When peers stop to accept it.
    pub fn expires(&self) -> Timestamp {
        self.ends
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends
    }

    /// From two thirds of its life on: the last third is for trying again.
    pub fn wants_renewal(&self, now: Timestamp) -> bool {
        let life = self.ends.since(self.begins).0;
        now >= Timestamp(self.begins.0.saturating_add(life / 3 * 2))
    }
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeIdentity").field("node", &self.node).field("ends", &self.ends).finish_non_exhaustive()
    }
}

pub(crate) fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem_section("CERTIFICATE", certificate)
}

fn pem_section(label: &str, der: &[u8]) -> String {
    let digits = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in digits.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{ClusterCa, NodeName, PeerRole};

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn identity() -> NodeIdentity {
        let ca = ClusterCa::generate(ClusterId::from_u128(5), NOW).expect("made");
        let name = NodeName::parse("dn-3").expect("legal");
        ca.issue(PeerRole::Datanode, &name, NOW, Duration::from_secs(30 * 3600)).expect("signed")
    }

    #[test]
    fn an_identity_reads_back_from_its_folder() {
        let folder = tempfile::tempdir().expect("made");
        let kept = folder.path().join("tls");
        assert!(NodeIdentity::load(&kept).expect("nothing there").is_none());
        identity().store(&kept).expect("stored");
        let second = identity();
        second.store(&kept).expect("replaced");
        let loaded = NodeIdentity::load(&kept).expect("loads").expect("is there");
        assert_eq!((loaded.node(), loaded.chain(), loaded.expires()), (second.node(), second.chain(), second.expires()));
        let files: Vec<_> = fs::read_dir(&kept).expect("lists").map(|entry| entry.expect("lists").file_name()).collect();
        assert_eq!(files, [NodeIdentity::FILE]);
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("made");
        identity().store(folder.path()).expect("stored");
        let path = folder.path().join(NodeIdentity::FILE);
        assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(matches!(NodeIdentity::load(folder.path()), Err(IdentityError::ReadableByOthers { mode: 0o640, .. })));
    }

    #[test]
    fn an_identity_file_with_parts_of_two_identities_is_refused() {
        let (one, other) = (identity(), identity());
        let mixed = |key: &NodeIdentity, own: &NodeIdentity, authority: &NodeIdentity| {
            let pem = pem_section("PRIVATE KEY", key.key.secret_pkcs8_der())
                + &certificate_pem(&own.chain[0])
                + &certificate_pem(&authority.authority);
            NodeIdentity::from_pem(pem.as_bytes())
        };
        assert!(mixed(&one, &one, &one).is_ok());
        assert!(matches!(mixed(&other, &one, &one), Err(IdentityError::Malformed(_))));
        assert!(matches!(mixed(&one, &one, &other), Err(IdentityError::Unsigned)));
        assert!(NodeIdentity::from_pem(b"").is_err());
    }

    #[test]
    fn renewal_is_wanted_in_the_last_third_of_a_certificates_life() {
        let identity = identity();
        let hours = |hours: u64| NOW + types::Millis(hours * 3_600_000);
        assert!(!identity.wants_renewal(hours(19)));
        assert!(identity.wants_renewal(hours(20)) && !identity.is_over(hours(20)));
        assert!(identity.is_over(hours(30)));
    }
}
