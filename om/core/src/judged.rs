//! What a requester's rights were judged by.
//!
//! Rights to an object are judged before its command is in the log, by what lies there then. By the time that the command is applied
//! another object may lie there, or this one may be closed: it is nobody's by rights to the one before.

use minicbor::{Decode, Encode};
use types::Acl;

use crate::rows::{KeyRow, NativeAcl, Sequence, Tags};

/// A command that brings it along changes nothing if something else lies there: whoever proposed it judges anew.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Judged {
    #[n(0)]
    Nothing,
    /// All that rights hang on and that may change; the bytes are those of the sequence.
    #[n(1)]
    Object {
        #[n(0)]
        sequence: Sequence,
        #[n(1)]
        tags: Tags,
        #[n(2)]
        acl: Option<Acl>,
        #[n(3)]
        native_acl: Option<NativeAcl>,
    },
}

impl Judged {
    pub fn of(row: Option<&KeyRow>) -> Self {
        row.map_or(Self::Nothing, |row| Self::Object {
            sequence: row.head.sequence,
            tags: row.body.attributes.tags.clone(),
            acl: row.body.acl.clone(),
            native_acl: row.body.native_acl.clone(),
        })
    }

    fn is(&self, row: Option<&KeyRow>) -> bool {
        match (self, row) {
            (Self::Nothing, None) => true,
            (Self::Object { sequence, tags, acl, native_acl }, Some(row)) => {
                *sequence == row.head.sequence
                    && *tags == row.body.attributes.tags
                    && *acl == row.body.acl
                    && *native_acl == row.body.native_acl
            }
            (Self::Nothing, Some(_)) | (Self::Object { .. }, None) => false,
        }
    }
}

/// Something lies there that was not judged. Entries of releases that judged by name alone bring nothing along.
pub(crate) fn is_another(judged: Option<&Judged>, row: Option<&KeyRow>) -> bool {
    judged.is_some_and(|judged| !judged.is(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Namespace, copy_of, key};
    use crate::{
        CopyKey, CopyKeyRejected, CopyPart, CopyPartRejected, CopySource, ReadConditions, RenameKey, RenameKeyRejected,
        UpdateVersion, UpdateVersionRejected, VersionChange, WriteCondition,
    };
    use types::{BucketId, ObjectId, PartNumber, Timestamp};

    fn source(bucket: BucketId, judged: Judged) -> CopySource {
        CopySource {
            bucket,
            key: key("cat"),
            version: None,
            conditions: ReadConditions::default(),
            judged: Some(Box::new(judged)),
        }
    }

    fn copy(bucket: BucketId, judged: Judged) -> CopyKey {
        CopyKey { source: source(bucket, judged), now: Timestamp(70_000), ..copy_of(bucket, "cat", "copy") }
    }

    fn tag(bucket: BucketId, value: &str, judged: Option<Box<Judged>>) -> UpdateVersion {
        let change = VersionChange::Tags(vec![("class".into(), value.into())]);
        UpdateVersion { origin: None, judged, bucket, key: key("cat"), version: None, change, now: Timestamp(80_000) }
    }

    fn rename(bucket: BucketId, judged: Judged) -> RenameKey {
        RenameKey {
            origin: None,
            judged: Some(Box::new(judged)),
            bucket,
            source: key("cat"),
            source_conditions: ReadConditions::default(),
            key: key("renamed"),
            condition: WriteCondition::Always,
            conditions: ReadConditions::default(),
            owner: None,
            now: Timestamp(90_000),
        }
    }

    #[test]
    fn what_was_not_judged_is_neither_copied_nor_renamed_nor_changed() {
        let mut om = Namespace::with_users(["ada"]);
        let bucket = om.create_bucket("ada", "photos");
        let at = om.create_upload(bucket, "parts");
        let mut judged = vec![Judged::Nothing];
        om.write(bucket, "cat", [(1, 10)]);
        judged.push(Judged::of(om.current(bucket, "cat").as_ref()));
        // The same bytes and the same tag, and yet another object.
        om.write(bucket, "cat", [(2, 10)]);
        judged.push(Judged::of(om.current(bucket, "cat").as_ref()));
        // The same object, of which something else is said by now.
        om.apply(tag(bucket, "closed", None)).expect("it is there");
        let before = om.tables.clone();
        for judged in judged {
            assert_eq!(om.apply(copy(bucket, judged.clone())), Err(CopyKeyRejected::Changed));
            let part = CopyPart {
                source: source(bucket, judged.clone()),
                range: None,
                at: at.clone(),
                part: PartNumber::new(1).expect("legal"),
                object: ObjectId(2 << 40),
                max_size: 1000,
                now: Timestamp(70_000),
            };
            assert_eq!(om.apply(part), Err(CopyPartRejected::Changed));
            assert_eq!(om.apply(rename(bucket, judged.clone())), Err(RenameKeyRejected::Changed));
            assert_eq!(om.apply(tag(bucket, "open", Some(Box::new(judged)))), Err(UpdateVersionRejected::Changed));
        }
        assert!(om.tables == before);
        let now = Judged::of(om.current(bucket, "cat").as_ref());
        om.apply(copy(bucket, now.clone())).expect("it was judged");
        om.apply(rename(bucket, now)).expect("it was judged");
        // What was not there and is not there is told as ever.
        assert_eq!(om.apply(copy(bucket, Judged::Nothing)), Err(CopyKeyRejected::NoSuchSourceKey));
        assert_eq!(om.apply(rename(bucket, Judged::Nothing)), Err(RenameKeyRejected::NoSuchSource));
        om.check();
    }
}
