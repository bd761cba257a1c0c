//! What may happen, with few names, so that everything meets everything.

use om_core::WriteCondition;
use proptest::prelude::*;
use types::{ETag, Md5, ObjectKey};

/// Two of one name, in two volumes.
pub(crate) const BUCKETS: [&str; 3] = ["first", "red:first", "third"];
pub(crate) const KEYS: [&str; 4] = ["a", "a/b", "b", "é"];

#[derive(Debug, Clone)]
pub(crate) enum Op {
    CreateBucket(usize),
    DeleteBucket(usize),
    PurgeOne,
    Open {
        bucket: usize,
        blocks: u64,
        seal: Seal,
    },
    Extend {
        session: usize,
        blocks: u64,
    },
    Close {
        session: usize,
    },
    ExpireAll,
    /// Commits the session's blocks but for the first `skip`, in reverse where `reverse`.
    Commit {
        session: usize,
        key: usize,
        skip: usize,
        reverse: bool,
        condition: Condition,
    },
    /// Commits a block of another session.
    CommitForeign {
        session: usize,
        other: usize,
        key: usize,
    },
    Delete {
        bucket: usize,
        key: usize,
        condition: Condition,
    },
    DeleteAll {
        bucket: usize,
    },
    /// One of the key's versions, counted from the newest, if it has so many.
    DeleteVersion {
        bucket: usize,
        key: usize,
        version: usize,
    },
    Rename {
        bucket: usize,
        from: usize,
        to: usize,
    },
    SetVersioning {
        bucket: usize,
        suspend: bool,
    },
    Tag {
        bucket: usize,
        key: usize,
        version: usize,
    },
    Copy {
        from: (usize, usize),
        to: (usize, usize),
        replace: bool,
        sealed: bool,
    },
    CreateUpload {
        bucket: usize,
        key: usize,
        sealed: bool,
    },
    CommitPart {
        session: usize,
        upload: usize,
        part: u16,
    },
    CopyPart {
        from: (usize, usize),
        upload: usize,
        part: u16,
        range: Option<(u64, u64)>,
    },
    /// With the parts whose bit is set.
    Complete {
        upload: usize,
        parts: u8,
    },
    Abort {
        upload: usize,
    },
    ForgetCompleted,
    Reclaim,
}

/// What a session's bytes are sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    Nothing,
    Object,
    Part,
}

fn seal() -> impl Strategy<Value = Seal> {
    prop_oneof![4 => Just(Seal::Nothing), 2 => Just(Seal::Object), 2 => Just(Seal::Part)]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    IfAbsent,
    IfPresent,
    /// With the tag that is there.
    IfMatchCurrent,
    IfMatchOther,
}

impl Condition {
    /// The condition, and whether it holds.
    pub(crate) fn resolve(self, current: Option<ETag>) -> (WriteCondition, bool) {
        let other = ETag::whole(Md5([255; 16]));
        match self {
            Self::Always => (WriteCondition::Always, true),
            Self::IfAbsent => (WriteCondition::IfAbsent, current.is_none()),
            Self::IfPresent => (WriteCondition::IfPresent, current.is_some()),
            Self::IfMatchCurrent => (WriteCondition::IfMatch(current.unwrap_or(other)), current.is_some()),
            Self::IfMatchOther => (WriteCondition::IfMatch(other), false),
        }
    }
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("legal")
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => Just(Condition::Always),
        1 => Just(Condition::IfAbsent),
        1 => Just(Condition::IfPresent),
        1 => Just(Condition::IfMatchCurrent),
        1 => Just(Condition::IfMatchOther),
    ]
}

fn place() -> impl Strategy<Value = (usize, usize)> {
    (0..BUCKETS.len(), 0..KEYS.len())
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let (bucket, key, slot, part) = (0..BUCKETS.len(), 0..KEYS.len(), 0..6usize, 1..4u16);
    prop_oneof![
        3 => bucket.clone().prop_map(Op::CreateBucket),
        2 => bucket.clone().prop_map(Op::DeleteBucket),
        1 => Just(Op::PurgeOne),
        8 => (bucket.clone(), 0..4u64, seal()).prop_map(|(bucket, blocks, seal)| Op::Open { bucket, blocks, seal }),
        2 => (slot.clone(), 1..3u64).prop_map(|(session, blocks)| Op::Extend { session, blocks }),
        1 => slot.clone().prop_map(|session| Op::Close { session }),
        1 => Just(Op::ExpireAll),
        8 => (slot.clone(), key.clone(), 0..3usize, any::<bool>(), condition())
            .prop_map(|(session, key, skip, reverse, condition)| Op::Commit { session, key, skip, reverse, condition }),
        1 => (slot.clone(), slot.clone(), key.clone())
            .prop_map(|(session, other, key)| Op::CommitForeign { session, other, key }),
        4 => (bucket.clone(), key.clone(), condition())
            .prop_map(|(bucket, key, condition)| Op::Delete { bucket, key, condition }),
        1 => bucket.clone().prop_map(|bucket| Op::DeleteAll { bucket }),
        5 => (bucket.clone(), key.clone(), 0..4usize)
            .prop_map(|(bucket, key, version)| Op::DeleteVersion { bucket, key, version }),
        3 => (bucket.clone(), key.clone(), key.clone()).prop_map(|(bucket, from, to)| Op::Rename { bucket, from, to }),
        2 => (bucket.clone(), any::<bool>()).prop_map(|(bucket, suspend)| Op::SetVersioning { bucket, suspend }),
        1 => (bucket.clone(), key.clone(), 0..4usize).prop_map(|(bucket, key, version)| Op::Tag { bucket, key, version }),
        5 => (place(), place(), any::<bool>(), any::<bool>())
            .prop_map(|(from, to, replace, sealed)| Op::Copy { from, to, replace, sealed }),
        3 => (bucket, key, any::<bool>()).prop_map(|(bucket, key, sealed)| Op::CreateUpload { bucket, key, sealed }),
        6 => (slot.clone(), slot.clone(), part.clone())
            .prop_map(|(session, upload, part)| Op::CommitPart { session, upload, part }),
        4 => (place(), slot.clone(), part, proptest::option::of((0..40u64, 0..40u64)))
            .prop_map(|(from, upload, part, range)| Op::CopyPart { from, upload, part, range }),
        4 => (slot.clone(), 0..8u8).prop_map(|(upload, parts)| Op::Complete { upload, parts }),
        1 => slot.prop_map(|upload| Op::Abort { upload }),
        1 => Just(Op::ForgetCompleted),
        1 => Just(Op::Reclaim),
    ]
}
