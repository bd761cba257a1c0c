//! Who asks: the identity that a credential belongs to at the moment of asking.

use std::sync::Arc;

use bucket_config::LoggingConfiguration;
use tables::{ReadTables, StorageFault};
use types::{BucketId, BucketPath, Timestamp, VolumeName};

use super::acl::LOG_DELIVERY;
use super::{Denied, Requester};
use crate::access_logs;
use crate::iam::{self, HolderRef, Powers};
use crate::namespace;
use crate::policy::{Account, Caller, Grants, Policy, PolicyKind, Source};
use crate::rows::{AccessKeyId, AccessKeyRow, BucketRow, CredentialHolder, CredentialRow, IamId, Tags, UserId, UserRow};

/// Where parsed policies are kept between requests.
pub trait KnownPowers {
    fn of(&self, tables: &dyn ReadTables, account: &UserRow, holder: HolderRef<'_>) -> Result<Arc<Powers>, StorageFault>;

    /// What a session is narrowed to, which never changes.
    fn session(&self, access_key: &AccessKeyId, row: &CredentialRow) -> Arc<Vec<Policy>>;
}

/// The policies of a session, parsed.
pub fn session_policies(row: &CredentialRow) -> Vec<Policy> {
    let parse = |text: &String| Policy::parse(text, PolicyKind::Identity).unwrap_or_else(|_| Policy::shut_for_holder());
    row.policies.iter().map(parse).collect()
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unkept;

impl KnownPowers for Unkept {
    fn of(&self, tables: &dyn ReadTables, account: &UserRow, holder: HolderRef<'_>) -> Result<Arc<Powers>, StorageFault> {
        Powers::load(tables, account, holder).map(Arc::new)
    }

    fn session(&self, _: &AccessKeyId, row: &CredentialRow) -> Arc<Vec<Policy>> {
        Arc::new(session_policies(row))
    }
}

/// A requester whose credential is good at the moment of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Anonymous,
    /// An account itself: its root. Nothing stands above it.
    User(UserRow),
    /// Whoever needs policies to be judged: a user or a role of an account, a session, an account that an administrator governs.
    Member(Box<Member>),
    /// Trioxide itself.
    System,
    /// Trioxide where it delivers access logs: it may what the target lets S3's own service do for each of them, and in one place.
    LogDelivery(Vec<LogSource>),
}

/// Somebody of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub account: UserRow,
    pub(crate) caller: Caller,
    pub(crate) powers: Arc<Powers>,
    /// As policies know them: `AIDA…`, or `AROA…:session`.
    pub(crate) unique_id: String,
    pub(crate) session: Option<Session>,
}

/// What a temporary credential adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub(crate) policies: Arc<Vec<Policy>>,
    pub(crate) tags: Tags,
    pub(crate) claims: Vec<(String, Vec<String>)>,
    pub(crate) provider: Option<String>,
    pub(crate) created: Timestamp,
    /// A delegation token: it reads and writes for its owner, and gets nobody anything that outlasts it.
    pub(crate) is_delegated: bool,
}

impl Member {
    /// The name of the account's user, if it is one: what IAM takes for the caller's own.
    pub fn user_name(&self) -> Option<&str> {
        match &self.caller {
            Caller::User { name, .. } => Some(name.rsplit('/').next().unwrap_or(name)),
            Caller::Root(_) | Caller::Anonymous | Caller::Session { .. } | Caller::Service(_) | Caller::Federated(_) => None,
        }
    }

    pub fn is_root(&self) -> bool {
        matches!(self.caller, Caller::Root(_))
    }

    pub fn arn(&self) -> String {
        self.caller.arn().unwrap_or_default()
    }

    pub fn unique_id(&self) -> &str {
        &self.unique_id
    }

    /// It has taken a role.
    pub fn has_role(&self) -> bool {
        matches!(self.caller, Caller::Session { .. })
    }

    pub fn is_temporary(&self) -> bool {
        self.session.is_some()
    }

    /// It signs with a delegation token.
    pub fn is_delegated(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_delegated)
    }

    /// Tags that come along into a session of a role that this one takes.
    pub fn tags(&self) -> Vec<&(String, String)> {
        let of_session = self.session.iter().flat_map(|session| &session.tags);
        let own = self.powers.tags.iter();
        let mut tags: Vec<&(String, String)> = of_session.collect();
        for tag in own {
            if !tags.iter().any(|(key, _)| *key == tag.0) {
                tags.push(tag);
            }
        }
        tags
    }

    pub(crate) fn grants<'s>(&self, own: &'s [Source<'s>]) -> Grants<'s> {
        if self.is_root() { Grants::Everything } else { Grants::Policies(own) }
    }

    pub(crate) fn session_sources(&self) -> Vec<Source<'_>> {
        let policies = self.session.iter().flat_map(|session| session.policies.iter());
        policies.map(|policy| Source { name: "of the session", policy }).collect()
    }
}

/// A bucket with an access log, and where that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    pub(super) owner: UserId,
    /// The owner's number, as ARNs have it.
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) target: BucketPath,
    /// The bucket that had the target's name when the log was set up.
    pub(super) meant: Option<BucketId>,
    pub(super) prefix: String,
}

impl LogSource {
    pub fn of(
        tables: &dyn ReadTables,
        bucket: &BucketRow,
        logging: &LoggingConfiguration,
        meant: Option<BucketId>,
    ) -> Result<Self, StorageFault> {
        let owner = namespace::user(tables, &bucket.owner)?;
        Ok(Self {
            owner: bucket.owner.clone(),
            account: owner.map_or_else(|| bucket.owner.0.clone(), |owner| owner.account_id()),
            arn: bucket.arn(),
            target: logging.target.within(&bucket.volume),
            meant,
            prefix: logging.prefix.clone(),
        })
    }

    /// Of buckets that anybody could make, and that no policy means: a name that begins or ends as this one does, and this one in
    /// another volume.
    pub(super) fn strangers(&self) -> [Self; 3] {
        let (place, name) = self.arn.rsplit_once(':').unwrap_or_default();
        let elsewhere = format!("arn:aws:s3::strangers-volume:{name}");
        [format!("{place}:strangers-{name}"), format!("{}-of-a-stranger", self.arn), elsewhere].map(|arn| Self {
            owner: UserId("a-stranger".to_owned()),
            account: "000000000000".to_owned(),
            arn,
            ..self.clone()
        })
    }
}

fn account_of(user: &UserRow) -> Account {
    Account { id: user.account_id(), canonical: user.id.0.clone() }
}

impl Identity {
    /// The account that asks: whatever it makes is the account's.
    pub fn user_id(&self) -> Option<&UserId> {
        self.account().map(|account| &account.id)
    }

    /// Where bucket names lie that nothing qualifies.
    pub fn home(&self) -> &VolumeName {
        self.account().map_or(VolumeName::s3v_ref(), UserRow::home)
    }

    pub fn account(&self) -> Option<&UserRow> {
        match self {
            Self::User(user) => Some(user),
            Self::Member(member) => Some(&member.account),
            Self::Anonymous | Self::System | Self::LogDelivery(_) => None,
        }
    }

    /// As policies name them.
    pub fn principal(&self) -> Caller {
        match self {
            Self::User(user) => Caller::Root(account_of(user)),
            Self::Member(member) => member.caller.clone(),
            Self::Anonymous | Self::System => Caller::Anonymous,
            Self::LogDelivery(_) => Caller::Service(LOG_DELIVERY.to_owned()),
        }
    }

    /// Of an account that administers the cluster: it is at home in every bucket. What one of its users may do there is for
    /// their policies to say.
    pub(super) fn is_admin(&self) -> bool {
        self.account().is_some_and(|account| account.is_admin)
    }

    /// With all the rights of an account.
    pub fn is_root(&self) -> bool {
        match self {
            Self::User(_) => true,
            Self::Member(member) => member.is_root(),
            Self::Anonymous | Self::System | Self::LogDelivery(_) => false,
        }
    }

    /// Signs with a key of their own, which lasts until it is revoked.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::User(_) => true,
            Self::Member(member) => !member.is_temporary(),
            Self::Anonymous | Self::System | Self::LogDelivery(_) => false,
        }
    }

    /// Whether somebody of an account is meant by what was written down of them.
    pub fn is(&self, account: &UserId, holder: &CredentialHolder) -> bool {
        let of_account = self.user_id() == Some(account);
        of_account
            && match (holder, self) {
                (CredentialHolder::Root, _) => self.is_root(),
                (CredentialHolder::User { id, .. }, Self::Member(member)) => member.unique_id == id.0,
                (CredentialHolder::User { .. } | CredentialHolder::Role { .. }, _) => false,
            }
    }

    /// For the audit of whoever serves the bytes.
    pub fn caller(&self) -> &str {
        match self {
            Self::User(user) => &user.id.0,
            Self::Member(member) => &member.account.id.0,
            Self::Anonymous => "anonymous",
            Self::System => "system",
            Self::LogDelivery(_) => "log-delivery",
        }
    }
}

/// Whom the credential belongs to, if it is still the one that verified the signature.
pub fn identify(
    tables: &dyn ReadTables,
    requester: &Requester,
    now: Timestamp,
    known: &dyn KnownPowers,
) -> Result<Result<Identity, Denied>, StorageFault> {
    match requester {
        Requester::Anonymous => Ok(Ok(Identity::Anonymous)),
        Requester::System => Ok(Ok(Identity::System)),
        Requester::LogDelivery { of } => log_sources(tables, of),
        Requester::Signed { access_key, secret_version } => {
            if let Some(row) = namespace::access_key(tables, access_key)? {
                return of_key(tables, access_key, *secret_version, row, known);
            }
            match namespace::credential(tables, access_key)? {
                Some(row) => of_credential(tables, access_key, *secret_version, row, now, known),
                None => Ok(Err(Denied::NoSuchAccessKey)),
            }
        }
    }
}

fn of_key(
    tables: &dyn ReadTables,
    access_key: &AccessKeyId,
    secret_version: u64,
    row: AccessKeyRow,
    known: &dyn KnownPowers,
) -> Result<Result<Identity, Denied>, StorageFault> {
    if !row.is_active() {
        return Ok(Err(Denied::NoSuchAccessKey));
    }
    if row.secret_version != secret_version {
        return Ok(Err(Denied::StaleCredential));
    }
    let Some(account) = namespace::user(tables, &row.user)? else {
        return Err(StorageFault(format!("{access_key:?} belongs to {:?}, who does not exist", row.user)));
    };
    match &row.holder {
        None if account.is_governed != Some(true) => Ok(Ok(Identity::User(account))),
        None => Ok(Ok(root(tables, account, None, known)?)),
        Some(name) => Ok(user(tables, account, name, None, None, known)?.ok_or(Denied::NoSuchAccessKey)),
    }
}

fn root(
    tables: &dyn ReadTables,
    account: UserRow,
    session: Option<Session>,
    known: &dyn KnownPowers,
) -> Result<Identity, StorageFault> {
    let powers = known.of(tables, &account, HolderRef::Root)?;
    let (caller, unique_id) = (Caller::Root(account_of(&account)), account.account_id());
    Ok(Identity::Member(Box::new(Member { account, caller, powers, unique_id, session })))
}

fn user(
    tables: &dyn ReadTables,
    account: UserRow,
    name: &str,
    is: Option<&IamId>,
    session: Option<Session>,
    known: &dyn KnownPowers,
) -> Result<Option<Identity>, StorageFault> {
    let powers = known.of(tables, &account, HolderRef::User(name))?;
    let Some(id) = powers.id.clone().filter(|id| is.is_none_or(|is| is == id)) else { return Ok(None) };
    let caller = Caller::User { account: account_of(&account), name: powers.full_name.clone() };
    Ok(Some(Identity::Member(Box::new(Member { account, caller, powers, unique_id: id.0, session }))))
}

fn of_credential(
    tables: &dyn ReadTables,
    access_key: &AccessKeyId,
    secret_version: u64,
    row: CredentialRow,
    now: Timestamp,
    known: &dyn KnownPowers,
) -> Result<Result<Identity, Denied>, StorageFault> {
    if row.secret_version != secret_version {
        return Ok(Err(Denied::StaleCredential));
    }
    if row.expires <= now {
        return Ok(Err(Denied::ExpiredToken));
    }
    let Some(account) = namespace::user(tables, &row.account)? else { return Ok(Err(Denied::NoSuchAccessKey)) };
    if !has_parent(tables, &row)? {
        return Ok(Err(Denied::NoSuchAccessKey));
    }
    let session = Some(Session {
        policies: known.session(access_key, &row),
        tags: row.tags,
        claims: row.claims,
        provider: row.provider,
        created: row.created,
        is_delegated: row.delegation.is_some(),
    });
    let found = match &row.holder {
        CredentialHolder::Root => Some(root(tables, account, session, known)?),
        CredentialHolder::User { name, id } => user(tables, account, name, Some(id), session, known)?,
        CredentialHolder::Role { name, id, session: session_name } => {
            let powers = known.of(tables, &account, HolderRef::Role(name))?;
            // A role of the same name that was made later is another.
            (powers.id.as_ref() == Some(id)).then(|| {
                let caller = Caller::Session {
                    account: account_of(&account),
                    role: powers.full_name.clone(),
                    session: session_name.clone(),
                };
                let unique_id = format!("{}:{session_name}", id.0);
                Identity::Member(Box::new(Member { account, caller, powers, unique_id, session }))
            })
        }
    };
    Ok(found.ok_or(Denied::NoSuchAccessKey))
}

/// A delegation token that nobody ended, whose owner is there.
pub fn is_alive(tables: &dyn ReadTables, row: &CredentialRow) -> Result<bool, StorageFault> {
    let has_holder = match &row.holder {
        CredentialHolder::User { name, id } => iam::user(tables, &row.account, name)?.is_some_and(|user| user.id == *id),
        CredentialHolder::Root | CredentialHolder::Role { .. } => true,
    };
    Ok(has_holder && has_parent(tables, row)?)
}

/// The key that a credential was asked for with still signs, with the secret that it had, and whoever got it for somebody else still administers the cluster.
fn has_parent(tables: &dyn ReadTables, row: &CredentialRow) -> Result<bool, StorageFault> {
    let Some(parent) = &row.parent else { return Ok(true) };
    let Some(key) = namespace::access_key(tables, parent)?.filter(AccessKeyRow::is_active) else { return Ok(false) };
    if row.parent_version.is_some_and(|version| version != key.secret_version) {
        return Ok(false);
    }
    match row.delegation.as_ref().and_then(|delegation| delegation.real_user.as_ref()) {
        None => Ok(key.user == row.account),
        Some(real_user) => {
            let administers = namespace::user(tables, real_user)?.is_some_and(|user| user.is_admin);
            Ok(administers && key.user == *real_user && key.holder.is_none())
        }
    }
}

/// The buckets and their logs as they are now: a log that was taken away is delivered no more.
fn log_sources(tables: &dyn ReadTables, of: &[BucketId]) -> Result<Result<Identity, Denied>, StorageFault> {
    let mut sources = Vec::with_capacity(of.len());
    for id in of {
        let Some((bucket, logging)) = namespace::bucket(tables, *id)?.zip(namespace::bucket_document(tables, *id)?) else {
            return Ok(Err(Denied::AccessDenied));
        };
        sources.push(LogSource::of(tables, &bucket, &logging, access_logs::target_meant(tables, bucket.id)?)?);
    }
    Ok(Ok(Identity::LogDelivery(sources)))
}
