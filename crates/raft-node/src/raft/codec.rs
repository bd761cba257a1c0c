//! Entries as bytes, in the log and between members: a tag, then what the tag says.

use std::io;

use bytes::Bytes;
use openraft::{Entry, EntryPayload};

use super::types::{
    Payload, RaftEntry, TAG_BLANK, TAG_COMMAND, TAG_MEMBERS, TAG_REQUEST, from_members, from_position, to_members, to_position,
};
use crate::LogPosition;

pub(super) fn encode_entry(entry: &RaftEntry) -> (LogPosition, Bytes) {
    let payload = match &entry.payload {
        EntryPayload::Blank => Bytes::from_static(&[TAG_BLANK]),
        EntryPayload::Normal(payload) => payload.stored().clone(),
        EntryPayload::Membership(members) => {
            let mut bytes = vec![TAG_MEMBERS];
            bytes.extend_from_slice(&tables::encode(&to_members(None, members)));
            Bytes::from(bytes)
        }
    };
    (to_position(&entry.log_id), payload)
}

pub(super) fn decode_entry(at: LogPosition, payload: Bytes) -> io::Result<RaftEntry> {
    let garbled = || io::Error::new(io::ErrorKind::InvalidData, format!("entry {at} does not decode"));
    let payload = match payload.first() {
        Some(&TAG_BLANK) => EntryPayload::Blank,
        Some(&(TAG_COMMAND | TAG_REQUEST)) => EntryPayload::Normal(Payload::from_stored(payload).ok_or_else(garbled)?),
        Some(&TAG_MEMBERS) => {
            let members = minicbor::decode(&payload[1..]).map_err(|_| garbled())?;
            EntryPayload::Membership(from_members(&members).ok_or_else(garbled)?.membership().clone())
        }
        _ => return Err(garbled()),
    };
    Ok(Entry { log_id: from_position(at), payload })
}
