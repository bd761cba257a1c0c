//! Ozone's native ACLs, seen and set: of a volume, a bucket, a prefix (what ends in a slash) or a key.
//!
//! Whoever may set the bucket's policy may set them, since they give no more than that could; and who has WRITE_ACL where they are
//! set. What somebody else than the bucket's owner wrote is that one's.

use om_api as api;
use om_core::authorise::{Action, Denied, Identity, OfVolumeAcl, Target, may_with_volume};
use om_core::iam::{self, Kind as Named, Query, Subject, account_by_id, split_arn};
use om_core::native_acl::{self, WrittenEntry, WrittenWho, rights_names};
use om_core::rows::{KeyRow, NativeAcl, NativeEntry, NativeScope, NativeWho, UserRow};
use om_core::{ChangeNativeAcl, NativeChange, NativePlace, namespace};
use rpc::{CallContext, CallError};
use tables::{ReadTables, StorageFault};
use types::{BucketName, BucketPath, IamErrorCode, IamValue, ObjectKey, VolumeName};

use super::OmService;
use super::calls::{BucketRefusal, Kind, Stop, denied, facts, scoped};
use super::delegation::{arn, principal};
use super::entry::Entry;
use super::iam::{Rejected, check_parameters, refuse};

impl BucketRefusal for Rejected {
    fn no_such_bucket() -> Self {
        Self::Error(types::IamError::new(IamErrorCode::NoSuchEntity, "there is no such bucket"))
    }
}

/// What is named as `volume[/bucket[/key or prefix/]]`.
enum Place {
    Volume(VolumeName),
    Bucket(VolumeName, BucketName),
    Prefix(VolumeName, BucketName, ObjectKey),
    Key(VolumeName, BucketName, ObjectKey),
}

impl Place {
    fn parse(text: &str) -> Result<Self, Stop<Rejected>> {
        let invalid = |what: &str| refuse(IamErrorCode::ValidationError, format!("Object: {text:?} names no {what}"));
        let mut names = text.strip_prefix('/').unwrap_or(text).splitn(3, '/');
        let volume = VolumeName::parse(names.next().unwrap_or_default()).map_err(|_| invalid("volume"))?;
        let Some(bucket) = names.next().filter(|name| !name.is_empty()) else { return Ok(Self::Volume(volume)) };
        let bucket = BucketName::parse(bucket).map_err(|_| invalid("bucket"))?;
        let Some(key) = names.next().filter(|name| !name.is_empty()) else { return Ok(Self::Bucket(volume, bucket)) };
        let key = ObjectKey::parse(key).map_err(|_| invalid("key"))?;
        Ok(if key.as_str().ends_with('/') { Self::Prefix(volume, bucket, key) } else { Self::Key(volume, bucket, key) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Get,
    Add,
    Remove,
    Set,
}

/// An ACL that the requester may see or set, as it is now.
struct Found {
    on: NativePlace,
    acl: NativeAcl,
    /// In whose account names are looked up first.
    account: UserRow,
    takes_public: bool,
}

impl OmService {
    pub(super) async fn native_acl_call(&self, cx: CallContext, request: api::IamCall) -> Result<IamValue, CallError<Rejected>> {
        let asked = match request.action.as_str() {
            "GetAcl" => Asked::Get,
            "AddAcl" => Asked::Add,
            "RemoveAcl" => Asked::Remove,
            "SetAcl" => Asked::Set,
            other => return Err(refuse(IamErrorCode::InvalidAction, format!("{other} is not built")).into()),
        };
        let answered = self
            .log
            .read(cx.deadline, |tables| {
                check_parameters(&request.parameters)?;
                let query = Query(&request.parameters);
                let object = query.required("Object").map_err(|error| Stop::Rejected(Rejected::Error(error)))?;
                let found = self.found(tables, &request.by, Place::parse(object)?, asked)?;
                if asked == Asked::Get {
                    return Ok(Err(show(tables, &found.acl)?));
                }
                let entries = entries(tables, &found, &query.list("Acl"), asked)?;
                let change = match asked {
                    Asked::Remove => NativeChange::Remove(entries),
                    Asked::Set => NativeChange::Set(entries),
                    Asked::Get | Asked::Add => NativeChange::Add(entries),
                };
                Ok(Ok(ChangeNativeAcl { on: found.on, change }))
            })
            .await?;
        let command = match answered {
            Err(answer) => return Ok(answer),
            Ok(command) => command,
        };
        let changed = self.log.propose(scoped(&cx, Kind::NativeAcl), command, cx.deadline).await;
        let acl = changed.map_err(|error| error.map_rejection(Rejected::Error))?;
        self.log.machine().read(|tables, _| show(tables, &acl)).map_err(|fault| CallError::Unknown(fault.to_string()))
    }

    fn found(&self, tables: &dyn ReadTables, by: &api::Requester, place: Place, asked: Asked) -> Result<Found, Stop<Rejected>> {
        let (volume, bucket) = match &place {
            Place::Volume(volume) => return self.of_volume(tables, by, volume.clone(), asked),
            Place::Bucket(volume, bucket) | Place::Prefix(volume, bucket, _) | Place::Key(volume, bucket, _) => (volume, bucket),
        };
        let entry = self.open::<Rejected>(tables, by, &BucketPath::new(volume.clone(), bucket.clone()))?;
        let bucket = entry.bucket.id;
        let (may, on, acl) = match place {
            Place::Key(_, _, key) => {
                let row = match namespace::current(tables, bucket, &key)? {
                    Some(row) => row,
                    None if entry.scene().may_know_absence(Action::GetObjectAcl, &key) => {
                        return Err(refuse(IamErrorCode::NoSuchEntity, "there is no such key"));
                    }
                    None => return Err(denied(Denied::AccessDenied)),
                };
                let may = may_of_key(&entry, &key, &row, asked);
                let acl = row.body.native_acl.unwrap_or_default();
                (may, NativePlace::Key { bucket, key, version: row.head.version }, acl)
            }
            Place::Prefix(_, _, prefix) => {
                let scene = entry.scene();
                let right = |action| scene.has_native_right(action, Target::Key(&prefix));
                let may = may_of_bucket(&entry, asked)
                    || right(Action::PutObjectAcl)
                    || (asked == Asked::Get && right(Action::GetObjectAcl));
                let prefix = prefix.as_str().to_owned();
                let acl = native_acl::of_prefix(tables, &entry.bucket, &prefix)?.unwrap_or_default();
                (may, NativePlace::Prefix { bucket, prefix }, acl)
            }
            Place::Bucket(..) | Place::Volume(_) => {
                let acl = native_acl::of_prefix(tables, &entry.bucket, "")?.unwrap_or_default();
                (may_of_bucket(&entry, asked), NativePlace::Prefix { bucket, prefix: String::new() }, acl)
            }
        };
        if !may {
            // Tells an administrator why.
            entry.allow::<Rejected>(Action::PutBucketPolicy, Target::Bucket)?;
            return Err(denied(Denied::AccessDenied));
        }
        let account = namespace::user(tables, &entry.bucket.owner)?.ok_or_else(|| denied(Denied::AccessDenied))?;
        let takes_public = !entry.scene().block().block_public_acls;
        Ok(Found { on, acl, account, takes_public })
    }

    fn of_volume(
        &self,
        tables: &dyn ReadTables,
        by: &api::Requester,
        volume: VolumeName,
        asked: Asked,
    ) -> Result<Found, Stop<Rejected>> {
        let identity = self.identity::<Rejected>(tables, by)?;
        let account = identity.account().cloned().ok_or_else(|| denied(Denied::AccessDenied))?;
        let row = namespace::volume(tables, &volume)?;
        let acl = native_acl::of_volume(tables, &volume)?.unwrap_or_default();
        let action = if asked == Asked::Get { OfVolumeAcl::Get } else { OfVolumeAcl::Put };
        let owner = row.as_ref().map(|row| &row.owner);
        may_with_volume(&identity, action, owner, &acl, &facts(by, self.clock.now())).map_err(|why| {
            self.refused(by, &identity, || format!("the ACL of the volume {volume} is its owner's and an administrator's"));
            denied(why)
        })?;
        if row.is_none() && !volume.is_s3v() {
            return Err(refuse(IamErrorCode::NoSuchEntity, "there is no such volume"));
        }
        Ok(Found { on: NativePlace::Volume(volume), acl, account, takes_public: true })
    }
}

fn may_of_bucket(entry: &Entry<'_>, asked: Asked) -> bool {
    let may = |action| entry.scene().allow(action, Target::Bucket).is_ok();
    may(Action::PutBucketPolicy) || (asked == Asked::Get && may(Action::GetBucketAcl))
}

fn may_of_key(entry: &Entry<'_>, key: &ObjectKey, row: &KeyRow, asked: Asked) -> bool {
    let scene = entry.scene();
    let target = Target::Object(key, row);
    let is_theirs = is_root_of(&entry.identity, row) && scene.allow(Action::PutObjectAcl, target).is_ok();
    let has_say = scene.is_of_bucket(row) && scene.allow(Action::PutBucketPolicy, Target::Bucket).is_ok();
    let may = is_theirs || has_say || scene.has_native_right(Action::PutObjectAcl, target);
    may || (asked == Asked::Get && scene.allow(Action::GetObjectAcl, target).is_ok())
}

fn is_root_of(identity: &Identity, row: &KeyRow) -> bool {
    identity.is_root() && identity.account().is_some_and(|account| account.is_admin || account.id == row.head.owner)
}

fn entries(tables: &dyn ReadTables, found: &Found, texts: &[&str], asked: Asked) -> Result<Vec<NativeEntry>, Stop<Rejected>> {
    let invalid = |rule: String| refuse(IamErrorCode::ValidationError, rule);
    if texts.is_empty() && asked != Asked::Set {
        return Err(invalid("Acl: at least one entry".to_owned()));
    }
    if texts.len() > native_acl::MOST_NATIVE_ENTRIES {
        return Err(invalid(format!("Acl: at most {} entries", native_acl::MOST_NATIVE_ENTRIES)));
    }
    let mut entries = Vec::with_capacity(texts.len());
    for text in texts {
        let written = WrittenEntry::parse(text).map_err(|why| invalid(format!("Acl: {text:?}: {why}")))?;
        let unknown = || refuse(IamErrorCode::NoSuchEntity, format!("Acl: {text:?}: there is nobody of this name"));
        let who = who(tables, found, written.who, asked)?.ok_or_else(unknown)?;
        let entry = NativeEntry { who, rights: written.rights, scope: written.scope };
        if entry.scope == NativeScope::Default && matches!(found.on, NativePlace::Key { .. }) {
            return Err(invalid(format!("Acl: {text:?}: nothing lies below a key that could inherit it")));
        }
        if asked != Asked::Remove && entry.is_public() && !found.takes_public {
            return Err(refuse(IamErrorCode::AccessDenied, "the bucket's or its account's block on public access forbids it"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn who(tables: &dyn ReadTables, found: &Found, written: WrittenWho<'_>, asked: Asked) -> Result<Option<NativeWho>, StorageFault> {
    // Who is gone can still be taken out, by the name under which they are shown.
    if asked == Asked::Remove
        && let WrittenWho::User(name) | WrittenWho::Group(name) = written
    {
        for entry in &found.acl.entries {
            if shown(tables, &entry.who)?.1 == name {
                return Ok(Some(entry.who.clone()));
            }
        }
    }
    Ok(match written {
        WrittenWho::World => Some(NativeWho::World),
        WrittenWho::Anonymous => Some(NativeWho::Anonymous),
        WrittenWho::User(name) => principal(tables, &found.account, name)?.map(NativeWho::User),
        WrittenWho::Group(name) => {
            let (account, path, name) = match split_arn(name, Named::Group) {
                Some((of, path, name)) => (account_by_id(tables, of)?, Some(path), name),
                None => (Some(found.account.clone()), None, name),
            };
            let Some(account) = account else { return Ok(None) };
            let group = iam::group(tables, &account.id, name)?.filter(|row| path.is_none_or(|path| path == row.path));
            group.map(|row| NativeWho::Group { account: account.id, name: row.name, id: row.id })
        }
    })
}

/// Kind and name, as Ozone shows them.
fn shown(tables: &dyn ReadTables, who: &NativeWho) -> Result<(&'static str, String), StorageFault> {
    Ok(match who {
        NativeWho::User(who) => ("USER", arn(tables, &who.account, &who.holder)?),
        NativeWho::Group { account, name, .. } => {
            let arn = match namespace::user(tables, account)? {
                Some(account) => Subject::Named(Named::Group, name.clone()).arn(tables, &account)?,
                None => name.clone(),
            };
            ("GROUP", arn)
        }
        NativeWho::World => ("WORLD", "WORLD".to_owned()),
        NativeWho::Anonymous => ("ANONYMOUS", "ANONYMOUS".to_owned()),
    })
}

fn show(tables: &dyn ReadTables, acl: &NativeAcl) -> Result<IamValue, StorageFault> {
    let entry = |entry: &NativeEntry| {
        let (kind, name) = shown(tables, &entry.who)?;
        let scope = match entry.scope {
            NativeScope::Access => "ACCESS",
            NativeScope::Default => "DEFAULT",
        };
        let rights = rights_names(entry.rights).into_iter().map(IamValue::from).collect();
        Ok(IamValue::field("type", kind).with("name", name).with("aclScope", scope).with("aclList", IamValue::List(rights)))
    };
    let entries: Result<Vec<IamValue>, StorageFault> = acl.entries.iter().map(entry).collect();
    Ok(IamValue::List(entries?))
}
