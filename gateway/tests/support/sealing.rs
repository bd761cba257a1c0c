//! Encryption, as far as a namespace in memory needs it: one data key for everything, salts that count.

use om_api::*;
use types::sealed::plain_length;
use types::{Salt, SealedStream};
use zeroize::Zeroizing;

/// The salts of an encrypted object's streams, and how long they are.
pub type Streams = Vec<(Salt, u64)>;

pub fn data_key() -> DataKey {
    DataKey::new(Zeroizing::new([7; 32]))
}

pub fn info(wanted: Option<&EncryptionWanted>, number: u64) -> Option<EncryptionInfo> {
    let counted = salt(number);
    match wanted? {
        EncryptionWanted::Customer { salt, check } => {
            Some(EncryptionInfo { scheme: EncryptionScheme::Customer(*check), salt: *salt })
        }
        EncryptionWanted::Kms { key, context, bucket_key } => {
            let (key, context) = (key.clone()?, context.clone());
            Some(EncryptionInfo { scheme: EncryptionScheme::Kms { key, context, bucket_key: *bucket_key }, salt: counted })
        }
        EncryptionWanted::Store => Some(EncryptionInfo { scheme: EncryptionScheme::Store, salt: counted }),
        EncryptionWanted::ByDefault { .. } | EncryptionWanted::Unusable => None,
    }
}

pub fn salt(number: u64) -> Salt {
    Salt(u128::from(number).to_be_bytes())
}

/// What opens what this seals.
pub fn key_of(info: &EncryptionInfo) -> Option<DataKey> {
    (!matches!(info.scheme, EncryptionScheme::Customer(_))).then(data_key)
}

pub fn seal_with(info: EncryptionInfo, stream: Salt) -> SealWith {
    SealWith { data_key: key_of(&info), info, stream }
}

pub fn size(blocks: &[CommittedBlock], is_sealed: bool) -> u64 {
    let stored = blocks.iter().map(|block| block.length).sum();
    if is_sealed { plain_length(stored).expect("whole segments") } else { stored }
}

fn layout(streams: &Streams) -> Vec<SealedStream> {
    let mut placed: Vec<SealedStream> = Vec::new();
    for (salt, length) in streams {
        let (first, stored_first) = placed.last().map_or((0, 0), |last| (last.end(), last.stored_end()));
        placed.push(SealedStream { salt: *salt, first, stored_first, length: *length });
    }
    placed
}

/// The stored bytes under some of an object's, first and behind the last.
pub fn stored(streams: &Streams, first: u64, length: u64) -> (u64, u64) {
    let placed = layout(streams);
    let of = |position: u64| placed.iter().find(|stream| (stream.first..stream.end()).contains(&position)).expect("in it");
    if length == 0 {
        return (0, 0);
    }
    let last = first + length - 1;
    (of(first).segment_start(first), of(last).segment_end(last))
}

/// Only the streams that a reader cannot do without, so that it is seen to ask for the others.
pub fn open_with(
    info: &EncryptionInfo,
    streams: &Streams,
    (stored_first, stored_end): (u64, u64),
    located: &[BlockPiece],
) -> Option<OpenWith> {
    let (first, last) = (located.first()?, located.last()?);
    let end = last.object_offset + last.length;
    let streams =
        layout(streams).into_iter().filter(|stream| stream.stored_end() > first.object_offset && stream.stored_first < end);
    Some(OpenWith { data_key: key_of(info), stored_first, stored_end, streams: streams.collect() })
}
