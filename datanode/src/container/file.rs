//! Bytes in a container's file, at given places.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Deref;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use datanode_core::record::{Body, Draft, HEADER_BYTES, Header, RECORD_ALIGN, Salt};
use datanode_core::space::Span;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev};

use crate::disk::{Need, Room, Step};

/// A container's file, open for reading and writing.
#[derive(Debug)]
pub(crate) struct DataFile {
    file: File,
    room: Arc<Room>,
    /// Whether something was written to it that no sync has begun after.
    is_unsynced: AtomicBool,
}

impl Deref for DataFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl DataFile {
    pub(crate) fn over(file: File, room: Arc<Room>) -> Self {
        Self { file, room, is_unsynced: AtomicBool::new(false) }
    }

    pub(crate) fn open(path: &Path, room: &Arc<Room>) -> io::Result<Self> {
        let open = || File::options().read(true).write(true).open(path);
        Ok(Self::over(room.attempt(Step::Open, Need::Data, open)?, Arc::clone(room)))
    }

    /// An empty one; what is there under this name goes.
    pub(crate) fn create(path: &Path, room: &Arc<Room>, need: Need) -> io::Result<Self> {
        let create = || OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path);
        Ok(Self::over(room.attempt(Step::Create, need, create)?, Arc::clone(room)))
    }

    pub(super) fn is_unsynced(&self) -> bool {
        self.is_unsynced.load(Ordering::Acquire)
    }

    fn write(&self, need: Need, write: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let written = self.room.attempt(Step::Write, need, write);
        // Behind the write: a sync that begins in the middle of it does not speak of it.
        self.is_unsynced.store(true, Ordering::Release);
        written
    }

    pub(crate) fn write_at(&self, need: Need, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write(need, || self.file.write_all_at(bytes, at))
    }

    /// Writes all pieces one behind the other, from `at` on, without joining them first.
    pub(crate) fn write_pieces(&self, pieces: &[Bytes], at: u64) -> io::Result<()> {
        self.write(Need::Data, || write_pieces(&self.file, pieces, at))
    }

    /// Writes records one behind the other from `at` on, each with its payload.
    ///
    /// If that fails, none of them can be taken for whole: headers may have come further than their payloads.
    pub(crate) fn write_records(&self, need: Need, salt: Salt, records: &[(Draft, &[u8])], at: u64) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let length: u64 = records.iter().map(|(draft, _)| draft.span()).sum();
        let mut bytes = Vec::with_capacity(length as usize);
        for (draft, payload) in records {
            draft.encode(salt, at + bytes.len() as u64, &mut bytes);
            bytes.extend_from_slice(payload);
            bytes.resize(bytes.len().next_multiple_of(RECORD_ALIGN as usize), 0);
        }
        let outcome = self.write_at(need, &bytes, at);
        if outcome.is_err() {
            let mut from = at;
            for (draft, _) in records {
                // Where a header was written there is room for zeros in its place; where none was, there is none to undo.
                let _ = self.file.write_all_at(&[0; HEADER_BYTES], from);
                from += draft.span();
            }
        }
        outcome
    }

    /// Everything written before the call is on the disk when it returns well.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.is_unsynced.store(false, Ordering::Release);
        self.room.attempt(Step::Sync, Need::Data, || self.file.sync_data())
    }

    /// As [`Self::sync`], for a file whose name or length matters.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.is_unsynced.store(false, Ordering::Release);
        self.room.attempt(Step::Sync, Need::Data, || self.file.sync_all())
    }

    /// Gives a stretch back to the file system. The file keeps its length; the stretch reads as zeros.
    pub(crate) fn punch(&self, span: Span) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Even that may need space, for the file system's own notes.
        let punched = self.room.attempt(Step::Punch, Need::Upkeep, || {
            fallocate(&self.file, flags, span.start, span.bytes()).map_err(io::Error::from)
        });
        match punched {
            // Such a file system keeps the space until the container goes; nothing else depends on it.
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => Ok(()),
            punched => punched,
        }
    }
}

/// Linux takes no more slices in one call.
const SLICES_MAX: usize = 1024;

fn write_pieces(file: &File, pieces: &[Bytes], mut at: u64) -> io::Result<()> {
    let mut rest: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).filter(|piece| !piece.is_empty()).collect();
    let mut from = 0;
    while from < rest.len() {
        let slices: Vec<IoSlice<'_>> = rest[from..].iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
        let mut written = match pwritev(file, &slices, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        at += written as u64;
        while written > 0 {
            let first = rest[from];
            if written < first.len() {
                rest[from] = &first[written..];
                break;
            }
            written -= first.len();
            from += 1;
        }
    }
    Ok(())
}

/// The bytes, if they are in memory already; nothing if reading them would wait for the disk.
pub(crate) fn read_cached(file: &File, length: usize, at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; length];
    match preadv2(file, &mut [IoSliceMut::new(&mut buffer)], at, ReadWriteFlags::NOWAIT) {
        Ok(read) if read == length => Ok(Some(buffer)),
        // Some file systems do not know how to answer; the other way works everywhere.
        Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn read(file: &File, length: usize, at: u64) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, at)?;
    Ok(buffer)
}

/// The record at `at`, if a whole one begins there.
pub(crate) fn read_record(file: &File, salt: Salt, at: u64) -> io::Result<Option<(Header, Body)>> {
    let Some(header) = read_up_to::<HEADER_BYTES>(file, at)? else { return Ok(None) };
    let Some(header) = Header::parse(&header, at) else { return Ok(None) };
    match read(file, header.layout.body as usize, at + HEADER_BYTES as u64) {
        Ok(body) => Ok(header.body(salt, &body).map(|body| (header, body))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_up_to<const N: usize>(file: &File, at: u64) -> io::Result<Option<[u8; N]>> {
    let mut buffer = [0; N];
    match file.read_exact_at(&mut buffer, at) {
        Ok(()) => Ok(Some(buffer)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_number_and_size_arrive_in_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        let file = DataFile::create(&path, &Arc::default(), Need::Data).expect("a file");
        let pieces: Vec<Bytes> = (0..3000u32).map(|i| Bytes::from(vec![i as u8; (i % 7) as usize])).collect();
        file.write_pieces(&pieces, 100).expect("written");
        let expected = pieces.concat();
        assert_eq!(read(&file, expected.len(), 100).expect("read"), expected);
        let cached = read_cached(&file, expected.len(), 100).expect("asked");
        assert!(cached.is_none_or(|bytes| bytes == expected));
        assert_eq!(read_cached(&file, 10, 1 << 30).expect("asked"), None, "beyond the end");
    }
}
