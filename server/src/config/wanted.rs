//! The users, pairs and buckets that a configuration names, checked as far as can be without asking anybody.

use std::collections::BTreeMap;

use om_api::{AccessKeyId, DisplayUser, EnsureUser, KeyPair, KmsKeyId, SecretKey, UserId};
use types::BucketName;

use super::{Config, User};

/// The administrator of a fresh cluster.
pub(crate) const ROOT: &str = "root";

#[derive(Debug)]
pub(crate) struct Wanted {
    /// The administrator's pair, if it was given.
    pub(crate) root: Option<KeyPair>,
    pub(crate) users: Vec<EnsureUser>,
    /// Each with its owner.
    pub(crate) buckets: Vec<(BucketName, UserId)>,
    pub(crate) kms_keys: Vec<KmsKeyId>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WantedError {
    #[error("{has} is set and {lacks} is not: they go together")]
    HalfARootPair { has: String, lacks: String },
    #[error("the administrator's pair: {0}")]
    RootPair(String),
    #[error("user {0:?}: access_key and secret_key go together: one of them is missing")]
    HalfAPair(String),
    #[error("user {id:?}: {why}")]
    User { id: String, why: String },
    #[error("user {0:?} stands twice")]
    TwoUsers(String),
    #[error("user {0:?} is the administrator's: it is given by root.access_key and root.secret_key")]
    Root(String),
    #[error("users {one:?} and {other:?} have the same {what}: it belongs to one user")]
    Shared { one: String, other: String, what: &'static str },
    #[error("bucket {0:?}: not a valid bucket name: 3 to 63 of a-z, 0-9, '.' and '-'")]
    BucketName(String),
    #[error("bucket {0:?} stands twice, with different owners")]
    TwoOwners(BucketName),
    #[error("kms: not a usable name of a key: {0:?}: 1 to 256 letters, digits and - _ . : / @ + =")]
    KmsKey(String),
}

impl Wanted {
    pub(super) fn of(config: &Config) -> Result<Self, WantedError> {
        let root = root_pair(config)?;
        let mut keys: BTreeMap<AccessKeyId, &str> = BTreeMap::new();
        let mut emails: BTreeMap<String, &str> = BTreeMap::new();
        keys.extend(root.iter().map(|pair| (pair.access_key.clone(), ROOT)));
        let mut users: Vec<EnsureUser> = Vec::with_capacity(config.user.len());
        for user in &config.user {
            let wanted = ensured(user)?;
            if user.id == ROOT {
                return Err(WantedError::Root(user.id.clone()));
            }
            if users.iter().any(|earlier| earlier.user.id == wanted.user.id) {
                return Err(WantedError::TwoUsers(user.id.clone()));
            }
            let shared = |one: &str, what| WantedError::Shared { one: one.to_owned(), other: user.id.clone(), what };
            if let Some(pair) = &wanted.pair
                && let Some(one) = keys.insert(pair.access_key.clone(), &user.id)
            {
                return Err(shared(one, "access key"));
            }
            if let Some(email) = &wanted.email
                && let Some(one) = emails.insert(email.to_lowercase(), &user.id)
            {
                return Err(shared(one, "e-mail address"));
            }
            users.push(wanted);
        }
        Ok(Self { root, users, buckets: buckets(config)?, kms_keys: kms_keys(config)? })
    }
}

fn root_pair(config: &Config) -> Result<Option<KeyPair>, WantedError> {
    const ACCESS_KEY: &str = "root.access_key";
    const SECRET_KEY: &str = "root.secret_key";
    let half = |given, missing| {
        let [has, lacks] = config.names_of(given, missing);
        WantedError::HalfARootPair { has, lacks }
    };
    let pair = match (&config.root.access_key, &config.root.secret_key) {
        (Some(access_key), Some(secret_key)) => pair(access_key, secret_key),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(half(ACCESS_KEY, SECRET_KEY)),
        (None, Some(_)) => return Err(half(SECRET_KEY, ACCESS_KEY)),
    };
    pair.check().map_err(|why| WantedError::RootPair(why.to_string()))?;
    Ok(Some(pair))
}

fn ensured(user: &User) -> Result<EnsureUser, WantedError> {
    let pair = match (&user.access_key, &user.secret_key) {
        (Some(access_key), Some(secret_key)) => Some(pair(access_key, secret_key)),
        (None, None) => None,
        _ => return Err(WantedError::HalfAPair(user.id.clone())),
    };
    let display_name = user.display_name.clone().unwrap_or_else(|| user.id.clone());
    let wanted = EnsureUser {
        user: DisplayUser { id: UserId(user.id.clone()), display_name },
        email: user.email.clone(),
        is_admin: user.admin,
        pair,
    };
    wanted.check().map_err(|why| WantedError::User { id: user.id.clone(), why: why.to_string() })?;
    Ok(wanted)
}

fn pair(access_key: &str, secret_key: &str) -> KeyPair {
    KeyPair { access_key: AccessKeyId(access_key.to_owned()), secret_key: SecretKey(secret_key.to_owned()) }
}

/// The default key need not be among them: an administrator may have made it.
fn kms_keys(config: &Config) -> Result<Vec<KmsKeyId>, WantedError> {
    let check = |name: &String| {
        let key = KmsKeyId(name.clone());
        if key.is_usable() { Ok(key) } else { Err(WantedError::KmsKey(name.clone())) }
    };
    config.kms.default_key.as_ref().map(check).transpose()?;
    config.kms.keys.iter().map(check).collect()
}

/// Whether an owner exists only the OM knows: a user stays when a later configuration does not name them.
fn buckets(config: &Config) -> Result<Vec<(BucketName, UserId)>, WantedError> {
    let mut buckets: Vec<(BucketName, UserId)> = Vec::with_capacity(config.bucket.len());
    for bucket in &config.bucket {
        let name = BucketName::parse(&bucket.name).map_err(|_| WantedError::BucketName(bucket.name.clone()))?;
        let owner = UserId(bucket.owner.clone().unwrap_or_else(|| ROOT.to_owned()));
        match buckets.iter().find(|(earlier, _)| *earlier == name) {
            Some((_, earlier)) if *earlier != owner => return Err(WantedError::TwoOwners(name)),
            Some(_) => {}
            None => buckets.push((name, owner)),
        }
    }
    Ok(buckets)
}
