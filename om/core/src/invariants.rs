//! What must hold over all tables after every entry. Tests and simulations ask [`violations`]; a running member does not, since
//! it reads everything.

use std::collections::{BTreeMap, BTreeSet};

use ::tables::{ReadTables, StorageFault, Table, Visit};
use bucket_config::ConfigKind;
use minicbor::Decode;
use types::sealed::stored_length;
use types::{BlockId, BucketId, LogIndex, VolumeName};

use crate::rows::{
    AccessKeyId, AccessKeyRow, BucketConfigRow, BucketRow, CompletedRow, CredentialRow, KeyRow, PartRow, Piece, ReclaimRow,
    Sequence, SessionRow, UserId, UserRow, VersionRow, access_key_of_user, be64, block_key, completed_time_key,
    decode_version_key, delegation_key, email_key, expiry_key, iam_access_key, name_key, named, user_bucket_key,
};
use crate::sealed::stored_size;
use crate::tables;

/// Every sentence that does not hold.
pub fn violations(tables: &dyn ReadTables) -> Result<Vec<String>, StorageFault> {
    let mut found = Vec::new();
    blocks_are_referred_to_as_often_as_counted(tables, &mut found)?;
    pieces_add_up_to_sizes(tables, &mut found)?;
    stacks_of_versions_are_in_order(tables, &mut found)?;
    buckets_and_their_indexes_agree(tables, &mut found)?;
    configurations_lie_under_their_kind(tables, &mut found)?;
    buckets_know_whether_they_have_a_lifecycle(tables, &mut found)?;
    logged_buckets_are_those_with_a_document(tables, &mut found)?;
    buckets_know_whether_they_have_somebody_told(tables, &mut found)?;
    nothing_lies_in_a_bucket_that_is_gone(tables, &mut found)?;
    parts_have_their_upload(tables, &mut found)?;
    completions_and_their_times_agree(tables, &mut found)?;
    identities_and_their_indexes_agree(tables, &mut found)?;
    volumes_are_there(tables, &mut found)?;
    credentials_and_their_indexes_agree(tables, &mut found)?;
    Ok(found)
}

fn each(
    tables: &dyn ReadTables,
    table: Table,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StorageFault>,
) -> Result<(), StorageFault> {
    tables.scan(table, b"", &mut |key, value| visit(key, value).map(|()| Visit::Next))
}

fn each_row<R: for<'b> Decode<'b, ()>>(
    tables: &dyn ReadTables,
    table: Table,
    mut visit: impl FnMut(&[u8], R) -> Result<(), StorageFault>,
) -> Result<(), StorageFault> {
    each(tables, table, |key, value| visit(key, ::tables::decode(value, table.name)?))
}

/// Of every account and every bucket. S3's own needs no row.
fn volumes_are_there(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let mut named: BTreeSet<VolumeName> = BTreeSet::new();
    each_row(tables, tables::USERS, |_, row: UserRow| {
        named.insert(row.home().clone());
        Ok(())
    })?;
    each_row(tables, tables::BUCKETS, |_, row: BucketRow| {
        named.insert(row.volume);
        Ok(())
    })?;
    for volume in named.iter().filter(|volume| !volume.is_s3v()) {
        if crate::namespace::volume(tables, volume)?.is_none() {
            found.push(format!("there is no volume {volume}, in which an account or a bucket is"));
        }
    }
    Ok(())
}

/// A live block has one reference a piece or session, of which all but the first are counted; a block is live or deleted, and
/// deleted once.
fn blocks_are_referred_to_as_often_as_counted(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let mut references: BTreeMap<BlockId, u64> = BTreeMap::new();
    let mut refer = |pieces: &[Piece]| pieces.iter().for_each(|piece| *references.entry(piece.block).or_default() += 1);
    each_row(tables, tables::KEYS, |_, row: KeyRow| {
        refer(&row.body.pieces);
        Ok(())
    })?;
    each_row(tables, tables::VERSIONS, |_, row: VersionRow| {
        if let VersionRow::Object(row) = row {
            refer(&row.body.pieces);
        }
        Ok(())
    })?;
    each_row(tables, tables::PARTS, |_, row: PartRow| {
        refer(&row.pieces);
        Ok(())
    })?;
    let mut handed_out = BTreeSet::new();
    each_row(tables, tables::OPEN_KEYS, |_, row: SessionRow| {
        for block in row.blocks {
            if !handed_out.insert(block) || references.contains_key(&block) {
                found.push(format!("{block} is handed out although it is in use"));
            }
        }
        Ok(())
    })?;
    let mut extra: BTreeMap<Vec<u8>, u64> =
        references.iter().filter(|(_, count)| **count > 1).map(|(block, count)| (block_key(*block), count - 1)).collect();
    each_row(tables, tables::BLOCK_REFS, |key, counted: u32| {
        let there = extra.remove(key).unwrap_or(0);
        if there != u64::from(counted) {
            found.push(format!("a block has {there} references besides the first, and {counted} are counted"));
        }
        Ok(())
    })?;
    found.extend(extra.values().map(|there| format!("a block has {there} references that are not counted")));
    let mut deleted = BTreeSet::new();
    each_row(tables, tables::DELETED, |_, row: ReclaimRow| {
        for block in row.blocks {
            if !deleted.insert(block) {
                found.push(format!("{block} is deleted twice"));
            }
            if references.contains_key(&block) || handed_out.contains(&block) {
                found.push(format!("{block} is deleted although it is in use"));
            }
        }
        Ok(())
    })
}

fn pieces_add_up_to_sizes(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let sum = |pieces: &[Piece]| pieces.iter().map(|piece| piece.length).sum::<u64>();
    let sealed = |is_sealed: bool, size: u64| if is_sealed { stored_length(size) } else { size };
    let mut look = |row: &KeyRow| {
        let parts: u64 = row.body.parts.iter().map(|part| part.size).sum();
        if row.body.parts.iter().any(|part| part.salt.is_some() != row.body.encryption.is_some()) {
            found.push(format!("{} is sealed in some of its parts", row.head.object));
        }
        let stored = stored_size(&row.body, row.head.size);
        if sum(&row.body.pieces) != stored || (!row.body.parts.is_empty() && parts != row.head.size) {
            found.push(format!("{} is not as large as its pieces or parts", row.head.object));
        }
    };
    each_row(tables, tables::KEYS, |_, row: KeyRow| {
        look(&row);
        Ok(())
    })?;
    each_row(tables, tables::VERSIONS, |_, row: VersionRow| {
        if let VersionRow::Object(row) = &row {
            look(row);
        }
        Ok(())
    })?;
    each_row(tables, tables::PARTS, |_, row: PartRow| {
        if sum(&row.pieces) != sealed(row.salt.is_some(), row.size) {
            found.push(format!("the part {} is not as large as its pieces", row.object));
        }
        Ok(())
    })
}

/// The newest version of a key that shows nothing is a delete marker; what is older says since when; null versions are known.
fn stacks_of_versions_are_in_order(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let mut current = BTreeMap::new();
    each_row(tables, tables::KEYS, |key, row: KeyRow| {
        if row.head.noncurrent.is_some() {
            found.push(format!("{} is current and says since when it is not", row.head.object));
        }
        current.insert(key.to_vec(), (row.head.sequence, row.head.version));
        Ok(())
    })?;
    let (mut nulls, mut seen) = (BTreeMap::new(), BTreeSet::new());
    each_row(tables, tables::VERSIONS, |at, row: VersionRow| {
        let (name, sequence) = decode_version_key(at)?;
        let key = [&at[..8], name.as_bytes()].concat();
        let (own, version, noncurrent) = match &row {
            VersionRow::Object(row) => (row.head.sequence, row.head.version, row.head.noncurrent),
            VersionRow::Marker(marker) => (marker.sequence, marker.version, marker.noncurrent),
        };
        let is_newest = seen.insert(key.clone()) && !current.contains_key(&key);
        if is_newest != noncurrent.is_none() || (is_newest && matches!(row, VersionRow::Object(_))) {
            found.push(format!("version {version} of {name} is not where its time says"));
        }
        if own != sequence || (!version.is_null() && version.0 != sequence.0) {
            found.push(format!("version {version} of {name} lies under another sequence"));
        }
        if current.get(&key).is_some_and(|(newer, null)| *newer <= sequence || (null.is_null() && version.is_null())) {
            found.push(format!("version {version} of {name} is not older than the current one"));
        }
        if version.is_null() && nulls.insert(key, sequence).is_some() {
            found.push(format!("{name} has two null versions"));
        }
        Ok(())
    })?;
    let mut there = BTreeMap::new();
    each_row(tables, tables::NULL_VERSIONS, |key, sequence: Sequence| {
        there.insert(key.to_vec(), sequence);
        Ok(())
    })?;
    if there != nulls {
        found.push("null versions are not where they are said to be".to_owned());
    }
    Ok(())
}

fn buckets_and_their_indexes_agree(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let (mut names, mut owned) = (BTreeMap::new(), BTreeMap::new());
    each_row(tables, tables::BUCKETS, |key, row: BucketRow| {
        if be64(tables::BUCKETS, key, 0)? != row.id.0 {
            found.push(format!("{} lies under another id", row.id));
        }
        names.insert(name_key(&row.volume, &row.name), row.id);
        owned.insert(user_bucket_key(&row.owner, &row.volume, &row.name), row.id);
        Ok(())
    })?;
    for (table, expected) in [(tables::BUCKET_NAMES, names), (tables::USER_BUCKETS, owned)] {
        let mut there = BTreeMap::new();
        each_row(tables, table, |key, id: BucketId| {
            there.insert(key.to_vec(), id);
            Ok(())
        })?;
        if there != expected {
            found.push(format!("{} does not name the buckets that exist", table.name));
        }
    }
    Ok(())
}

fn configurations_lie_under_their_kind(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    each_row(tables, tables::BUCKET_CONFIGS, |key, row: BucketConfigRow| {
        if key.get(8..) != Some(&[row.document.kind().number()]) {
            found.push(format!("a {:?} document lies under another kind", row.document.kind()));
        }
        Ok(())
    })
}

fn nothing_lies_in_a_bucket_that_is_gone(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let ids = |table: Table| {
        let mut ids = BTreeSet::new();
        each(tables, table, |key, _| {
            ids.insert(be64(table, key, 0)?);
            Ok(())
        })
        .map(|()| ids)
    };
    let (live, ending) = (ids(tables::BUCKETS)?, ids(tables::ENDING_BUCKETS)?);
    if !live.is_disjoint(&ending) {
        found.push("a bucket exists and is ending".to_owned());
    }
    for table in [tables::KEYS, tables::VERSIONS, tables::NULL_VERSIONS, tables::BUCKET_CONFIGS, tables::PREFIXES] {
        if !ids(table)?.is_subset(&live) {
            found.push(format!("{} has rows of a bucket that is gone", table.name));
        }
    }
    let reachable: BTreeSet<u64> = live.union(&ending).copied().collect();
    for table in [tables::UPLOADS, tables::PARTS, tables::COMPLETED_UPLOADS] {
        if !ids(table)?.is_subset(&reachable) {
            found.push(format!("{} has rows of a bucket that is gone", table.name));
        }
    }
    Ok(())
}

fn buckets_know_whether_they_have_a_lifecycle(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let (mut known, mut documents, mut index) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    each_row(tables, tables::BUCKETS, |_, row: BucketRow| {
        known.extend(row.lifecycle.map(|rules| (row.id, rules)));
        Ok(())
    })?;
    each_row(tables, tables::BUCKET_CONFIGS, |key, row: BucketConfigRow| {
        if row.document.kind() == ConfigKind::Lifecycle {
            documents.insert(BucketId(be64(tables::BUCKET_CONFIGS, key, 0)?));
        }
        Ok(())
    })?;
    each_row(tables, tables::LIFECYCLE_BUCKETS, |key, rules: LogIndex| {
        index.insert(BucketId(be64(tables::LIFECYCLE_BUCKETS, key, 0)?), rules);
        Ok(())
    })?;
    if known != index || !known.keys().eq(&documents) {
        found.push("buckets, lifecycle documents and their index do not agree".to_owned());
    }
    Ok(())
}

fn buckets_know_whether_they_have_somebody_told(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let (mut known, mut documents) = (BTreeSet::new(), BTreeSet::new());
    each_row(tables, tables::BUCKETS, |_, row: BucketRow| {
        known.extend(row.notifies.map(|_| row.id));
        Ok(())
    })?;
    each_row(tables, tables::BUCKET_CONFIGS, |key, row: BucketConfigRow| {
        if row.document.kind() == ConfigKind::Notification {
            documents.insert(BucketId(be64(tables::BUCKET_CONFIGS, key, 0)?));
        }
        Ok(())
    })?;
    if known != documents {
        found.push("buckets and documents of notifications do not agree".to_owned());
    }
    Ok(())
}

fn logged_buckets_are_those_with_a_document(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let (mut documents, mut index) = (BTreeSet::new(), BTreeSet::new());
    each_row(tables, tables::BUCKET_CONFIGS, |key, row: BucketConfigRow| {
        if row.document.kind() == ConfigKind::Logging {
            documents.insert(be64(tables::BUCKET_CONFIGS, key, 0)?);
        }
        Ok(())
    })?;
    each(tables, tables::LOGGED_BUCKETS, |key, _| {
        index.insert(be64(tables::LOGGED_BUCKETS, key, 0)?);
        Ok(())
    })?;
    if documents != index {
        found.push("documents of access logs and their index do not agree".to_owned());
    }
    Ok(())
}

fn parts_have_their_upload(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    each(tables, tables::PARTS, |key, _| {
        let is_known = tables.get(tables::UPLOADS, &key[..key.len() - 2])?.is_some();
        if !is_known {
            found.push("a part has no upload".to_owned());
        }
        Ok(())
    })
}

fn completions_and_their_times_agree(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let mut expected = BTreeSet::new();
    each_row(tables, tables::COMPLETED_UPLOADS, |key, row: CompletedRow| {
        expected.insert(completed_time_key(row.completed, key));
        if tables.get(tables::UPLOADS, key)?.is_some() {
            found.push("an upload is in flight and completed".to_owned());
        }
        Ok(())
    })?;
    let mut there = BTreeSet::new();
    each(tables, tables::COMPLETED_BY_TIME, |key, _| {
        there.insert(key.to_vec());
        Ok(())
    })?;
    if there != expected {
        found.push("completions and their times do not agree".to_owned());
    }
    Ok(())
}

fn identities_and_their_indexes_agree(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let (mut users, mut emails) = (BTreeSet::new(), BTreeMap::new());
    each_row(tables, tables::USERS, |_, row: UserRow| {
        if let Some(email) = &row.email {
            emails.insert(email_key(email), row.id.clone());
        }
        users.insert(row.id);
        Ok(())
    })?;
    let mut there = BTreeMap::new();
    each_row(tables, tables::EMAILS, |key, id: UserId| {
        there.insert(key.to_vec(), id);
        Ok(())
    })?;
    if there != emails {
        found.push("e-mail addresses and users do not agree".to_owned());
    }
    let mut expected = BTreeSet::new();
    each_row(tables, tables::ACCESS_KEYS, |key, row: AccessKeyRow| {
        if !users.contains(&row.user) {
            found.push(format!("an access key belongs to {:?}, who does not exist", row.user));
        }
        let name = AccessKeyId(String::from_utf8_lossy(key).into_owned());
        expected.insert(match &row.holder {
            None => (false, access_key_of_user(&row.user, &name)),
            Some(holder) => (true, iam_access_key(&row.user, holder, &name)),
        });
        if let Some(holder) = &row.holder
            && tables.get(tables::IAM_USERS, &named(&row.user, holder))?.is_none()
        {
            found.push(format!("an access key belongs to the user {holder}, who does not exist"));
        }
        Ok(())
    })?;
    let mut there = BTreeSet::new();
    each(tables, tables::IAM_ACCESS_KEYS, |key, _| {
        there.insert((true, key.to_vec()));
        Ok(())
    })?;
    each(tables, tables::USER_ACCESS_KEYS, |key, _| {
        there.insert((false, key.to_vec()));
        Ok(())
    })?;
    if there != expected {
        found.push("access keys and their users do not agree".to_owned());
    }
    Ok(())
}

fn credentials_and_their_indexes_agree(tables: &dyn ReadTables, found: &mut Vec<String>) -> Result<(), StorageFault> {
    let (mut ends, mut tokens) = (BTreeSet::new(), BTreeMap::new());
    each_row(tables, tables::SESSIONS, |key, row: CredentialRow| {
        let name = AccessKeyId(String::from_utf8_lossy(key).into_owned());
        ends.insert(expiry_key(row.expires, &name));
        if let Some(delegation) = &row.delegation {
            if row.expires > delegation.ends {
                found.push(format!("the delegation token {name:?} outlives its last day"));
            }
            tokens.insert(delegation_key(&row.account, delegation.sequence), name);
        }
        Ok(())
    })?;
    let mut there = BTreeSet::new();
    each(tables, tables::SESSIONS_BY_EXPIRY, |key, _| {
        there.insert(key.to_vec());
        Ok(())
    })?;
    if there != ends {
        found.push("temporary credentials and their ends do not agree".to_owned());
    }
    let mut there = BTreeMap::new();
    each_row(tables, tables::DELEGATION_TOKENS, |key, name: AccessKeyId| {
        there.insert(key.to_vec(), name);
        Ok(())
    })?;
    if there != tokens {
        found.push("delegation tokens and their lists do not agree".to_owned());
    }
    Ok(())
}
