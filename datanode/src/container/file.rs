//! Bytes in a container's file, at given places.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use datanode_core::record::{Body, Draft, HEADER_BYTES, Header, RECORD_ALIGN, Salt};
use datanode_core::space::Span;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev};

/// Linux takes no more slices in one call.
const SLICES_MAX: usize = 1024;

/// Writes all pieces one behind the other, from `at` on, without joining them first.
pub(crate) fn write_pieces(file: &File, pieces: &[Bytes], mut at: u64) -> io::Result<()> {
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

/// Gives a stretch back to the file system. The file keeps its length; the stretch reads as zeros.
pub(crate) fn punch(file: &File, span: Span) -> io::Result<()> {
    match fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, span.start, span.bytes()) {
        // Such a file system keeps the space until the container goes; nothing else depends on it.
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
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

/// Writes records one behind the other from `at` on, each with its payload.
///
/// If that fails, none of them can be taken for whole: headers may have come further than their payloads.
pub(crate) fn write_records(file: &File, salt: Salt, records: &[(Draft, &[u8])], at: u64) -> io::Result<()> {
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
    let outcome = file.write_all_at(&bytes, at);
    if outcome.is_err() {
        let mut from = at;
        for (draft, _) in records {
            // Where a header was written there is room for zeros in its place; where none was, there is none to undo.
            let _ = file.write_all_at(&[0; HEADER_BYTES], from);
            from += draft.span();
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_number_and_size_arrive_in_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path).expect("a file");
        let pieces: Vec<Bytes> = (0..3000u32).map(|i| Bytes::from(vec![i as u8; (i % 7) as usize])).collect();
        write_pieces(&file, &pieces, 100).expect("written");
        let expected = pieces.concat();
        assert_eq!(read(&file, expected.len(), 100).expect("read"), expected);
        let cached = read_cached(&file, expected.len(), 100).expect("asked");
        assert!(cached.is_none_or(|bytes| bytes == expected));
        assert_eq!(read_cached(&file, 10, 1 << 30).expect("asked"), None, "beyond the end");
    }
}
