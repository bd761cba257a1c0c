//! Ozone's native ACLs: how they are written, where they lie, and what is made inherits.
//!
//! As Ozone's command line writes them: `user:tom:rwlc[ACCESS]`. A key gets what the longest prefix above it hands on, or else what its
//! bucket does; a bucket gets what its volume does. What is handed on is copied when something is made: a change above does
//! not reach what is there.

use tables::{ReadTables, StorageFault};
use types::{ObjectKey, VolumeName};

use crate::rows::{self, BucketRow, NativeAcl, NativeRights, NativeScope, UserId, prefix_acl_key, volume_acl_key};
use crate::tables::{PREFIXES, VOLUME_ACLS};

/// Of an ACL.
pub const MOST_NATIVE_ENTRIES: usize = 64;
/// Of a bucket.
pub const MOST_ACL_PREFIXES: usize = 1_000;

/// By letter and by name.
const RIGHTS: [(char, &str, NativeRights); 7] = [
    ('r', "READ", NativeRights::READ),
    ('w', "WRITE", NativeRights::WRITE),
    ('c', "CREATE", NativeRights::CREATE),
    ('l', "LIST", NativeRights::LIST),
    ('d', "DELETE", NativeRights::DELETE),
    ('x', "READ_ACL", NativeRights::READ_ACL),
    ('y', "WRITE_ACL", NativeRights::WRITE_ACL),
];

/// An entry as it is written, its name not looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenEntry<'t> {
    pub who: WrittenWho<'t>,
    pub rights: NativeRights,
    pub scope: NativeScope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenWho<'t> {
    User(&'t str),
    Group(&'t str),
    World,
    Anonymous,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEntry {
    #[error("an entry is written user|group|world|anonymous:name:rights[ACCESS|DEFAULT]")]
    Form,
    #[error("a user or group needs a name, and nobody else has one")]
    Name,
    #[error("{0:?} is no right: they are r w c l d x y, a for all and n for none")]
    Right(char),
}

impl<'t> WrittenEntry<'t> {
    /// A name may hold colons, as ARNs do.
    pub fn parse(text: &'t str) -> Result<Self, MalformedEntry> {
        let (kind, rest) = text.split_once(':').ok_or(MalformedEntry::Form)?;
        let (name, rights) = rest.rsplit_once(':').ok_or(MalformedEntry::Form)?;
        let (letters, scope) = match rights.split_once('[') {
            None => (rights, NativeScope::Access),
            Some((letters, "ACCESS]")) => (letters, NativeScope::Access),
            Some((letters, "DEFAULT]")) => (letters, NativeScope::Default),
            Some(_) => return Err(MalformedEntry::Form),
        };
        let who = match kind.to_ascii_lowercase().as_str() {
            "user" if !name.is_empty() => WrittenWho::User(name),
            "group" if !name.is_empty() => WrittenWho::Group(name),
            "world" if matches!(name, "" | "WORLD") => WrittenWho::World,
            "anonymous" if matches!(name, "" | "ANONYMOUS") => WrittenWho::Anonymous,
            "user" | "group" | "world" | "anonymous" => return Err(MalformedEntry::Name),
            _ => return Err(MalformedEntry::Form),
        };
        if letters.is_empty() {
            return Err(MalformedEntry::Form);
        }
        let of_letter = |letter: char| match letter {
            'a' => Ok(NativeRights::ALL),
            'n' => Ok(NativeRights::NONE),
            _ => {
                let known = RIGHTS.iter().find(|(known, ..)| *known == letter);
                known.map(|(.., right)| *right).ok_or(MalformedEntry::Right(letter))
            }
        };
        let rights = letters.chars().try_fold(NativeRights::NONE, |rights, letter| Ok(rights.and(of_letter(letter)?)))?;
        Ok(Self { who, rights, scope })
    }
}

/// The rights by their names.
pub fn rights_names(rights: NativeRights) -> Vec<&'static str> {
    match rights {
        NativeRights::NONE => vec!["NONE"],
        NativeRights::ALL => vec!["ALL"],
        _ => RIGHTS.iter().filter(|(.., right)| rights.includes(*right)).map(|(_, name, _)| *name).collect(),
    }
}

pub fn of_volume(tables: &dyn ReadTables, volume: &VolumeName) -> Result<Option<NativeAcl>, StorageFault> {
    rows::get(tables, VOLUME_ACLS, &volume_acl_key(volume))
}

/// What is set on this very prefix; on the bucket, if it is empty.
pub fn of_prefix(tables: &dyn ReadTables, bucket: &BucketRow, prefix: &str) -> Result<Option<NativeAcl>, StorageFault> {
    if bucket.native_acls.is_none() {
        return Ok(None);
    }
    rows::get(tables, PREFIXES, &prefix_acl_key(bucket.id, prefix))
}

/// What a new object gets from above. What somebody else than the bucket's owner wrote gets nothing: it is not the bucket's to
/// give away.
pub(crate) fn inherited(
    tables: &dyn ReadTables,
    bucket: &BucketRow,
    key: &ObjectKey,
    owner: &UserId,
) -> Result<Option<NativeAcl>, StorageFault> {
    if bucket.native_acls.is_none() || *owner != bucket.owner {
        return Ok(None);
    }
    let key = key.as_str();
    let above = key.rmatch_indices('/').map(|(at, _)| &key[..=at]).chain([""]);
    for prefix in above {
        if let Some(acl) = of_prefix(tables, bucket, prefix)?.and_then(|acl| acl.handed_on()) {
            return Ok(Some(acl));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_ozone_writes_them() {
        let rwlc = NativeRights::READ.and(NativeRights::WRITE).and(NativeRights::LIST).and(NativeRights::CREATE);
        let tom = WrittenEntry { who: WrittenWho::User("tom"), rights: rwlc, scope: NativeScope::Access };
        assert_eq!(WrittenEntry::parse("user:tom:rwlc"), Ok(tom));
        assert_eq!(WrittenEntry::parse("USER:tom:rwlc[ACCESS]"), Ok(tom));
        assert_eq!(WrittenEntry::parse("user:tom:crwl[DEFAULT]"), Ok(WrittenEntry { scope: NativeScope::Default, ..tom }));
        let arn = "arn:aws:iam::123456789012:group/staff";
        let staff = WrittenEntry { who: WrittenWho::Group(arn), rights: NativeRights::ALL, scope: NativeScope::Access };
        let text = format!("group:{arn}:a");
        assert_eq!(WrittenEntry::parse(&text), Ok(staff));
        for (text, who) in [
            ("world::n", WrittenWho::World),
            ("world:WORLD:n", WrittenWho::World),
            ("anonymous::n", WrittenWho::Anonymous),
            ("anonymous:ANONYMOUS:n", WrittenWho::Anonymous),
        ] {
            assert_eq!(
                WrittenEntry::parse(text),
                Ok(WrittenEntry { who, rights: NativeRights::NONE, scope: NativeScope::Access }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in ["", "user", "user:tom", "role:tom:r", "user:tom:", "user:tom:r[", "user:tom:r[OTHER]", "user:tom:r[ACCESS"] {
            assert_eq!(WrittenEntry::parse(text), Err(MalformedEntry::Form), "{text}");
        }
        for text in ["user::r", "group::r", "world:tom:r", "anonymous:WORLD:r"] {
            assert_eq!(WrittenEntry::parse(text), Err(MalformedEntry::Name), "{text}");
        }
        assert_eq!(WrittenEntry::parse("user:tom:rz"), Err(MalformedEntry::Right('z')));
    }

    #[test]
    fn rights_are_shown_by_their_names() {
        assert_eq!(rights_names(NativeRights::READ.and(NativeRights::WRITE_ACL)), ["READ", "WRITE_ACL"]);
        assert_eq!((rights_names(NativeRights::ALL), rights_names(NativeRights::NONE)), (vec!["ALL"], vec!["NONE"]));
        assert_eq!(RIGHTS.iter().fold(NativeRights::NONE, |all, (.., right)| all.and(*right)), NativeRights::ALL);
    }
}
