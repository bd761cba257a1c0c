//! Small files that must survive power loss: written beside, synced, renamed, and the folder synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
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

/// What a secret's file holds. One that others can read is no secret: it is refused, so that somebody looks.
pub(crate) fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!("{} is readable by others (mode {mode:o}): make it 0600, or its secret anew", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A secret of 32 bytes that is made at the first start and kept.
pub(crate) fn secret(path: &Path, entropy: &dyn runtime::Entropy) -> io::Result<[u8; 32]> {
    match read_secret(path) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::SeededEntropy;

    #[test]
    fn a_secret_is_kept_and_refused_once_others_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let made = secret(&path, &SeededEntropy::new(1)).expect("made");
        assert_eq!(secret(&path, &SeededEntropy::new(2)).expect("kept"), made);
        for mode in [0o640, 0o604, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
            let refused = secret(&path, &SeededEntropy::new(2)).expect_err("open to others");
            assert!(refused.to_string().contains(&format!("mode {mode:o}")), "{refused}");
        }
    }
}
