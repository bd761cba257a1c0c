//! Users and buckets that exist after a start: the root administrator, and what the configuration names. Idempotent.

use std::time::Duration;

use om_api::{
    AccessKeyId, CreateBucket, CreateBucketRejected, DisplayUser, EnsureUser, EnsureUserRejected, KeyPair, ListUsers, Om,
    Requester, SecretKey, UserId,
};
use rpc::{CallContext, CallError};
use runtime::Entropy;
use tracing::info;
use types::{BucketName, RequestId};

use crate::config::{Config, User};

/// The administrator of a fresh cluster.
const ROOT: &str = "root";
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const ACCESS_KEY_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Debug, thiserror::Error)]
pub(crate) enum BootstrapError {
    #[error("root.access_key and root.secret_key go together: one of them is missing")]
    HalfARootKey,
    #[error("user {0}: access_key and secret_key go together: one of them is missing")]
    HalfAKey(String),
    #[error("user {id}: {source}")]
    User { id: String, source: CallError<EnsureUserRejected> },
    #[error("bucket {0}: not a valid bucket name")]
    BucketName(String),
    #[error("bucket {name}: {source}")]
    Bucket { name: String, source: CallError<CreateBucketRejected> },
    #[error("looking for an administrator: {0}")]
    Users(String),
}

/// A root key pair that was made just now and must be shown, for nobody can ask for it again.
#[derive(Debug)]
pub(crate) struct NewRoot {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl NewRoot {
    /// To standard error and not to the log: a secret has no business in files that are kept.
    pub(crate) fn show_once(&self) {
        eprintln!("\nThe administrator's key pair, shown this once:\n");
        eprintln!("  export AWS_ACCESS_KEY_ID={}", self.access_key);
        eprintln!("  export AWS_SECRET_ACCESS_KEY={}\n", self.secret_key);
    }
}

pub(crate) async fn ensure(om: &dyn Om, config: &Config, entropy: &dyn Entropy) -> Result<Option<NewRoot>, BootstrapError> {
    let new_root = ensure_root(om, config, entropy).await?;
    for user in &config.user {
        ensure_user(om, user, entropy).await?;
    }
    for bucket in &config.bucket {
        let name = BucketName::parse(&bucket.name).map_err(|_| BootstrapError::BucketName(bucket.name.clone()))?;
        let owner = UserId(bucket.owner.clone().unwrap_or_else(|| ROOT.to_owned()));
        let request = CreateBucket { by: Requester::System, bucket: name, location: None, volume: None, owner: Some(owner) };
        match om.create_bucket(context(entropy), request).await {
            Ok(_) => info!(bucket = bucket.name, "made the bucket that the configuration names"),
            Err(CallError::Rejected(CreateBucketRejected::OwnedByYou(_))) => {}
            Err(source) => return Err(BootstrapError::Bucket { name: bucket.name.clone(), source }),
        }
    }
    Ok(new_root)
}

/// The configured pair, or the one that exists, or a new one.
async fn ensure_root(om: &dyn Om, config: &Config, entropy: &dyn Entropy) -> Result<Option<NewRoot>, BootstrapError> {
    let given = match (&config.root.access_key, &config.root.secret_key) {
        (Some(access_key), Some(secret_key)) => Some((access_key.clone(), secret_key.clone())),
        (None, None) => None,
        _ => return Err(BootstrapError::HalfARootKey),
    };
    let is_given = given.is_some();
    if !is_given {
        let users = om
            .list_users(context(entropy), ListUsers { by: Requester::System })
            .await
            .map_err(|error| BootstrapError::Users(error.to_string()))?;
        if users.iter().any(|user| user.is_admin && !user.access_keys.is_empty()) {
            return Ok(None);
        }
    }
    let (access_key, secret_key) =
        given.unwrap_or_else(|| (letters(entropy, ACCESS_KEY_LETTERS, 20), letters(entropy, SECRET_LETTERS, 40)));
    let request = EnsureUser {
        user: DisplayUser { id: UserId(ROOT.to_owned()), display_name: ROOT.to_owned() },
        email: None,
        is_admin: true,
        pair: Some(pair(&access_key, &secret_key)),
    };
    om.ensure_user(context(entropy), request).await.map_err(|source| BootstrapError::User { id: ROOT.to_owned(), source })?;
    Ok((!is_given).then_some(NewRoot { access_key, secret_key }))
}

async fn ensure_user(om: &dyn Om, user: &User, entropy: &dyn Entropy) -> Result<(), BootstrapError> {
    let pair = match (&user.access_key, &user.secret_key) {
        (Some(access_key), Some(secret_key)) => Some(pair(access_key, secret_key)),
        (None, None) => None,
        _ => return Err(BootstrapError::HalfAKey(user.id.clone())),
    };
    let request = EnsureUser {
        user: DisplayUser {
            id: UserId(user.id.clone()),
            display_name: user.display_name.clone().unwrap_or_else(|| user.id.clone()),
        },
        email: user.email.clone(),
        is_admin: user.admin,
        pair,
    };
    om.ensure_user(context(entropy), request)
        .await
        .map(|_| ())
        .map_err(|source| BootstrapError::User { id: user.id.clone(), source })
}

fn pair(access_key: &str, secret_key: &str) -> KeyPair {
    KeyPair { access_key: AccessKeyId(access_key.to_owned()), secret_key: SecretKey(secret_key.to_owned()) }
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
}
