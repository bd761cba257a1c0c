//! Whose disk it is: a small text file that people can read, and the lock that keeps a second process out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use types::{ClusterId, DatanodeId};

/// Raised when an older release could no longer read what we write.
const FORMAT: u32 = 1;
const FILE: &str = "identity";
const TITLE: &str = "trioxide datanode disk";

/// What a disk knows of itself. The ids of cluster and datanode come with the first registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) disk: u128,
    pub(crate) owner: Option<(ClusterId, DatanodeId)>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the identity file is not readable as one: {0}")]
    Malformed(&'static str),
    #[error("the disk was written by a newer release (format {0})")]
    Newer(u32),
}

impl Identity {
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        match fs::read_to_string(dir.join(FILE)) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Durable when it returns; a crash leaves the old file or the new one.
    pub(crate) fn store(&self, dir: &Path) -> io::Result<()> {
        let temporary = dir.join("identity.tmp");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(self.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(FILE))?;
        sync_dir(dir)
    }

    fn to_text(&self) -> String {
        let mut text = format!("{TITLE}\nformat {FORMAT}\ndisk {:032x}\n", self.disk);
        if let Some((cluster, datanode)) = self.owner {
            text += &format!("cluster {cluster}\ndatanode {}\n", datanode.0);
        }
        let sum = crc32c::crc32c(text.as_bytes());
        text + &format!("checksum {sum:08x}\n")
    }

    fn parse(text: &str) -> Result<Self, IdentityError> {
        let malformed = IdentityError::Malformed;
        let (lines, sum) = text.rsplit_once("checksum ").ok_or(malformed("no checksum"))?;
        let sum = u32::from_str_radix(sum.trim_end(), 16).map_err(|_| malformed("checksum"))?;
        if crc32c::crc32c(lines.as_bytes()) != sum {
            return Err(malformed("the checksum does not match"));
        }
        let mut lines = lines.lines();
        if lines.next() != Some(TITLE) {
            return Err(malformed("title"));
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let format: u32 = field("format").and_then(|text| text.parse().ok()).ok_or(malformed("format"))?;
        if format > FORMAT {
            return Err(IdentityError::Newer(format));
        }
        let disk = field("disk").and_then(|text| u128::from_str_radix(text, 16).ok()).ok_or(malformed("disk"))?;
        let owner = match field("cluster") {
            None => None,
            Some(cluster) => {
                let cluster = ClusterId::parse(cluster).ok_or(malformed("cluster"))?;
                let datanode = field("datanode").and_then(|text| text.parse().ok()).ok_or(malformed("datanode"))?;
                Some((cluster, DatanodeId(datanode)))
            }
        };
        Ok(Self { disk, owner })
    }
}

/// Makes renames, creations and removals in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Held as long as the process uses the disk.
#[derive(Debug)]
pub(crate) struct DiskLock(#[expect(dead_code, reason = "held for its lock")] File);

impl DiskLock {
    /// Nothing if another process holds it.
    pub(crate) fn take(dir: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_and_a_changed_letter_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        for owner in [None, Some((ClusterId::from_u128(77), DatanodeId(3)))] {
            let identity = Identity { disk: 5, owner };
            identity.store(dir.path()).expect("stored");
            assert_eq!(Identity::load(dir.path()).expect("loads"), Some(identity.clone()));
            let text = identity.to_text();
            for i in 0..text.len() - 1 {
                let mut bytes = text.clone().into_bytes();
                bytes[i] ^= 1;
                let changed = String::from_utf8_lossy(&bytes).into_owned();
                assert!(Identity::parse(&changed).is_err(), "byte {i}");
            }
        }
    }

    #[test]
    fn a_second_holder_of_the_lock_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = DiskLock::take(dir.path()).expect("locks");
        assert!(first.is_some());
        assert!(DiskLock::take(dir.path()).expect("asks").is_none());
        drop(first);
        assert!(DiskLock::take(dir.path()).expect("locks").is_some());
    }
}
