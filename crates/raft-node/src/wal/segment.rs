//! Segment files: filled with zeros before use, written in place, used again when nothing in them matters.
//!
//! A segment's size never changes while it is written, so a sync of its data has no metadata to write. Its name says its place in
//! the log; it gets that name only once it is whole and synced under another, so a file named `wal-…` always has a valid header.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use runtime::{Entropy, SystemEntropy};

use super::frame::Codec;

/// The first frame stands here. A page, so that no write of frames touches the header's.
pub(super) const FIRST_FRAME: u64 = 4096;
const MAGIC: [u8; 8] = *b"TRIOXWAL";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 40;
const ZEROS: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) sequence: u64,
    pub(super) size: u64,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) codec: Codec,
}

pub(super) fn segment_path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("wal-{sequence:016x}.seg"))
}

fn spare_path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("spare-{sequence:016x}.seg"))
}

/// What a name in the log's folder says.
pub(super) enum Name {
    Segment(u64),
    /// Left over from a preparation that a crash cut off.
    Spare,
    Other,
}

pub(super) fn read_name(name: &str) -> Name {
    let Some(stem) = name.strip_suffix(".seg") else { return Name::Other };
    if stem.starts_with("spare-") {
        return Name::Spare;
    }
    match stem.strip_prefix("wal-").map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(sequence)) => Name::Segment(sequence),
        _ => Name::Other,
    }
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

impl Segment {
    /// Takes the name from a segment that is to be used again as `sequence`. That goes first, and before anything newer is deleted:
    /// a crash in between leaves a spare, which is dropped, and never a gap or a segment with another's header.
    pub(super) fn give_up_name(mut self, dir: &Path, sequence: u64) -> io::Result<Self> {
        let spare = spare_path(dir, sequence);
        std::fs::rename(&self.path, &spare)?;
        self.path = spare;
        Ok(self)
    }

    /// Makes a segment that is ready to be written: a new file full of zeros, or a former one, its name given up, under a new salt.
    pub(super) fn prepare(dir: &Path, sequence: u64, size: u64, former: Option<Self>) -> io::Result<Self> {
        let spare = spare_path(dir, sequence);
        let (file, size) = match former {
            Some(former) => {
                sync_dir(dir)?;
                (former.file, former.size)
            }
            None => {
                let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&spare)?;
                fill_with_zeros(&file, size)?;
                (file, size)
            }
        };
        let salt = SystemEntropy.u64();
        file.write_all_at(&header(sequence, size, salt), 0)?;
        file.sync_all()?;
        let path = segment_path(dir, sequence);
        std::fs::rename(&spare, &path)?;
        sync_dir(dir)?;
        Ok(Self { sequence, size, path, file, codec: Codec::new(salt) })
    }

    /// Opens a segment of a former run. Nothing: its header is damaged.
    pub(super) fn open(path: PathBuf, sequence: u64) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut bytes = [0; HEADER_BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let Some((size, salt)) = read_header(&bytes, sequence) else { return Ok(None) };
        if file.metadata()?.len() < size {
            return Ok(None);
        }
        Ok(Some(Self { sequence, size, path, file, codec: Codec::new(salt) }))
    }

    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

fn fill_with_zeros(file: &File, size: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS];
    let mut at = 0;
    while at < size {
        let length = ZEROS.min((size - at) as usize);
        file.write_all_at(&zeros[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

fn header(sequence: u64, size: u64, salt: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&sequence.to_le_bytes());
    bytes[20..28].copy_from_slice(&size.to_le_bytes());
    bytes[28..36].copy_from_slice(&salt.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..36]);
    bytes[36..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Size and salt.
fn read_header(bytes: &[u8; HEADER_BYTES], sequence: u64) -> Option<(u64, u64)> {
    let size = u64::from_le_bytes(std::array::from_fn(|i| bytes[20 + i]));
    let salt = u64::from_le_bytes(std::array::from_fn(|i| bytes[28 + i]));
    (*bytes == header(sequence, size, salt)).then_some((size, salt))
}
