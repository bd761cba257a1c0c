//! The cluster's certificate authority, as the rows keep it and every member of the group uses it.
//!
//! It is sealed under a key derived from the join token: who may enrol members holds the token anyway, and who finds an SCM's
//! disk without its configuration finds no authority.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use hmac::{Hmac, KeyInit, Mac};
use pki::enroll::{Refused, Signer};
use pki::{ClusterCa, Issued, JoinToken, NodeId, NodeName, PeerRole, SignError};
use runtime::Entropy;
use scm_core::rows::{Authority, ClusterRow};
use sha2::Sha256;
use tracing::error;
use types::ClusterId;
use zeroize::Zeroizing;

use crate::service::ScmService;

/// What a cluster member needs to sign for others; a single process needs none of it.
#[derive(Debug, Clone)]
pub struct AuthorityParts {
    /// The tokens that admit now; the authority opens under any of them, and is sealed under the first.
    pub join_tokens: Vec<JoinToken>,
    /// The authority that the first member made for its own certificate, to be kept for the cluster. Of no effect once the
    /// cluster is initialised.
    pub genesis: Option<Arc<ClusterCa>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("there is no join token to seal the authority with")]
    NoToken,
    #[error("sealing failed")]
    Failed,
    #[error("the authority does not open under the join token given")]
    WrongToken,
    #[error("the authority is damaged")]
    Damaged,
}

/// Bound to what it is, so that the bytes mean nothing anywhere else.
const PURPOSE: &[u8] = b"trioxide scm authority 1";

fn sealing_key(token: &JoinToken) -> Result<LessSafeKey, SealError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).map_err(|_| SealError::Failed)?;
    mac.update(PURPOSE);
    let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| SealError::Failed)?))
}

/// `nonce | ciphertext | tag`.
pub(crate) fn seal(ca: &ClusterCa, tokens: &[JoinToken], entropy: &dyn Entropy) -> Result<Authority, SealError> {
    let token = tokens.first().ok_or(SealError::NoToken)?;
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce);
    let mut pem = ca.to_pem().as_bytes().to_vec();
    let sealed = sealing_key(token)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(PURPOSE), &mut pem);
    sealed.map_err(|_| SealError::Failed)?;
    Ok(Authority { sealed: [nonce.as_slice(), &pem].concat() })
}

pub(crate) fn unseal(authority: &Authority, tokens: &[JoinToken]) -> Result<ClusterCa, SealError> {
    let (nonce, sealed) = authority.sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Damaged)?;
    for token in tokens {
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        if let Ok(pem) = sealing_key(token)?.open_in_place(nonce, Aad::from(PURPOSE), &mut bytes) {
            let pem = std::str::from_utf8(pem).map_err(|_| SealError::Damaged)?;
            return ClusterCa::from_pem(pem).map_err(|_| SealError::Damaged);
        }
    }
    Err(SealError::WrongToken)
}

/// The authority of this process, opened when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct OpenAuthority(OnceLock<ClusterCa>);

impl OpenAuthority {
    fn get(&self, row: impl FnOnce() -> Result<ClusterCa, Refused>) -> Result<&ClusterCa, Refused> {
        if let Some(open) = self.0.get() {
            return Ok(open);
        }
        let opened = row()?;
        Ok(self.0.get_or_init(|| opened))
    }
}

impl ScmService {
    /// The cluster's identity, once its first leader has decided it.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.log().read(|tables| ClusterRow::read(tables)).ok().flatten().map(|row| row.id)
    }

    fn authority(&self) -> Result<&ClusterCa, Refused> {
        self.open_authority().get(|| {
            let Some(parts) = self.authority_parts() else {
                return Err(Refused::No("this process keeps no authority".to_owned()));
            };
            let row = self.log().read(|tables| ClusterRow::read(tables)).map_err(|fault| {
                error!(%fault, "reading the rows failed");
                Refused::Later("storage fault".to_owned())
            })?;
            let Some(row) = row else {
                return Err(Refused::Later("the cluster is not initialised yet".to_owned()));
            };
            let Some(authority) = row.authority else {
                return Err(Refused::No("the cluster was begun without an authority".to_owned()));
            };
            unseal(&authority, &parts.join_tokens).map_err(|why| {
                error!(%why, "the cluster's authority cannot be used");
                Refused::Later(why.to_string())
            })
        })
    }

    fn certify(&self, role: PeerRole, name: &NodeName, csr: &[u8]) -> Result<Issued, Refused> {
        let now = self.clock().now();
        self.authority()?.sign(csr, role, name, now, ClusterCa::MEMBER_VALIDITY).map_err(|why| match why {
            SignError::BadRequest => Refused::No(why.to_string()),
            SignError::Failed(_) => {
                error!(%why, "signing a certificate failed");
                Refused::Later(why.to_string())
            }
        })
    }
}

/// Any member signs, leading or not: all of them keep the authority.
#[async_trait]
impl Signer for ScmService {
    async fn join_tokens(&self) -> Vec<JoinToken> {
        self.authority_parts().map(|parts| parts.join_tokens.clone()).unwrap_or_default()
    }

    async fn sign(&self, role: PeerRole, name: &NodeName, csr: &[u8]) -> Result<Issued, Refused> {
        self.certify(role, name, csr)
    }

    async fn renew(&self, member: &NodeId, csr: &[u8]) -> Result<Issued, Refused> {
        if member.cluster != self.authority()?.cluster() {
            return Err(Refused::No("a member of another cluster".to_owned()));
        }
        self.certify(member.role, &member.name, csr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SeededEntropy;
    use types::Timestamp;

    #[test]
    fn the_authority_opens_under_its_join_token_and_no_other() {
        let ca = ClusterCa::generate(ClusterId::from_u128(7), Timestamp(1_790_000_000_000)).expect("made");
        let entropy = SeededEntropy::new(1);
        let [ours, other] = [JoinToken::generate(&entropy), JoinToken::generate(&entropy)];
        let sealed = seal(&ca, std::slice::from_ref(&ours), &entropy).expect("seals");
        assert!(!sealed.sealed.windows(7).any(|window| window == b"PRIVATE"));
        let opened = unseal(&sealed, &[other.clone(), ours.clone()]).expect("opens");
        assert_eq!(opened.cluster(), ca.cluster());
        assert_eq!(unseal(&sealed, &[other]).expect_err("refused"), SealError::WrongToken);
        let mut damaged = sealed.clone();
        damaged.sealed[20] ^= 1;
        assert_eq!(unseal(&damaged, std::slice::from_ref(&ours)).expect_err("refused"), SealError::WrongToken);
        assert_eq!(unseal(&Authority { sealed: vec![1; 5] }, &[ours]).expect_err("refused"), SealError::Damaged);
        assert_eq!(seal(&ca, &[], &entropy).expect_err("refused"), SealError::NoToken);
    }
}
