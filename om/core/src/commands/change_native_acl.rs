//! A native ACL changes: entry by entry, so that what others add at the same time stays.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{BucketId, IamError, IamErrorCode, LogIndex, ObjectKey, VersionId, VolumeName};

use super::Outcome;
use crate::namespace;
use crate::native_acl::{self, MOST_ACL_PREFIXES, MOST_NATIVE_ENTRIES};
use crate::rows::{
    self, BucketRow, NativeAcl, NativeEntry, NativeRights, bucket_key, keys_under, prefix_acl_key, volume_acl_key,
};
use crate::tables::{BUCKETS, PREFIXES, VOLUME_ACLS};
use crate::versions;

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChangeNativeAcl {
    #[n(0)]
    pub on: NativePlace,
    #[n(1)]
    pub change: NativeChange,
}

/// What an ACL is of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum NativePlace {
    #[n(0)]
    Volume(#[n(0)] VolumeName),
    /// A prefix that ends in a slash, or the bucket itself under the empty one.
    #[n(1)]
    Prefix {
        #[n(0)]
        bucket: BucketId,
        #[n(1)]
        prefix: String,
    },
    #[n(2)]
    Key {
        #[n(0)]
        bucket: BucketId,
        #[n(1)]
        key: ObjectKey,
        /// The one that whoever asks was let to: another may have come above it.
        #[n(2)]
        version: VersionId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum NativeChange {
    /// More rights for those who are named.
    #[n(0)]
    Add(#[n(0)] Vec<NativeEntry>),
    #[n(1)]
    Remove(#[n(0)] Vec<NativeEntry>),
    /// These and no others.
    #[n(2)]
    Set(#[n(0)] Vec<NativeEntry>),
}

impl NativeChange {
    fn applied(self, to: NativeAcl) -> NativeAcl {
        match self {
            Self::Add(entries) => add(to, entries),
            Self::Set(entries) => add(NativeAcl::default(), entries),
            Self::Remove(entries) => {
                let mut acl = to;
                for gone in entries {
                    for entry in acl.entries.iter_mut().filter(|entry| entry.who == gone.who && entry.scope == gone.scope) {
                        entry.rights = entry.rights.without(gone.rights);
                    }
                    acl.entries
                        .retain(|entry| entry.who != gone.who || entry.scope != gone.scope || entry.rights != NativeRights::NONE);
                }
                acl
            }
        }
    }
}

/// There is one entry for each who and scope.
fn add(mut acl: NativeAcl, entries: Vec<NativeEntry>) -> NativeAcl {
    for new in entries {
        match acl.entries.iter_mut().find(|entry| entry.who == new.who && entry.scope == new.scope) {
            Some(entry) => entry.rights = entry.rights.and(new.rights),
            None => acl.entries.push(new),
        }
    }
    acl
}

fn too_many(rule: String) -> IamError {
    IamError::new(IamErrorCode::LimitExceeded, rule)
}

fn gone(what: &str) -> IamError {
    IamError::new(IamErrorCode::NoSuchEntity, format!("there is no such {what}"))
}

impl ChangeNativeAcl {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<NativeAcl, IamError> {
        let Self { on, change } = self;
        match on {
            NativePlace::Volume(volume) => {
                let acl = match checked(change.applied(native_acl::of_volume(tables, &volume)?.unwrap_or_default())) {
                    Ok(acl) => acl,
                    Err(error) => return Ok(Err(error)),
                };
                put_or_delete(tables, VOLUME_ACLS, &volume_acl_key(&volume), &acl);
                Ok(Ok(acl))
            }
            NativePlace::Prefix { bucket, prefix } => {
                let Some(row) = namespace::bucket(tables, bucket)? else { return Ok(Err(gone("bucket"))) };
                let known = native_acl::of_prefix(tables, &row, &prefix)?;
                if known.is_none() && !prefix.is_empty() {
                    let (there, _) = keys_under(tables, PREFIXES, &bucket_key(bucket), MOST_ACL_PREFIXES + 1)?;
                    // The bucket's own lies before them.
                    let own = usize::from(there.first().is_some_and(|key| key.len() == size_of::<u64>()));
                    if there.len() - own >= MOST_ACL_PREFIXES {
                        return Ok(Err(too_many(format!("at most {MOST_ACL_PREFIXES} prefixes of a bucket have an ACL"))));
                    }
                }
                let acl = match checked(change.applied(known.unwrap_or_default())) {
                    Ok(acl) => acl,
                    Err(error) => return Ok(Err(error)),
                };
                put_or_delete(tables, PREFIXES, &prefix_acl_key(bucket, &prefix), &acl);
                let row = BucketRow { guarded: Some(log), native_acls: Some(log), ..row };
                rows::put(tables, BUCKETS, &bucket_key(bucket), &row);
                Ok(Ok(acl))
            }
            NativePlace::Key { bucket, key, version } => {
                let Some(row) = namespace::bucket(tables, bucket)? else { return Ok(Err(gone("bucket"))) };
                let Ok(mut object) = namespace::version(tables, bucket, &key, Some(version))? else {
                    return Ok(Err(gone("key")));
                };
                let acl = match checked(change.applied(object.body.native_acl.take().unwrap_or_default())) {
                    Ok(acl) => acl,
                    Err(error) => return Ok(Err(error)),
                };
                object.body.native_acl = Some(acl.clone()).filter(|acl| !acl.entries.is_empty());
                versions::rewrite(tables, bucket, &key, object)?;
                if row.native_acls.is_none() {
                    rows::put(tables, BUCKETS, &bucket_key(bucket), &BucketRow { native_acls: Some(log), ..row });
                }
                Ok(Ok(acl))
            }
        }
    }
}

fn checked(acl: NativeAcl) -> Result<NativeAcl, IamError> {
    if acl.entries.len() > MOST_NATIVE_ENTRIES {
        return Err(too_many(format!("an ACL has at most {MOST_NATIVE_ENTRIES} entries")));
    }
    Ok(acl)
}

fn put_or_delete(tables: &mut dyn WriteTables, table: tables::Table, key: &[u8], acl: &NativeAcl) {
    if acl.entries.is_empty() {
        tables.delete(table, key);
    } else {
        rows::put(tables, table, key, acl);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{CredentialHolder, NativeScope, NativeWho, Principal, UserId};
    use crate::testing::{Namespace, key};

    fn bob(rights: NativeRights, scope: NativeScope) -> NativeEntry {
        let who = NativeWho::User(Principal { account: UserId("bob".into()), holder: CredentialHolder::Root });
        NativeEntry { who, rights, scope }
    }

    fn world(rights: NativeRights, scope: NativeScope) -> NativeEntry {
        NativeEntry { who: NativeWho::World, rights, scope }
    }

    const READ: NativeRights = NativeRights::READ;
    const WRITE: NativeRights = NativeRights::WRITE;
    const ACCESS: NativeScope = NativeScope::Access;
    const DEFAULT: NativeScope = NativeScope::Default;

    fn on(bucket: BucketId, prefix: &str) -> NativePlace {
        NativePlace::Prefix { bucket, prefix: prefix.into() }
    }

    fn change(om: &mut Namespace, on: NativePlace, change: NativeChange) -> Result<Vec<NativeEntry>, IamError> {
        om.apply(ChangeNativeAcl { on, change }).map(|acl| acl.entries)
    }

    fn of_key(om: &Namespace, bucket: BucketId, name: &str) -> Vec<NativeEntry> {
        let row = namespace::current(&om.tables, bucket, &key(name)).expect("memory").expect("it is there");
        row.body.native_acl.map(|acl| acl.entries).unwrap_or_default()
    }

    #[test]
    fn rights_are_added_to_and_taken_from_those_of_the_same_name_and_scope() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let place = on(om.create_bucket("ada", "photos"), "");
        let mut now = |what| change(&mut om, place.clone(), what).expect("few entries");
        assert_eq!(now(NativeChange::Add(vec![bob(READ, ACCESS)])), [bob(READ, ACCESS)]);
        let both = bob(READ.and(WRITE), ACCESS);
        assert_eq!(now(NativeChange::Add(vec![bob(WRITE, ACCESS), bob(READ, DEFAULT)])), [both, bob(READ, DEFAULT)]);
        assert_eq!(now(NativeChange::Remove(vec![bob(READ, ACCESS)])), [bob(WRITE, ACCESS), bob(READ, DEFAULT)]);
        assert_eq!(now(NativeChange::Remove(vec![bob(NativeRights::ALL, ACCESS), world(READ, ACCESS)])), [bob(READ, DEFAULT)]);
        let set = NativeChange::Set(vec![world(READ, ACCESS), world(WRITE, ACCESS)]);
        assert_eq!(now(set), [world(READ.and(WRITE), ACCESS)]);
        assert_eq!(now(NativeChange::Set(Vec::new())), []);
        om.check();
    }

    #[test]
    fn a_key_inherits_from_the_longest_prefix_that_hands_something_on_or_from_its_bucket() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "before", [(1, 10)]);
        let add = |entry| NativeChange::Add(vec![entry]);
        for (prefix, entry) in [
            ("", bob(READ, DEFAULT)),
            ("a/", bob(WRITE, DEFAULT)),
            ("a/b/", bob(NativeRights::ALL, ACCESS)),
            ("a/c/", world(READ, DEFAULT)),
        ] {
            change(&mut om, on(bucket, prefix), add(entry)).expect("few entries");
        }
        for (number, (name, inherited)) in [
            ("x", bob(READ, ACCESS)),
            ("a/x", bob(WRITE, ACCESS)),
            ("a/b/x", bob(WRITE, ACCESS)),
            ("a/c/d/x", world(READ, ACCESS)),
        ]
        .into_iter()
        .enumerate()
        {
            om.write(bucket, name, [(number as u64 + 2, 10)]);
            assert_eq!(of_key(&om, bucket, name), [inherited], "{name}");
        }
        assert_eq!(of_key(&om, bucket, "before"), [], "what was there stays as it is");
        om.check();
    }

    #[test]
    fn a_bucket_inherits_from_its_volume_and_leaves_nothing_behind() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let volume = NativePlace::Volume(VolumeName::s3v());
        change(&mut om, volume, NativeChange::Set(vec![bob(READ, DEFAULT), bob(WRITE, ACCESS)])).expect("few entries");
        let bucket = om.create_bucket("ada", "photos");
        let row = namespace::bucket(&om.tables, bucket).expect("memory").expect("it is there");
        let acl = native_acl::of_prefix(&om.tables, &row, "").expect("memory").expect("inherited");
        assert_eq!(acl.entries, [bob(READ, ACCESS)]);
        assert!(row.guarded.is_some());
        om.apply(crate::DeleteBucket { bucket }).expect("it is empty");
        om.check();
    }

    #[test]
    fn a_keys_own_acl_ends_with_the_object() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "cat", [(1, 10)]);
        let place = NativePlace::Key { bucket, key: key("cat"), version: VersionId::NULL };
        change(&mut om, place.clone(), NativeChange::Add(vec![bob(READ, ACCESS)])).expect("few entries");
        assert_eq!(of_key(&om, bucket, "cat"), [bob(READ, ACCESS)]);
        om.write(bucket, "cat", [(2, 10)]);
        assert_eq!(of_key(&om, bucket, "cat"), []);
        let nowhere = NativePlace::Key { bucket, key: key("dog"), version: VersionId::NULL };
        let refused = change(&mut om, nowhere, NativeChange::Add(vec![bob(READ, ACCESS)]));
        assert_eq!(refused.expect_err("no such key").code, IamErrorCode::NoSuchEntity);
        om.check();
    }

    #[test]
    fn there_are_only_so_many_entries_and_prefixes() {
        let mut om = Namespace::with_users(["ada", "bob"]);
        let bucket = om.create_bucket("ada", "photos");
        let of = |number: usize| {
            let holder = CredentialHolder::User { name: "u".into(), id: rows::IamId(format!("AIDA{number}")) };
            let who = NativeWho::User(Principal { account: UserId("ada".into()), holder });
            NativeEntry { who, rights: READ, scope: ACCESS }
        };
        let entries: Vec<_> = (0..MOST_NATIVE_ENTRIES).map(of).collect();
        assert!(change(&mut om, on(bucket, ""), NativeChange::Set(entries)).is_ok());
        let refused = change(&mut om, on(bucket, ""), NativeChange::Add(vec![of(99)])).expect_err("one too many");
        assert_eq!(refused.code, IamErrorCode::LimitExceeded);
        for number in 0..MOST_ACL_PREFIXES {
            change(&mut om, on(bucket, &format!("{number}/")), NativeChange::Add(vec![of(1)])).expect("room is left");
        }
        let refused = change(&mut om, on(bucket, "more/"), NativeChange::Add(vec![of(1)])).expect_err("one too many");
        assert_eq!(refused.code, IamErrorCode::LimitExceeded);
        change(&mut om, on(bucket, "7/"), NativeChange::Add(vec![of(2)])).expect("it has one already");
    }
}
