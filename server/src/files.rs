//! Small files that must survive power loss: written beside, synced, renamed, and the folder synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Readable by the owner alone, for half of these files are secrets.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

/// A secret of 32 bytes that is made at the first start and kept.
pub(crate) fn secret(path: &Path, entropy: &dyn runtime::Entropy) -> io::Result<[u8; 32]> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| io::Error::other(format!("{} is damaged", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            entropy.fill(&mut secret);
            write_durably(path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// A folder for this user alone, unless it is there already: then its owner has decided.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Locks a data folder for this process; two on one folder would destroy each other's work.
pub(crate) fn lock(data: &Path) -> io::Result<File> {
    private_folder(data)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(data.join("lock"))?;
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => io::Error::other(format!("{} is in use by another process", data.display())),
        fs::TryLockError::Error(error) => error,
    })?;
    Ok(file)
}
