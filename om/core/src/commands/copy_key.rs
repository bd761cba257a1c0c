//! A new object on another's blocks.

use minicbor::{Decode, Encode};
use tables::WriteTables;
use types::{Acl, BucketId, LogIndex, ObjectId, ObjectKey, ObjectLock, Precondition, Replication, Timestamp, VersionId};

use super::Outcome;
use super::shared::{CopySource, KeyCommitted, link};
use crate::blocks::{Freed, add_reference};
use crate::condition::{ConditionFailed, WriteCondition};
use crate::judged::is_another;
use crate::namespace::{self, Missing};
use crate::native_acl;
use crate::notifications::{Event, note};
use crate::rows::{
    Attributes, Encryption, EventKind, KeyBody, KeyHead, KeyRow, KmsKeyId, ObjectChecksum, Origin, Scheme, Sequence,
    SystemHeader, UserId,
};

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CopyAttributes {
    /// The source's.
    #[n(0)]
    Source,
    #[n(1)]
    Replace(#[n(0)] Attributes),
}

/// How the copy is to be encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CopyEncryption {
    #[n(0)]
    pub scheme: CopyScheme,
    /// By the request itself and not by the bucket's default: a change, even onto an object that is encrypted so.
    #[n(1)]
    pub is_asked_for: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum CopyScheme {
    #[n(0)]
    Store,
    #[n(1)]
    Kms {
        #[n(0)]
        key: KmsKeyId,
        #[n(1)]
        context: Option<String>,
        #[n(2)]
        bucket_key: bool,
    },
    /// Under a key that the client brings. It is the key of this object, if there is one.
    #[n(2)]
    Customer(#[n(0)] Option<ObjectId>),
}

impl CopyEncryption {
    /// The copy's encryption, if the stored bytes and what opens them can be the source's own.
    fn of_source(wanted: Option<&Self>, source: &KeyRow) -> Result<Option<Encryption>, CopyKeyRejected> {
        let mut encryption = source.body.encryption.clone();
        let fits = match (encryption.as_mut().map(|found| &mut found.scheme), wanted.map(|wanted| &wanted.scheme)) {
            (None, None) => true,
            (Some(Scheme::Store(_)), Some(CopyScheme::Store)) => true,
            (Some(Scheme::Kms(found)), Some(CopyScheme::Kms { key, context, bucket_key })) => {
                found.bucket_key = *bucket_key;
                found.key == *key && found.context == *context
            }
            (Some(Scheme::Customer(_)), Some(CopyScheme::Customer(of))) => *of == Some(source.head.object),
            (_, _) => false,
        };
        if fits { Ok(encryption) } else { Err(CopyKeyRejected::NeedsBytes) }
    }
}

/// Copies by reference: every block of the source gains one, and no bytes move. The copy keeps the source's tag, checksum,
/// encryption and parts, since they describe its bytes, unless another checksum of them was computed for it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CopyKey {
    #[n(0)]
    pub source: CopySource,
    #[n(1)]
    pub bucket: BucketId,
    #[n(2)]
    pub key: ObjectKey,
    #[n(3)]
    pub attributes: CopyAttributes,
    #[n(4)]
    pub storage_class: Option<String>,
    #[n(5)]
    pub condition: WriteCondition,
    #[n(6)]
    pub object: ObjectId,
    /// The bucket's if absent.
    #[n(7)]
    pub owner: Option<UserId>,
    #[n(8)]
    pub max_size: u64,
    #[n(9)]
    pub now: Timestamp,
    /// In the place of the source's. Whoever computed it holds the copy to the source's tag.
    #[n(10)]
    pub checksum: Option<ObjectChecksum>,
    /// A copy never inherits its source's.
    #[n(11)]
    pub lock: Option<ObjectLock>,
    /// In the place of the source's.
    #[n(12)]
    pub tags: Option<Vec<(String, String)>>,
    /// None if its bytes are to be stored as they are.
    #[n(13)]
    pub encryption: Option<CopyEncryption>,
    /// A copy never inherits its source's.
    #[n(14)]
    pub acl: Option<Acl>,
    /// How the copy's blocks are to be kept; as its bucket's if absent.
    #[n(15)]
    pub replication: Option<Replication>,
    /// Where readers of a website are sent; a copy never inherits its source's. Where attributes are replaced, it is among them.
    #[n(16)]
    pub website_redirect: Option<String>,
    /// Noted if the bucket has somebody told.
    #[n(17)]
    pub origin: Option<Origin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyCopied {
    #[n(0)]
    pub committed: KeyCommitted,
    #[n(1)]
    pub source_version: Option<VersionId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum CopyKeyRejected {
    #[n(0)]
    NoSuchSourceBucket,
    #[n(1)]
    NoSuchSourceKey,
    #[n(2)]
    NoSuchSourceVersion,
    #[n(3)]
    SourceIsDeleteMarker,
    #[n(4)]
    PreconditionFailed(#[n(0)] Option<Precondition>),
    #[n(5)]
    NoSuchBucket,
    #[n(6)]
    NoSuchKey,
    #[n(7)]
    OntoItself,
    #[n(8)]
    TooLarge,
    /// A lock is wanted and the bucket has none.
    #[n(9)]
    NoObjectLock,
    /// What is stored of the source is not what is to be stored of the copy: read it and write it.
    #[n(10)]
    NeedsBytes,
    /// The source is not what was judged.
    #[n(11)]
    Changed,
}

impl From<Missing> for CopyKeyRejected {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Key => Self::NoSuchSourceKey,
            Missing::Version => Self::NoSuchSourceVersion,
            Missing::DeleteMarker(_) => Self::SourceIsDeleteMarker,
        }
    }
}

impl From<ConditionFailed> for CopyKeyRejected {
    fn from(failed: ConditionFailed) -> Self {
        match failed {
            ConditionFailed::Mismatch(which) => Self::PreconditionFailed(Some(which)),
            ConditionFailed::Absent => Self::NoSuchKey,
        }
    }
}

impl CopyKey {
    pub(super) fn apply(self, log: LogIndex, tables: &mut dyn WriteTables) -> Outcome<KeyCopied, CopyKeyRejected> {
        let Some(source_bucket) = namespace::bucket(tables, self.source.bucket)? else {
            return Ok(Err(CopyKeyRejected::NoSuchSourceBucket));
        };
        let source = namespace::version(tables, self.source.bucket, &self.source.key, self.source.version)?;
        if is_another(self.source.judged.as_deref(), source.as_ref().ok()) {
            return Ok(Err(CopyKeyRejected::Changed));
        }
        let source = match source {
            Ok(source) => source,
            Err(missing) => return Ok(Err(missing.into())),
        };
        if let Err(which) = self.source.conditions.check(&source.head) {
            return Ok(Err(CopyKeyRejected::PreconditionFailed(Some(which.of_source()))));
        }
        if source.head.size > self.max_size {
            return Ok(Err(CopyKeyRejected::TooLarge));
        }
        let Some(bucket) = namespace::bucket(tables, self.bucket)? else {
            return Ok(Err(CopyKeyRejected::NoSuchBucket));
        };
        if self.lock.is_some() && bucket.object_lock.is_none() {
            return Ok(Err(CopyKeyRejected::NoObjectLock));
        }
        let replaced = namespace::current(tables, bucket.id, &self.key)?;
        if let Err(failed) = self.condition.check(replaced.as_ref().map(|row| &row.head)) {
            return Ok(Err(failed.into()));
        }
        let encryption = match CopyEncryption::of_source(self.encryption.as_ref(), &source) {
            Ok(encryption) => encryption,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let kept = source.body.replication.unwrap_or(source_bucket.replication);
        if kept != self.replication.unwrap_or(bucket.replication) && !source.body.pieces.is_empty() {
            return Ok(Err(CopyKeyRejected::NeedsBytes));
        }
        if self.changes_nothing(&source, replaced.as_ref()) {
            return Ok(Err(CopyKeyRejected::OntoItself));
        }
        // References are added before any are dropped: a copy onto its own source must not free it in passing.
        for piece in &source.body.pieces {
            add_reference(tables, piece.block)?;
        }
        let source_version = source.head.shown_version();
        let mut parts = source.body.parts;
        if self.checksum.is_some() {
            // Theirs may be of another algorithm, and would be shown as of this one.
            parts.iter_mut().for_each(|part| part.checksum = None);
        }
        let head = KeyHead {
            checksum: self.checksum.or(source.head.checksum),
            object: self.object,
            sequence: Sequence::new(log, 0),
            version: VersionId::NULL,
            modified: self.now,
            owner: self.owner.unwrap_or_else(|| bucket.owner.clone()),
            storage_class: self.storage_class,
            noncurrent: None,
            lock: self.lock,
            ..source.head
        };
        let Attributes { tags, .. } = source.body.attributes.clone();
        let attributes = match self.attributes {
            CopyAttributes::Source => {
                let mut attributes = source.body.attributes;
                attributes.headers.retain(|(name, _)| *name != SystemHeader::WebsiteRedirectLocation);
                let own = self.website_redirect.map(|target| (SystemHeader::WebsiteRedirectLocation, target));
                attributes.headers.extend(own);
                attributes
            }
            CopyAttributes::Replace(attributes) => attributes,
        };
        let attributes = Attributes { tags: self.tags.unwrap_or(tags), ..attributes };
        let native_acl = native_acl::inherited(tables, &bucket, &self.key, &head.owner)?;
        let (pieces, acl, replication) = (source.body.pieces, self.acl, self.replication);
        let body = KeyBody { attributes, parts, pieces, encryption, acl, replication, native_acl };
        let row = KeyRow { head, body };
        let mut freed = Freed::default();
        let committed = link(tables, &bucket, &self.key, replaced, row, &mut freed)?;
        let event = Event::created(EventKind::Copy, &self.key, &committed);
        note(tables, &bucket, event, Sequence::new(log, 0), self.origin.as_ref())?;
        freed.write(tables, log, self.now);
        Ok(Ok(KeyCopied { committed, source_version }))
    }

    /// The current version onto itself with its own attributes, storage class, checksum and encryption.
    fn changes_nothing(&self, source: &KeyRow, replaced: Option<&KeyRow>) -> bool {
        let class = |class: &Option<String>| class.clone().unwrap_or_else(|| STANDARD.to_owned());
        let is_itself = self.source.bucket == self.bucket
            && self.source.key == self.key
            && replaced.is_some_and(|replaced| replaced.head.object == source.head.object);
        let sends = |target: &String| {
            let of_source = source.body.attributes.headers.iter();
            of_source.into_iter().any(|(name, known)| *name == SystemHeader::WebsiteRedirectLocation && known == target)
        };
        let has_checksum = self.checksum.is_none() || self.checksum == source.head.checksum;
        let asks_for_encryption = self.encryption.as_ref().is_some_and(|encryption| encryption.is_asked_for);
        is_itself
            && has_checksum
            && !asks_for_encryption
            && self.attributes == CopyAttributes::Source
            && self.tags.is_none()
            && self.lock.is_none()
            && self.website_redirect.as_ref().is_none_or(sends)
            && class(&self.storage_class) == class(&source.head.storage_class)
    }
}

const STANDARD: &str = "STANDARD";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommitKey;
    use crate::rows::{KmsSealed, SealedKey};
    use crate::testing::{Namespace, copy_of, etag, sealed_object};
    use types::{Checksum, ChecksumAlgorithm, ChecksumType};

    fn copy(bucket: BucketId, from: &str, to: &str) -> CopyKey {
        CopyKey { now: Timestamp(70), ..copy_of(bucket, from, to) }
    }

    fn sealed_by(scheme: CopyScheme) -> Option<CopyEncryption> {
        Some(CopyEncryption { scheme, is_asked_for: true })
    }

    #[test]
    fn a_copy_shares_the_blocks_until_both_are_gone() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let source = om.write(bucket, "a", [(1, 10), (2, 10)]);
        let copied = om.apply(copy(bucket, "a", "b")).expect("it exists");
        assert_eq!((copied.committed.size, copied.committed.etag), (20, source.etag));
        om.check();
        om.delete(bucket, "a");
        assert_eq!(om.deleted_blocks(), []);
        om.check();
        om.delete(bucket, "b");
        assert_eq!(om.deleted_blocks(), [1, 2]);
        om.check();
    }

    #[test]
    fn a_copy_onto_itself_must_change_something() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "a", [(1, 10)]);
        assert_eq!(om.apply(copy(bucket, "a", "a")), Err(CopyKeyRejected::OntoItself));
        let standard = CopyKey { storage_class: Some("STANDARD".into()), ..copy(bucket, "a", "a") };
        assert_eq!(om.apply(standard), Err(CopyKeyRejected::OntoItself));
        let replaced = CopyKey { attributes: CopyAttributes::Replace(Attributes::default()), ..copy(bucket, "a", "a") };
        om.apply(replaced).expect("new attributes are a change");
        let colder = CopyKey { storage_class: Some("GLACIER".into()), ..copy(bucket, "a", "a") };
        om.apply(colder).expect("another storage class is a change");
        assert_eq!(om.deleted_blocks(), []);
        om.check();
    }

    #[test]
    fn a_copy_sends_readers_of_a_website_where_it_is_told_itself() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let session = om.open(bucket, [1]);
        let to = |target: &str| vec![(SystemHeader::WebsiteRedirectLocation, target.to_owned())];
        let attributes = Attributes { headers: to("/a"), ..Attributes::default() };
        om.apply(CommitKey { attributes, ..om.commit_of(session, "a", [(1, 10)]) }).expect("a good commit");
        om.apply(copy(bucket, "a", "b")).expect("it exists");
        let headers = |om: &Namespace, name: &str| om.current(bucket, name).expect("it is there").body.attributes.headers;
        assert_eq!(headers(&om, "b"), []);
        let onto_itself = |target: &str| CopyKey { website_redirect: Some(target.into()), ..copy(bucket, "a", "a") };
        assert_eq!(om.apply(onto_itself("/a")), Err(CopyKeyRejected::OntoItself));
        om.apply(onto_itself("/b")).expect("another target is a change");
        assert_eq!(headers(&om, "a"), to("/b"));
        om.check();
    }

    #[test]
    fn a_copy_may_have_a_checksum_of_its_own_on_the_same_blocks() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "a", [(1, 10)]);
        let checksum = Checksum::new(ChecksumAlgorithm::Crc32, &[1, 2, 3, 4]).expect("four bytes");
        let checksum = Some(ObjectChecksum { checksum, kind: ChecksumType::FullObject });
        let onto_itself = CopyKey { checksum: checksum.clone(), ..copy(bucket, "a", "a") };
        assert_eq!(om.apply(onto_itself.clone()).map(|copied| copied.committed.checksum), Ok(checksum.clone()));
        assert_eq!(om.apply(onto_itself), Err(CopyKeyRejected::OntoItself), "it has it now");
        assert_eq!(om.apply(copy(bucket, "a", "b")).map(|copied| copied.committed.checksum), Ok(checksum));
        assert_eq!(om.deleted_blocks(), []);
        om.check();
    }

    #[test]
    fn sealed_bytes_are_shared_only_where_the_same_key_opens_the_copy() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let kms = |key: &str, context: Option<&str>| {
            let sealed = SealedKey { version: 1, bytes: vec![7] };
            let context = context.map(str::to_owned);
            Scheme::Kms(KmsSealed { key: KmsKeyId(key.into()), sealed, context, bucket_key: false })
        };
        let customer = sealed_object(3);
        assert!(matches!(customer.scheme, Scheme::Customer(_)));
        let sources = [
            ("plain", None),
            ("store", Some(Scheme::Store(SealedKey { version: 0, bytes: vec![1] }))),
            ("kms", Some(kms("k", Some("c")))),
            ("customer", Some(customer.scheme)),
        ];
        for (number, (name, scheme)) in (1..).zip(sources.clone()) {
            match scheme {
                None => om.write(bucket, name, [(number, 26)]),
                Some(scheme) => om.write_sealed(bucket, name, [(number, 26)], Encryption { scheme, ..sealed_object(1) }),
            };
        }
        let customer = om.current(bucket, "customer").expect("written").head.object;
        let asked_kms = |key: &str, context: Option<&str>| {
            sealed_by(CopyScheme::Kms { key: KmsKeyId(key.into()), context: context.map(str::to_owned), bucket_key: true })
        };
        let wanted = [
            (None, "plain"),
            (sealed_by(CopyScheme::Store), "store"),
            (asked_kms("k", Some("c")), "kms"),
            (asked_kms("other", Some("c")), "nothing"),
            (asked_kms("k", None), "nothing"),
            (sealed_by(CopyScheme::Customer(Some(customer))), "customer"),
            (sealed_by(CopyScheme::Customer(Some(ObjectId(99)))), "nothing"),
            (sealed_by(CopyScheme::Customer(None)), "nothing"),
        ];
        for (encryption, fits) in wanted {
            for (name, _) in &sources {
                let copied = om.apply(CopyKey { encryption: encryption.clone(), ..copy(bucket, name, "to") });
                let outcome = copied.map(|copied| copied.committed.size).map_err(Some);
                let size = if *name == "plain" { 26 } else { 10 };
                let expected = if *name == fits { Ok(size) } else { Err(Some(CopyKeyRejected::NeedsBytes)) };
                assert_eq!(outcome, expected, "{name} as {encryption:?}");
                om.check();
            }
        }
    }

    #[test]
    fn asking_for_the_encryption_that_an_object_has_is_a_change_and_having_it_is_none() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let encryption = Encryption { scheme: Scheme::Store(SealedKey { version: 0, bytes: vec![1] }), ..sealed_object(1) };
        om.write_sealed(bucket, "a", [(1, 26)], encryption);
        let by_default = CopyEncryption { scheme: CopyScheme::Store, is_asked_for: false };
        let unasked = CopyKey { encryption: Some(by_default), ..copy(bucket, "a", "a") };
        assert_eq!(om.apply(unasked), Err(CopyKeyRejected::OntoItself));
        om.apply(CopyKey { encryption: sealed_by(CopyScheme::Store), ..copy(bucket, "a", "a") }).expect("asked for");
        assert_eq!(om.deleted_blocks(), []);
        om.check();
    }

    #[test]
    fn conditions_hold_for_the_source_and_for_the_destination() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        om.write(bucket, "a", [(1, 10)]);
        let mut unmatched = copy(bucket, "a", "b");
        unmatched.source.conditions.if_match = Some(vec![etag(99)]);
        assert_eq!(om.apply(unmatched), Err(CopyKeyRejected::PreconditionFailed(Some(Precondition::SourceIfMatch))));
        let exists = CopyKey { condition: WriteCondition::IfAbsent, ..copy(bucket, "a", "a") };
        assert_eq!(om.apply(exists), Err(CopyKeyRejected::PreconditionFailed(Some(Precondition::IfNoneMatch))));
        let large = CopyKey { max_size: 9, ..copy(bucket, "a", "b") };
        assert_eq!(om.apply(large), Err(CopyKeyRejected::TooLarge));
        assert_eq!(om.apply(copy(bucket, "absent", "b")), Err(CopyKeyRejected::NoSuchSourceKey));
        om.check();
    }
}
