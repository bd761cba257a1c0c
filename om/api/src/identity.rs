//! Who asks, and the secrets they sign with.

use std::fmt;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use types::{BucketId, VolumeName};

use crate::RequestContext;
use crate::accounts::AccountNames;

/// A user's identity: S3's canonical id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct UserId(pub String);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct AccessKeyId(pub String);

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret access key. Never printed, never logged.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct SecretKey(pub String);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// On whose behalf a request is made, after its signature was verified, and what else is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Requester {
    #[n(0)]
    Anonymous {
        /// None of a request that no client made.
        #[n(0)]
        context: Option<Box<RequestContext>>,
    },
    #[n(1)]
    Signed {
        #[n(0)]
        access_key: AccessKeyId,
        /// The secret that verified the signature, as [`SigningKey::secret_version`] told it. The OM refuses with
        /// [`Denied::StaleCredential`] once the secret is another.
        #[n(1)]
        secret_version: u64,
        #[n(2)]
        context: Option<Box<RequestContext>>,
    },
    /// Trioxide itself: the bootstrap of users and buckets that a configuration names.
    #[n(2)]
    System,
    /// A gateway that delivers the access log of these buckets: it writes where each of their logs goes, and nothing else.
    #[n(3)]
    LogDelivery {
        #[n(0)]
        of: Vec<BucketId>,
    },
}

impl Requester {
    pub fn anonymous() -> Self {
        Self::Anonymous { context: None }
    }

    pub fn signed(access_key: AccessKeyId, secret_version: u64) -> Self {
        Self::Signed { access_key, secret_version, context: None }
    }

    pub fn context(&self) -> Option<&RequestContext> {
        match self {
            Self::Anonymous { context } | Self::Signed { context, .. } => context.as_deref(),
            Self::System | Self::LogDelivery { .. } => None,
        }
    }

    /// The same requester, with what is known of this request of theirs.
    pub fn with_context(mut self, known: RequestContext) -> Self {
        match &mut self {
            Self::Anonymous { context } | Self::Signed { context, .. } => *context = Some(Box::new(known)),
            Self::System | Self::LogDelivery { .. } => {}
        }
        self
    }
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[cbor(index_only)]
pub enum Denied {
    #[n(0)]
    #[error("access denied")]
    AccessDenied,
    /// The access key was revoked or never existed.
    #[n(1)]
    #[error("no such access key")]
    NoSuchAccessKey,
    /// The secret changed since the signature was verified: verify again with the present one.
    #[n(2)]
    #[error("the secret has changed")]
    StaleCredential,
    /// An ACL is asked for in a bucket that has none: its owner owns everything in it.
    #[n(3)]
    #[error("the bucket does not allow ACLs")]
    AclNotSupported,
    /// An ACL names somebody who is not there.
    #[n(4)]
    #[error("no such grantee")]
    UnknownGrantee,
    #[n(5)]
    #[error("no user has this e-mail address")]
    UnknownEmail,
    /// The temporary credential is over.
    #[n(6)]
    #[error("the session is over")]
    ExpiredToken,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SigningKeyRequest {
    #[n(0)]
    pub access_key: AccessKeyId,
    /// `YYYYMMDD` of the credential scope.
    #[n(1)]
    pub date: String,
    #[n(2)]
    pub region: String,
    #[n(3)]
    pub service: String,
}

/// SigV4's derived key for one day, region and service. May be kept for its day: every later call is checked against
/// `secret_version`.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SigningKey {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub key: [u8; 32],
    #[n(1)]
    pub secret_version: u64,
    #[n(2)]
    pub user: DisplayUser,
    /// Of a temporary credential: SHA-256 of the token that has to come along.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub token: Option<[u8; 32]>,
    /// Where the account's bucket names lie, which never changes. None: `s3v`.
    #[n(4)]
    pub volume: Option<VolumeName>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {}, secret version {})", self.user.id, self.secret_version)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum SigningKeyRejected {
    #[n(0)]
    #[error("no such access key")]
    NoSuchAccessKey,
}

/// The claim that one of these texts, the forms in which honest clients write one request, was signed by Signature Version 2:
/// with HMAC-SHA1 under the secret itself. No key can be derived for that, so that the OM looks by itself.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignatureV2 {
    #[n(0)]
    pub access_key: AccessKeyId,
    #[n(1)]
    pub texts: Vec<ByteVec>,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub signature: [u8; 20],
}

impl fmt::Debug for SignatureV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A text holds what the client keeps to itself, such as a key of its own in a header.
        write!(f, "SignatureV2(by {}, {} texts)", self.access_key, self.texts.len())
    }
}

/// Whose the signature is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignerV2 {
    #[n(0)]
    pub secret_version: u64,
    #[n(1)]
    pub user: DisplayUser,
    /// As [`SigningKey::token`].
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub token: Option<[u8; 32]>,
    /// As [`SigningKey::volume`].
    #[n(3)]
    pub volume: Option<VolumeName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum SignatureV2Rejected {
    #[n(0)]
    #[error("no such access key")]
    NoSuchAccessKey,
    #[n(1)]
    #[error("the signature is not of any of the texts")]
    Mismatch,
}

/// A user as S3 shows owners.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct DisplayUser {
    #[n(0)]
    pub id: UserId,
    #[n(1)]
    pub display_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyPair {
    #[n(0)]
    pub access_key: AccessKeyId,
    #[n(1)]
    pub secret_key: SecretKey,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CreateSecret {
    #[n(0)]
    pub by: Requester,
    /// Whose: the requester's own if absent. Only an administrator may name another.
    #[n(1)]
    pub user: Option<UserId>,
    /// Beside the one that the user has, which works until it is revoked. None is no.
    #[n(2)]
    pub rotates: Option<bool>,
    /// This pair and not a new one: an administrator's to give.
    #[n(3)]
    pub pair: Option<KeyPair>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IssuedSecret {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub pair: KeyPair,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RevokeSecret {
    #[n(0)]
    pub by: Requester,
    #[n(1)]
    pub user: Option<UserId>,
    /// This one alone; all of them if absent.
    #[n(2)]
    pub access_key: Option<AccessKeyId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum SecretRejected {
    #[n(0)]
    #[error(transparent)]
    Denied(#[n(0)] Denied),
    #[n(1)]
    #[error("no such user")]
    NoSuchUser,
    /// The user has a secret already; revoke it first.
    #[n(2)]
    #[error("the user has a secret")]
    SecretExists,
    #[n(3)]
    #[error("the user has no such secret")]
    NoSecret,
    #[n(4)]
    #[error("the user has two secrets: revoke one first")]
    TooMany,
    #[n(5)]
    #[error("the access key is somebody's, or once was")]
    AccessKeyTaken,
    #[n(6)]
    #[error("not a usable {0}")]
    Unfit(#[n(0)] String),
}

/// Of an administrator, or of the operator's own bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ListUsers {
    #[n(0)]
    pub by: Requester,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct UserInfo {
    #[n(0)]
    pub user: DisplayUser,
    #[n(1)]
    pub email: Option<String>,
    #[n(2)]
    pub is_admin: bool,
    #[n(3)]
    pub access_keys: Vec<AccessKeyId>,
    /// What ARNs name the account by.
    #[n(4)]
    pub account_id: Option<String>,
    /// None: `s3v`.
    #[n(5)]
    pub volume: Option<VolumeName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EnsureUser {
    #[n(0)]
    pub user: DisplayUser,
    #[n(1)]
    pub email: Option<String>,
    #[n(2)]
    pub is_admin: bool,
    /// Given by the operator; another secret for the same access key replaces it.
    #[n(3)]
    pub pair: Option<KeyPair>,
    /// Where its buckets lie. None says nothing of it: a new one is at home in `s3v`, and one that is there where it was.
    #[n(4)]
    pub volume: Option<VolumeName>,
}

impl EnsureUser {
    /// What names and secrets may be. Secrets only have to be guessable by nobody.
    pub fn check(&self) -> Result<(), EnsureUserRejected> {
        let names = AccountNames { user: &self.user, email: self.email.as_deref(), volume: self.volume.as_ref() };
        names.check()?;
        self.pair.as_ref().map_or(Ok(()), KeyPair::check)
    }
}

impl KeyPair {
    pub fn check(&self) -> Result<(), EnsureUserRejected> {
        let invalid = |what: &str| Err(EnsureUserRejected::Invalid(what.to_owned()));
        let is_graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let (id, secret) = (&self.access_key.0, &self.secret_key.0);
        if !(3..=128).contains(&id.len()) || !is_graphic(id) || id.contains(['/', ',', '=']) {
            return invalid("access key: 3 to 128 visible characters without / , =");
        }
        if !(8..=256).contains(&secret.len()) || !is_graphic(secret) {
            return invalid("secret key: 8 to 256 visible characters, none of them a space");
        }
        Ok(())
    }
}

/// Of a pair that is brought along, so that nobody guesses it: a configuration may give shorter ones, for tests.
const LEAST_ID: usize = 16;
const LEAST_SECRET: usize = 32;
const LEAST_LETTERS: usize = 10;

impl KeyPair {
    /// Whether it is as good as one that is rolled: [`KeyPair::check`], and no weak one.
    pub fn check_strength(&self) -> Result<(), SecretRejected> {
        let unfit = |what: &str| Err(SecretRejected::Unfit(what.to_owned()));
        if let Err(EnsureUserRejected::Invalid(what)) = self.check() {
            return Err(SecretRejected::Unfit(what));
        }
        let (id, secret) = (&self.access_key.0, &self.secret_key.0);
        if id.len() < LEAST_ID {
            return unfit("access key: at least 16 characters");
        }
        let letters: std::collections::BTreeSet<u8> = secret.bytes().collect();
        if secret.len() < LEAST_SECRET || letters.len() < LEAST_LETTERS || secret.contains(id.as_str()) {
            return unfit("secret key: at least 32 characters, ten different ones among them, without the access key");
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum EnsureUserRejected {
    #[n(0)]
    #[error("the access key belongs to another user")]
    AccessKeyTaken,
    #[n(1)]
    #[error("the e-mail address belongs to another user")]
    EmailTaken,
    #[n(2)]
    #[error("not a usable {0}")]
    Invalid(#[n(0)] String),
    /// It is another already, and what is kept about an account's volume is kept for good.
    #[n(3)]
    #[error("the account's buckets lie in the volume {0}, and that never changes")]
    VolumeFixed(#[n(0)] VolumeName),
}
