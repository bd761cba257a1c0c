//! Users, identities, keys and buckets that exist after a start: the root administrator, and what the configuration names. Idempotent.
//!
//! What is wrong in the configuration itself ends the start of a server of one process. What only the store as it is now hinders does
//! not, since people make and end accounts, and change what is theirs: all else is made, and this is tried again. Until it is made, the
//! OM's overview tells what it is. What was made once is not made so again by this process: whoever takes something away at a later time
//! is not undone.

use std::time::Duration;

use om::OmService;
use om_api::{
    AccessKeyId, CreateBucket, CreateBucketRejected, CreateKmsKey, DisplayUser, EnsureIdentities, EnsureIdentitiesRejected,
    EnsureUser, EnsureUserRejected, KeyPair, KmsKeyId, KmsRejected, ListUsers, Om, Requester, SecretKey, UserId,
};
use raft_node::Group;
use rpc::{CallContext, CallError};
use runtime::Entropy;
use tracing::{error, info, warn};
use types::{BucketAddress, RequestId, VolumeName};

use crate::config::{ROOT, Wanted};

const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A mistake in many places is told by some of them.
const MOST_TOLD: usize = 100;
const ACCESS_KEY_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Debug, thiserror::Error)]
pub(crate) enum BootstrapError {
    #[error("user {id:?}: {why}")]
    User { id: UserId, why: String },
    #[error("iam, of account {account:?}: {why}")]
    Identities { account: UserId, why: String },
    #[error("bucket {bucket:?}: there is no account {owner:?}, which is to own it")]
    Owner { bucket: BucketAddress, owner: UserId },
    #[error("bucket {bucket:?}: {why}")]
    Bucket { bucket: BucketAddress, why: String },
    #[error("key {key:?}: {why}")]
    KmsKey { key: KmsKeyId, why: String },
    #[error("asking which accounts there are: {0}")]
    Users(String),
}

/// Why a call failed, in words.
fn told<R: std::fmt::Display + std::fmt::Debug>(error: CallError<R>) -> String {
    match error {
        CallError::Rejected(rejection) => rejection.to_string(),
        failure => failure.to_string(),
    }
}

/// What is left to be made.
#[derive(Debug)]
pub(crate) struct Rest {
    /// Within it the pair that is given. Without one it is made, unless there is an administrator.
    root: Option<Option<KeyPair>>,
    users: Vec<EnsureUser>,
    identities: Vec<EnsureIdentities>,
    kms_keys: Vec<KmsKeyId>,
    buckets: Vec<(BucketAddress, UserId)>,
}

/// What could not be made in one try.
#[derive(Debug, Default)]
struct Unmade {
    /// It can never be as the configuration has it.
    wrong: Vec<BootstrapError>,
    hindered: Vec<BootstrapError>,
}

impl Unmade {
    fn hindered(&mut self, why: BootstrapError) {
        error!(error = %why, "what the configuration names could not be made; this is tried again");
        self.hindered.push(why);
    }
}

impl Rest {
    pub(crate) fn all(wanted: Wanted) -> Self {
        let Wanted { root, users, buckets, kms_keys, identities } = wanted;
        Self { root: Some(root), users, identities, kms_keys, buckets }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let Self { root, users, identities, kms_keys, buckets } = self;
        root.is_none() && users.is_empty() && identities.is_empty() && kms_keys.is_empty() && buckets.is_empty()
    }

    /// Makes what can be made, and tells what cannot. Answers what is wrong in the configuration itself.
    pub(crate) async fn ensure(&mut self, om: &OmService, entropy: &dyn Entropy) -> Vec<BootstrapError> {
        let mut unmade = Unmade::default();
        self.make(om, entropy, &mut unmade).await;
        om.tell_unmade(told_of(unmade.wrong.iter().chain(&unmade.hindered)));
        unmade.wrong
    }

    async fn make(&mut self, om: &dyn Om, entropy: &dyn Entropy, unmade: &mut Unmade) {
        for user in std::mem::take(&mut self.users) {
            if let Err(why) = ensure_user(om, user.clone(), entropy).await {
                unmade.hindered(why);
                self.users.push(user);
            }
        }
        // After those who the file says are administrators no more.
        if let Some(root) = self.root.take()
            && let Err(why) = ensure_root(om, root.clone(), entropy).await
        {
            unmade.hindered(why);
            self.root = Some(root);
        }
        for wanted in std::mem::take(&mut self.identities) {
            self.identities.extend(ensure_identities(om, wanted, entropy, unmade).await);
        }
        for key in std::mem::take(&mut self.kms_keys) {
            if let Err(why) = ensure_kms_key(om, &key, entropy).await {
                unmade.hindered(why);
                self.kms_keys.push(key);
            }
        }
        for (bucket, owner) in std::mem::take(&mut self.buckets) {
            if let Err(why) = ensure_bucket(om, &bucket, &owner, entropy).await {
                unmade.hindered(why);
                self.buckets.push((bucket, owner));
            }
        }
    }

    /// Tries until nothing is left, while this process leads.
    pub(crate) async fn ensure_all(mut self, om: &OmService, group: &Group, entropy: &dyn Entropy) {
        let mut leadership = group.leadership();
        let mut pause = FIRST_PAUSE;
        while !self.is_empty() {
            if leadership.wait_for(|now| now.is_me).await.is_err() {
                return;
            }
            for wrong in self.ensure(om, entropy).await {
                error!(error = %wrong, "the configuration names what cannot be; this is tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                // What was told of a try that this has ended says little: whoever leads again tries at once.
                _ = leadership.wait_for(|now| !now.is_me) => pause = FIRST_PAUSE,
            }
        }
    }
}

fn told_of<T: ToString>(unmade: impl Iterator<Item = T>) -> Vec<String> {
    let mut told: Vec<String> = unmade.map(|why| why.to_string()).collect();
    let untold = told.len().saturating_sub(MOST_TOLD);
    told.truncate(MOST_TOLD);
    told.extend((untold > 0).then(|| format!("and {untold} more, which the log tells")));
    told
}

/// The configured pair, or the one that exists, or a new one. A new one is shown here and at once: nobody can ask for it again,
/// and whatever fails after this must not take it along.
async fn ensure_root(om: &dyn Om, given: Option<KeyPair>, entropy: &dyn Entropy) -> Result<(), BootstrapError> {
    if given.is_none() {
        let users = om
            .list_users(context(entropy), ListUsers { by: Requester::System })
            .await
            .map_err(|error| BootstrapError::Users(told(error)))?;
        if users.iter().any(|user| user.is_admin && !user.access_keys.is_empty()) {
            return Ok(());
        }
    }
    let is_new = given.is_none();
    let pair = given.unwrap_or_else(|| KeyPair {
        access_key: AccessKeyId(letters(entropy, ACCESS_KEY_LETTERS, 20)),
        secret_key: SecretKey(letters(entropy, SECRET_LETTERS, 40)),
    });
    let root = EnsureUser {
        user: DisplayUser { id: UserId(ROOT.to_owned()), display_name: ROOT.to_owned() },
        email: None,
        is_admin: true,
        pair: Some(pair.clone()),
        volume: None,
    };
    ensure_user(om, root, entropy).await?;
    if is_new {
        show_once(&pair);
    }
    Ok(())
}

/// To standard error and not to the log: a secret has no business in files that are kept.
fn show_once(pair: &KeyPair) {
    eprintln!("\nThe administrator's key pair, shown this once:\n");
    eprintln!("  export AWS_ACCESS_KEY_ID={}", pair.access_key);
    eprintln!("  export AWS_SECRET_ACCESS_KEY={}\n", pair.secret_key.0);
}

async fn ensure_user(om: &dyn Om, user: EnsureUser, entropy: &dyn Entropy) -> Result<(), BootstrapError> {
    let id = user.user.id.clone();
    let mut ensured = om.ensure_user(context(entropy), user.clone()).await;
    if let Err(CallError::Rejected(why @ EnsureUserRejected::VolumeFixed(_))) = &ensured {
        warn!(user = %id, "{why}: all else that the configuration says of it counts");
        ensured = om.ensure_user(context(entropy), EnsureUser { volume: None, ..user }).await;
    }
    ensured.map(|_| ()).map_err(|error| BootstrapError::User { id, why: told(error) })
}

/// Answers what is left.
async fn ensure_identities(
    om: &dyn Om,
    wanted: EnsureIdentities,
    entropy: &dyn Entropy,
    unmade: &mut Unmade,
) -> Option<EnsureIdentities> {
    let account = wanted.account.clone();
    let changed = |changes: u32| {
        if changes > 0 {
            info!(%account, changes, "made the account's identities as the configuration says");
        }
    };
    match om.ensure_identities(context(entropy), wanted.clone()).await {
        Ok(changes) => {
            changed(changes);
            None
        }
        Err(CallError::Rejected(EnsureIdentitiesRejected::Incomplete { unmade: left, made })) => {
            changed(made);
            for one in &left {
                let why = format!("{}: {}", one.what, one.why.message);
                unmade.hindered(BootstrapError::Identities { account: account.clone(), why });
            }
            Some(wanted.only(&left))
        }
        Err(error) => {
            let can_never_be = matches!(error, CallError::Rejected(EnsureIdentitiesRejected::Unfit { .. }));
            let why = BootstrapError::Identities { account, why: told(error) };
            if can_never_be {
                unmade.wrong.push(why)
            } else {
                unmade.hindered(why)
            }
            Some(wanted)
        }
    }
}

async fn ensure_bucket(om: &dyn Om, bucket: &BucketAddress, owner: &UserId, entropy: &dyn Entropy) -> Result<(), BootstrapError> {
    let by = Requester::System;
    // A name alone is one of its owner's volume, which the file need not name.
    let users = om.list_users(context(entropy), ListUsers { by: by.clone() }).await;
    let users = users.map_err(|error| BootstrapError::Users(told(error)))?;
    let home = users.into_iter().find(|user| user.user.id == *owner).and_then(|user| user.volume);
    let request = CreateBucket {
        by,
        bucket: bucket.within(home.as_ref().unwrap_or(VolumeName::s3v_ref())),
        location: None,
        owner: Some(owner.clone()),
        object_lock: false,
        ownership: None,
    };
    match om.create_bucket(context(entropy), request).await {
        Ok(_) => {
            info!(%bucket, "made the bucket that the configuration names");
            Ok(())
        }
        Err(CallError::Rejected(CreateBucketRejected::OwnedByYou(_))) => Ok(()),
        // The system may do everything but give a bucket to nobody.
        Err(CallError::Rejected(CreateBucketRejected::Denied(_))) => {
            Err(BootstrapError::Owner { bucket: bucket.clone(), owner: owner.clone() })
        }
        Err(error) => Err(BootstrapError::Bucket { bucket: bucket.clone(), why: told(error) }),
    }
}

async fn ensure_kms_key(om: &dyn Om, key: &KmsKeyId, entropy: &dyn Entropy) -> Result<(), BootstrapError> {
    match om.create_kms_key(context(entropy), CreateKmsKey { by: Requester::System, key: key.clone() }).await {
        Ok(_) => {
            info!(%key, "made the key that the configuration names");
            Ok(())
        }
        Err(CallError::Rejected(KmsRejected::Exists)) => Ok(()),
        Err(error) => Err(BootstrapError::KmsKey { key: key.clone(), why: told(error) }),
    }
}

fn context(entropy: &dyn Entropy) -> CallContext {
    CallContext::local(RequestId::from_u128(entropy.u128()), CALL_TIMEOUT)
}

/// Both alphabets have a power of two of letters, so that no letter is likelier than another.
fn letters(entropy: &dyn Entropy, alphabet: &[u8], count: usize) -> String {
    let mut bytes = vec![0; count];
    entropy.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SeededEntropy;

    #[test]
    fn made_keys_have_the_length_that_clients_expect_and_no_favourite_letter() {
        assert!(ACCESS_KEY_LETTERS.len().is_power_of_two() && SECRET_LETTERS.len().is_power_of_two());
        let entropy = SeededEntropy::new(7);
        assert_eq!(letters(&entropy, ACCESS_KEY_LETTERS, 20).len(), 20);
        assert_ne!(letters(&entropy, SECRET_LETTERS, 40), letters(&entropy, SECRET_LETTERS, 40));
    }

    #[test]
    fn of_many_mistakes_some_are_told_and_how_many_there_are_beside() {
        let told = |count: usize| told_of(0..count);
        assert_eq!(told(0), Vec::<String>::new());
        assert_eq!(told(MOST_TOLD).last().map(String::as_str), Some("99"));
        let cut = told(MOST_TOLD + 7);
        assert_eq!((cut.len(), cut[MOST_TOLD].as_str()), (MOST_TOLD + 1, "and 7 more, which the log tells"));
    }
}
