//! Finds the records of a container's file, past damage, holes and unfinished writes.

use std::fs::File;
use std::io;

use datanode_core::record::{Body, MAGIC, RECORD_ALIGN, Salt};
use datanode_core::replay::Replay;
use datanode_core::rows::CHUNK_BYTES;
use rustix::fs::{SeekFrom, seek};

use super::file::{read, read_record};

/// Looked through at a time where no record is known to begin.
const WINDOW: u64 = 256 * 1024;

/// Which inline blocks' bytes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those behind the last sync that is known of: the header may have come to the disk before the bytes.
    AfterProgress,
    /// All: nothing here is known to have been synced.
    Nothing,
}

/// Gives every record from `from` on to `replay`, in order, and tells where the next one may be written.
pub(crate) fn scan(file: &File, salt: Salt, from: u64, trust: Trust, replay: &mut Replay) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let synced_to = match trust {
        Trust::Nothing => 0,
        Trust::AfterProgress => last_progress(file, salt, from, length)?,
    };
    let mut end = from;
    walk(file, salt, from, length, |header, body| {
        let layout = header;
        end = end.max(layout.end());
        let at = layout.at + u64::from(layout.payload_at);
        let is_whole = |sums: &[u8]| layout.at < synced_to || payload_is_whole(file, at, layout.payload, sums);
        replay.record(layout, body, |inline| is_whole(&inline.sums));
    })?;
    Ok(end.max(length).next_multiple_of(RECORD_ALIGN))
}

fn last_progress(file: &File, salt: Salt, from: u64, length: u64) -> io::Result<u64> {
    let mut last = 0;
    walk(file, salt, from, length, |layout, body| {
        if matches!(body, Body::Progress(_)) {
            last = layout.at;
        }
    })?;
    Ok(last)
}

fn walk(
    file: &File,
    salt: Salt,
    from: u64,
    length: u64,
    mut visit: impl FnMut(datanode_core::record::Layout, Body),
) -> io::Result<()> {
    let mut at = from.next_multiple_of(RECORD_ALIGN);
    while at < length {
        match read_record(file, salt, at)? {
            Some((header, body)) => {
                at = header.layout.end();
                visit(header.layout, body);
            }
            None => match next_candidate(file, at + RECORD_ALIGN, length)? {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    Ok(())
}

/// The next place at or after `at` where the magic of a record stands.
fn next_candidate(file: &File, mut at: u64, length: u64) -> io::Result<Option<u64>> {
    while at < length {
        match seek(file, SeekFrom::Data(at)) {
            Ok(data) => at = at.max(data / RECORD_ALIGN * RECORD_ALIGN),
            Err(rustix::io::Errno::NXIO) => return Ok(None),
            // Without knowledge of holes we read their zeros.
            Err(_) => {}
        }
        let window = read(file, WINDOW.min(length - at) as usize, at)?;
        let found = window.chunks(RECORD_ALIGN as usize).position(|chunk| chunk.starts_with(&MAGIC));
        if let Some(found) = found {
            return Ok(Some(at + found as u64 * RECORD_ALIGN));
        }
        at += WINDOW;
    }
    Ok(None)
}

fn payload_is_whole(file: &File, at: u64, length: u32, sums: &[u8]) -> bool {
    let Ok(payload) = read(file, length as usize, at) else { return false };
    let expected = payload.chunks(CHUNK_BYTES as usize).flat_map(|chunk| datanode_api::chunk_checksum(chunk).to_le_bytes());
    expected.eq(sums.iter().copied())
}
