//! The users, pairs and buckets that a configuration names, checked as far as can be without asking anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use om_api::{AccessKeyId, DisplayUser, EnsureIdentities, EnsureUser, KeyPair, KmsKeyId, SecretKey, UserId};
use types::{BucketAddress, VolumeName};

use super::{Config, User, identities};
use crate::files;

/// The administrator of a fresh cluster.
pub(crate) const ROOT: &str = "root";

#[derive(Debug)]
pub(crate) struct Wanted {
    /// The administrator's pair, if it was given.
    pub(crate) root: Option<KeyPair>,
    pub(crate) users: Vec<EnsureUser>,
    /// Each with its owner.
    pub(crate) buckets: Vec<(BucketAddress, UserId)>,
    pub(crate) kms_keys: Vec<KmsKeyId>,
    /// Of each account that has some.
    pub(crate) identities: Vec<EnsureIdentities>,
}

/// Whether the files and variables are read that a configuration names. Every process checks the whole of it; what stands in them only
/// whoever makes it so needs to know, and perhaps only their machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Now,
    Later,
}

impl Reading {
    /// A policy that stands here, or in a file.
    pub(super) fn text(self, what: &str, given: &str) -> Result<String, WantedError> {
        if given.trim_start().starts_with('{') || self == Self::Later {
            return Ok(given.to_owned());
        }
        std::fs::read_to_string(given).map_err(|error| WantedError::given(what, format!("reading {given}: {error}")))
    }

    fn secret_file(self, what: &str, path: &Path) -> Result<String, WantedError> {
        if self == Self::Later {
            return Ok(UNREAD.to_owned());
        }
        let failed = |why: String| WantedError::given(what, format!("secret_key_file: reading {}: {why}", path.display()));
        let bytes = files::read_secret(path).map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| failed("it is no text".to_owned()))?;
        Ok(text.trim().to_owned())
    }

    fn variable(self, what: &str, name: &str) -> Result<String, WantedError> {
        if self == Self::Later {
            return Ok(UNREAD.to_owned());
        }
        std::env::var(name).map_err(|_| WantedError::given(what, format!("secret_key_env: there is no variable {name}")))
    }
}

/// Stands for what is not read yet.
const UNREAD: &str = "not-read-yet";

/// A secret where a person has put it: one of these places.
#[derive(Clone, Copy)]
pub(super) struct Secret<'c> {
    pub(super) text: &'c Option<String>,
    pub(super) file: &'c Option<PathBuf>,
    pub(super) variable: &'c Option<String>,
}

impl Secret<'_> {
    pub(super) fn pair(self, what: &str, access_key: &Option<String>, reading: Reading) -> Result<Option<KeyPair>, WantedError> {
        let secret = match (self.text, self.file, self.variable) {
            (Some(text), None, None) => Some(text.clone()),
            (None, Some(path), None) => Some(reading.secret_file(what, path)?),
            (None, None, Some(name)) => Some(reading.variable(what, name)?),
            (None, None, None) => None,
            _ => return Err(WantedError::given(what, "one of secret_key, secret_key_file and secret_key_env".to_owned())),
        };
        let pair = match (access_key, secret) {
            (Some(access_key), Some(secret)) => pair(access_key, &secret),
            (None, None) => return Ok(None),
            _ => {
                return Err(WantedError::given(what, "access_key and secret_key go together: one of them is missing".to_owned()));
            }
        };
        pair.check().map_err(|why| WantedError::given(what, why.to_string()))?;
        Ok(Some(pair))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WantedError {
    #[error("{has} is set and {lacks} is not: they go together")]
    HalfARootPair { has: String, lacks: String },
    #[error("the administrator's pair: {0}")]
    RootPair(String),
    #[error("{what}: {why}")]
    Given { what: String, why: String },
    #[error("user {id:?}: {why}")]
    User { id: String, why: String },
    #[error("user {0:?} stands twice")]
    TwoUsers(String),
    #[error("user {0:?} is the administrator's: it is given by root.access_key and root.secret_key")]
    Root(String),
    #[error("users {one:?} and {other:?} have the same {what}: it belongs to one user")]
    Shared { one: String, other: String, what: &'static str },
    #[error(
        "bucket {0:?}: not a valid bucket name: 3 to 63 of a-z, 0-9, '.' and '-', behind its volume and a colon if it is in another"
    )]
    BucketName(String),
    #[error("bucket {0:?} stands twice, with different owners")]
    TwoOwners(BucketAddress),
    #[error("kms: not a usable name of a key: {0:?}: 1 to 256 letters, digits and - _ . : / @ + =")]
    KmsKey(String),
}

impl WantedError {
    fn given(what: &str, why: String) -> Self {
        Self::Given { what: what.to_owned(), why }
    }
}

impl Config {
    /// Variables of the environment that hold secrets: they are no settings, whatever they are called.
    pub(super) fn secret_variables(&self) -> BTreeSet<String> {
        let accounts = self.user.iter().filter_map(|user| user.secret_key_env.clone());
        accounts.chain(self.iam.user.iter().filter_map(|user| user.secret_key_env.clone())).collect()
    }
}

impl Wanted {
    pub(super) fn of(config: &Config, reading: Reading) -> Result<Self, WantedError> {
        let root = root_pair(config)?;
        let mut keys: BTreeMap<AccessKeyId, &str> = BTreeMap::new();
        let mut emails: BTreeMap<String, &str> = BTreeMap::new();
        keys.extend(root.iter().map(|pair| (pair.access_key.clone(), ROOT)));
        let mut users: Vec<EnsureUser> = Vec::with_capacity(config.user.len());
        for user in &config.user {
            let wanted = ensured(user, reading)?;
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
        let identities = identities::wanted(&config.iam, reading)?;
        for (account, user) in identities.iter().flat_map(|of| of.users.iter().map(move |user| (&of.account, user))) {
            if let Some(pair) = &user.pair
                && let Some(one) = keys.insert(pair.access_key.clone(), &user.name)
            {
                let other = format!("{} of {account}", user.name);
                return Err(WantedError::Shared { one: one.to_owned(), other, what: "access key" });
            }
        }
        Ok(Self { root, users, buckets: buckets(config)?, kms_keys: kms_keys(config)?, identities })
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

fn ensured(user: &User, reading: Reading) -> Result<EnsureUser, WantedError> {
    let secret = Secret { text: &user.secret_key, file: &user.secret_key_file, variable: &user.secret_key_env };
    let pair = secret.pair(&format!("user {:?}", user.id), &user.access_key, reading)?;
    let display_name = user.display_name.clone().unwrap_or_else(|| user.id.clone());
    let parse = |name: &String| VolumeName::parse(name).map_err(|why| format!("volume {name:?}: {why}"));
    let volume = user.volume.as_ref().map(parse).transpose();
    let volume = volume.map_err(|why| WantedError::User { id: user.id.clone(), why })?;
    let wanted = EnsureUser {
        user: DisplayUser { id: UserId(user.id.clone()), display_name },
        email: user.email.clone(),
        is_admin: user.admin,
        pair,
        volume,
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
fn buckets(config: &Config) -> Result<Vec<(BucketAddress, UserId)>, WantedError> {
    let home = |owner: &UserId| {
        let named = config.user.iter().find(|user| user.id == owner.0).and_then(|user| user.volume.as_deref());
        named.and_then(|volume| VolumeName::parse(volume).ok()).unwrap_or_else(VolumeName::s3v)
    };
    let mut buckets: Vec<(BucketAddress, UserId)> = Vec::with_capacity(config.bucket.len());
    for bucket in &config.bucket {
        let name = BucketAddress::parse(&bucket.name).map_err(|_| WantedError::BucketName(bucket.name.clone()))?;
        let owner = UserId(bucket.owner.clone().unwrap_or_else(|| ROOT.to_owned()));
        let path = name.within(&home(&owner));
        match buckets.iter().find(|(earlier, of)| earlier.within(&home(of)) == path) {
            Some((_, earlier)) if *earlier != owner => return Err(WantedError::TwoOwners(name)),
            Some(_) => {}
            None => buckets.push((name, owner)),
        }
    }
    Ok(buckets)
}
