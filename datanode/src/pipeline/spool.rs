//! Frames in a file that has no name any more: it goes with the process, or sooner.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tables::StorageFault;

pub(super) enum Spool {
    Filling(BufWriter<File>),
    Reading(BufReader<File>),
    /// Something failed; what follows would not be what was put in.
    Broken,
}

fn fault(error: impl std::fmt::Display) -> StorageFault {
    StorageFault(format!("the file of a snapshot: {error}"))
}

impl Spool {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        fs::remove_file(path)?;
        Ok(Self::Filling(BufWriter::new(file)))
    }

    pub(super) fn push(&mut self, frame: &[u8]) -> Result<(), StorageFault> {
        let Self::Filling(file) = self else { return Err(fault("it takes no more")) };
        let head = [(frame.len() as u32).to_le_bytes(), crc32c::crc32c(frame).to_le_bytes()].concat();
        let written = file.write_all(&head).and_then(|()| file.write_all(frame));
        written.map_err(|error| {
            *self = Self::Broken;
            fault(error)
        })
    }

    /// No more comes; reading begins with the first.
    pub(super) fn rewind(&mut self) -> Result<(), StorageFault> {
        let mut file = match std::mem::replace(self, Self::Broken) {
            Self::Filling(file) => file.into_inner().map_err(|error| fault(error.error()))?,
            Self::Reading(file) => file.into_inner(),
            Self::Broken => return Err(fault("it broke before")),
        };
        file.rewind().map_err(fault)?;
        *self = Self::Reading(BufReader::new(file));
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, StorageFault> {
        let Self::Reading(file) = self else { return Err(fault("it is not being read")) };
        let mut head = [0; 8];
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(fault)?,
        }
        let [a, b, c, d, sum @ ..] = head;
        let mut frame = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        file.read_exact(&mut frame).map_err(fault)?;
        if crc32c::crc32c(&frame) != u32::from_le_bytes(sum) {
            return Err(fault("it reads back otherwise"));
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_and_leave_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut spool = Spool::create(&dir.path().join("f")).expect("made");
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
        let frames: Vec<Vec<u8>> = (0..100u32).map(|i| vec![i as u8; (i * i) as usize]).collect();
        for frame in &frames {
            spool.push(frame).expect("taken");
        }
        for _ in 0..2 {
            spool.rewind().expect("rewinds");
            for frame in &frames {
                assert_eq!(spool.next().expect("reads").as_ref(), Some(frame));
            }
            assert_eq!(spool.next().expect("reads"), None);
        }
    }
}
