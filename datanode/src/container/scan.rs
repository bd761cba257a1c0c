//! Finds the records of a container's file, past damage, holes and unfinished writes.

use std::fs::File;
use std::io;

use datanode_core::record::{Body, MAGIC, RECORD_ALIGN, Salt};
use datanode_core::replay::Replay;
use datanode_core::rows::{CHUNK_BYTES, Extent};
use datanode_core::space::Span;
use rustix::fs::{SeekFrom, seek};

use super::file::{read, read_record};

/// Looked through at a time where no record is known to begin.
const WINDOW: u64 = 256 * 1024;

/// Which blocks' bytes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those behind the last sync that is known of: the record may have come to the disk before the bytes.
    AfterProgress,
    /// All: nothing here is known to have been synced.
    Nothing,
}

/// Gives every record from `from` on to `replay`, in order, and tells where the next one may be written.
pub(crate) fn scan(file: &File, salt: Salt, from: u64, trust: Trust, replay: &mut Replay) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let synced_to = match trust {
        Trust::Nothing => 0,
        Trust::AfterProgress => {
            let ahead = look_ahead(file, salt, from, length)?;
            replay.expect_free(ahead.free);
            ahead.progress_at
        }
    };
    let mut end = from;
    walk(file, salt, from, length, |layout, body| {
        end = end.max(layout.end());
        // By the record that makes a block of them: extents may stand before a sync that they were not part of.
        let is_trusted = layout.at < synced_to;
        replay.record(layout, body, |extent, sums| is_trusted || is_whole(file, extent, sums));
    })?;
    Ok(end.max(length).next_multiple_of(RECORD_ALIGN))
}

/// What has to be known of all of the file before its records are taken.
#[derive(Default)]
struct Ahead {
    /// Where the last record of progress stands.
    progress_at: u64,
    free: Vec<Span>,
}

fn look_ahead(file: &File, salt: Salt, from: u64, length: u64) -> io::Result<Ahead> {
    let mut ahead = Ahead::default();
    walk(file, salt, from, length, |layout, body| match body {
        Body::Progress(_) => ahead.progress_at = layout.at,
        Body::Free(body) => ahead.free.extend(body.spans.iter().map(|(start, end)| Span { start: *start, end: *end })),
        _ => {}
    })?;
    Ok(ahead)
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

fn is_whole(file: &File, extent: &Extent, sums: &[u8]) -> bool {
    let (mut at, mut rest, mut sums) = (extent.payload(), u64::from(extent.length), sums.chunks_exact(4));
    while rest > 0 {
        let length = rest.min(CHUNK_BYTES);
        let Ok(chunk) = read(file, length as usize, at) else { return false };
        if sums.next() != Some(&datanode_api::chunk_checksum(&chunk).to_le_bytes()) {
            return false;
        }
        at += length;
        rest -= length;
    }
    sums.next().is_none()
}
