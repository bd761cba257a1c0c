//! Cutting a damaged log off where the damage begins.
//!
//! What stood behind the damage was synced: entries that others count on, votes that must not be given twice. So this is for a
//! member whose group has a healthy majority without it (it should then be removed and join anew), or for a group of one whose
//! owner accepts the loss. Nothing is deleted: what is cut off is kept in a folder beside.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use types::{GroupId, LogIndex};

use super::lock;
use super::recovery::recover;
use super::segment::{Name, read_name, sync_dir};
use crate::OpenError;

/// What a repair found, and did if it was told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalRepair {
    /// Each place where the log was damaged: file, byte, what is wrong. Only the first, if nothing was changed.
    pub damages: Vec<(PathBuf, u64, String)>,
    /// Where copies of what was cut off are, if anything was.
    pub kept_in: Option<PathBuf>,
    /// The last entry of each group, as the log now reads; nothing while it does not.
    pub groups: Vec<(GroupId, LogIndex)>,
}

/// How often one cut may uncover another damage before the log is given up.
const CUTS: usize = 64;

/// Looks at the log of a process that does not run. With `cut`, ends it where the first damage begins.
pub fn repair_wal(dir: &Path, cut: bool) -> Result<WalRepair, OpenError> {
    let _lock = lock(dir)?;
    let kept = dir.join("cut-off");
    let mut damages = Vec::new();
    for _ in 0..CUTS {
        match recover(dir, 0) {
            Ok(recovered) => {
                let last = |log: &super::GroupLog| LogIndex(log.extent().last.map_or(0, |last| last.index));
                let mut groups: Vec<_> = recovered.index.groups.iter().map(|(group, log)| (*group, last(log))).collect();
                groups.sort_unstable();
                let kept_in = (!damages.is_empty()).then(|| kept.clone());
                return Ok(WalRepair { damages, kept_in, groups });
            }
            Err(OpenError::Damaged { file, offset, what, .. }) => {
                damages.push((file.clone(), offset, what));
                if !cut {
                    return Ok(WalRepair { damages, kept_in: None, groups: Vec::new() });
                }
                cut_off(dir, &kept, &file, offset).map_err(OpenError::io("cutting off", &file))?;
            }
            Err(other) => return Err(other),
        }
    }
    Err(OpenError::Config(format!("the log in {} is damaged in more than {CUTS} places", dir.display())))
}

/// Moves the segments behind `file` away, and what is in `file` from `offset` on.
fn cut_off(dir: &Path, kept: &Path, file: &Path, offset: u64) -> io::Result<()> {
    std::fs::create_dir_all(kept)?;
    let name = |path: &Path| path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let is_segment =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| matches!(read_name(name), Name::Segment(_)));
        // Names sort as their segments do. One that is bad from its first byte goes as a whole.
        if is_segment && (name(&path) > name(file) || (offset == 0 && path == *file)) {
            std::fs::rename(&path, kept.join(name(&path)))?;
        }
    }
    if offset > 0 {
        std::fs::copy(file, kept.join(name(file)))?;
        let file = OpenOptions::new().write(true).open(file)?;
        let length = file.metadata()?.len().saturating_sub(offset);
        file.write_all_at(&vec![0; usize::try_from(length).unwrap_or(0)], offset)?;
        file.sync_all()?;
    }
    sync_dir(kept)?;
    sync_dir(dir)
}
