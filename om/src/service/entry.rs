//! The way into a bucket: the credential, then the bucket, then the right to the action, in the order in which S3 tells them.

use std::sync::Arc;

use bucket_config::PublicAccessBlock;
use om_api as api;
use om_core::authorise::{Action, Denied, Facts, Guard, Identity, Scene, Target, Written};
use om_core::iam::account_by_id;
use om_core::namespace::{self, Missing};
use om_core::rows::{BucketRow, KeyRow};
use runtime::Latest;
use tables::{ReadTables, StorageFault};
use types::{BucketPath, ObjectId, ObjectKey, RequestId, VersionId};

use super::OmService;
use super::calls::{BucketRefusal, Refusal, Stop, denied, facts, find_bucket};

/// A bucket that a request has come to, and all that decides what it may do there.
#[derive(Debug)]
pub(super) struct Entry<'r> {
    pub(super) identity: Identity,
    pub(super) bucket: BucketRow,
    pub(super) guard: Arc<Guard>,
    account_block: PublicAccessBlock,
    pub(super) facts: Facts<'r>,
    is_logged: bool,
    pub(super) is_form: bool,
    request: Option<RequestId>,
    refusals: Arc<Latest<api::Explanation>>,
}

impl Entry<'_> {
    pub(super) fn scene(&self) -> Scene<'_> {
        Scene {
            identity: &self.identity,
            facts: &self.facts,
            bucket: &self.bucket,
            guard: &self.guard,
            account_block: self.account_block,
        }
    }

    /// Keeps for administrators why the request was refused.
    fn note_refusal(&self, why: String) {
        let Some(request) = self.request else { return };
        let caller = self.scene().caller();
        let bucket = Some(self.bucket.path().to_string());
        self.refusals.note(request, api::Explanation { at: self.facts.now, caller, bucket, why });
    }

    pub(super) fn allow<R: Refusal>(&self, action: Action, target: Target<'_>) -> Result<(), Stop<R>> {
        self.scene().allow(action, target).map_err(|why| {
            self.note_refusal(self.scene().explain(action, target));
            denied(why)
        })
    }

    /// A deletion is a right in the bucket, or one that the object's own native ACL gives.
    pub(super) fn may_delete(
        &self,
        tables: &dyn ReadTables,
        action: Action,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Result<(), Denied>, StorageFault> {
        let allowed = self.scene().allow(action, Target::Key(key));
        if allowed.is_ok() || !self.scene().has_native_acls() {
            return Ok(allowed);
        }
        let found = namespace::version(tables, self.bucket.id, key, version)?;
        Ok(found.map_or(allowed, |row| self.scene().allow(action, Target::Replaced(key, &row))))
    }

    pub(super) fn allow_write<R: Refusal>(&self, key: &ObjectKey) -> Result<(), Stop<R>> {
        self.scene().allow_write(key).map_err(|action| {
            let explanation = self.scene().explain(action, Target::Key(key));
            self.note_refusal(explanation);
            denied(Denied::AccessDenied)
        })
    }

    /// For a condition on what an object is: whoever may try until it holds learns that, which is to read.
    pub(super) fn may_probe(
        &self,
        tables: &dyn ReadTables,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Result<(), Denied>, StorageFault> {
        let read = if version.is_some() { Action::GetObjectVersion } else { Action::GetObject };
        let found = namespace::version(tables, self.bucket.id, key, version)?;
        Ok(found.map_or(Ok(()), |row| self.scene().allow(read, Target::Object(key, &row))))
    }

    /// A write to the key, under a condition if it has one.
    pub(super) fn allow_write_if<R: Refusal>(
        &self,
        tables: &dyn ReadTables,
        key: &ObjectKey,
        condition: &api::WriteCondition,
    ) -> Result<(), Stop<R>> {
        self.allow_write(key)?;
        if condition.probes() { self.may_probe(tables, key, None)?.map_err(denied) } else { Ok(()) }
    }

    /// For the access log, if the request goes into one.
    pub(super) fn needed_acl(&self, action: Action, target: Target<'_>) -> bool {
        self.is_logged && self.scene().needs_acl(action, target)
    }

    /// Whose what the request writes becomes, and with which ACL.
    pub(super) fn written<R: Refusal>(&self, tables: &dyn ReadTables) -> Result<Written, Stop<R>> {
        self.scene().written(tables)?.map_err(denied)
    }

    /// The object that a read under way goes on with, if it may still be read: also where another version has come above it, for it is not
    /// what the key shows that is being read. Outside: it is gone, and a reader that needs to be told where its bytes are breaks off.
    ///
    /// An object that was replaced where its bucket keeps no versions has no row any more, and nothing says what it was made of; its
    /// blocks stay for readers who know where they are, as long as the grace of the deleted table lasts. To tell a gateway about blocks
    /// on its word alone would be to give up that rights come from rows.
    pub(super) fn pinned<R: Refusal>(
        &self,
        tables: &dyn ReadTables,
        action: Action,
        key: &ObjectKey,
        object: ObjectId,
    ) -> Result<Result<KeyRow, Missing>, Stop<R>> {
        match namespace::object(tables, self.bucket.id, key, object)? {
            Some(row) => {
                self.allow(action, Target::Object(key, &row))?;
                Ok(Ok(row))
            }
            None => Ok(Err(Missing::Key)),
        }
    }

    /// An object that the request is about, if it may do that with it. Inside: it is not there, and the requester may know so.
    pub(super) fn object<R: Refusal>(
        &self,
        tables: &dyn ReadTables,
        action: Action,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Result<KeyRow, Missing>, Stop<R>> {
        match namespace::version(tables, self.bucket.id, key, version)? {
            Ok(row) => {
                self.allow(action, Target::Object(key, &row))?;
                Ok(Ok(row))
            }
            Err(missing) if self.scene().may_know_absence(action, key) => Ok(Err(missing)),
            Err(_) => {
                self.note_refusal(format!("there is no {key}, which only those learn who may list the bucket"));
                Err(denied(Denied::AccessDenied))
            }
        }
    }
}

impl OmService {
    /// To the bucket, and no further: what may be done there is for the caller to ask.
    pub(super) fn open<'r, R: BucketRefusal>(
        &self,
        tables: &dyn ReadTables,
        by: &'r api::Requester,
        bucket: &BucketPath,
    ) -> Result<Entry<'r>, Stop<R>> {
        self.open_as(tables, by, bucket, R::no_such_bucket, |context| context.expected_owner.as_deref())
    }

    /// To a bucket that the request names in another part than its address.
    pub(super) fn open_as<'r, R: Refusal>(
        &self,
        tables: &dyn ReadTables,
        by: &'r api::Requester,
        bucket: &BucketPath,
        no_such_bucket: impl FnOnce() -> R,
        expected_owner: impl FnOnce(&'r api::RequestContext) -> Option<&'r str>,
    ) -> Result<Entry<'r>, Stop<R>> {
        let identity = self.identity(tables, by)?;
        let Some(bucket) = find_bucket(tables, bucket)? else {
            return Err(Stop::Rejected(no_such_bucket()));
        };
        let expected_owner = by.context().and_then(expected_owner);
        // Named by its number, as AWS does, an account is the same.
        let is_named = |id: &&str| id.len() == 12 && bucket.owner.0 != **id;
        let named = expected_owner.filter(is_named).map(|id| account_by_id(tables, id)).transpose()?.flatten();
        let expected_owner = expected_owner.filter(|_| named.is_none_or(|account| account.id != bucket.owner));
        let guard = self.guards.of(tables, &bucket)?;
        // Most requests are an owner's own, and have brought the row along.
        let looked_up = match identity.account() {
            Some(account) if account.id == bucket.owner => None,
            _ => namespace::user(tables, &bucket.owner)?,
        };
        let owner = looked_up.as_ref().or(identity.account().filter(|account| account.id == bucket.owner));
        let account_block = owner.and_then(|owner| owner.block).unwrap_or_default();
        let is_weighed = guard.has_policy() || matches!(identity, Identity::Member(_));
        let resource_account = owner.filter(|_| is_weighed).map(|owner| owner.account_id());
        let facts = Facts { expected_owner, resource_account, ..facts(by, self.clock.now()) };
        let is_logged = by.context().is_some_and(|context| context.is_logged);
        let is_form = by.context().is_some_and(|context| context.is_form);
        let entry = Entry {
            identity,
            guard,
            account_block,
            bucket,
            facts,
            is_logged,
            is_form,
            request: by.context().and_then(|context| context.request),
            refusals: Arc::clone(&self.refusals),
        };
        if !entry.scene().is_expected() {
            entry.note_refusal("the bucket belongs to another account than the request expects".to_owned());
            return Err(denied(Denied::AccessDenied));
        }
        if !entry.scene().is_paid_for() {
            entry.note_refusal("the bucket's requesters pay, and this one does not say so".to_owned());
            return Err(denied(Denied::AccessDenied));
        }
        Ok(entry)
    }

    /// Into the bucket, or to a key in it, to do one thing that does not depend on what lies under the key.
    pub(super) fn enter<'r, R: BucketRefusal>(
        &self,
        tables: &dyn ReadTables,
        by: &'r api::Requester,
        bucket: &BucketPath,
        key: Option<&ObjectKey>,
        action: Action,
    ) -> Result<Entry<'r>, Stop<R>> {
        let entry = self.open(tables, by, bucket)?;
        entry.allow(action, key.map_or(Target::Bucket, Target::Key))?;
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use om_core::authorise::PASSED_HEADERS;

    #[test]
    fn what_a_gateway_passes_on_is_what_policies_may_ask_for() {
        let asked: Vec<&str> = PASSED_HEADERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(asked, super::api::RequestContext::HEADERS);
    }
}
