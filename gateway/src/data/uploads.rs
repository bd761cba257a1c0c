//! What never changes about a multipart upload, kept to spare the OM a question for each part.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use types::{ChecksumAlgorithm, ChecksumType, UploadId};

/// Uploads in flight through one gateway are far fewer; beyond it all are forgotten and asked for again.
const KEPT: usize = 10_000;

/// The checksum that an upload was begun with.
#[derive(Debug, Default)]
pub(crate) struct UploadCache(Mutex<BTreeMap<UploadId, Option<(ChecksumAlgorithm, ChecksumType)>>>);

impl UploadCache {
    pub(crate) fn get(&self, upload: UploadId) -> Option<Option<(ChecksumAlgorithm, ChecksumType)>> {
        self.0.lock().get(&upload).copied()
    }

    pub(crate) fn put(&self, upload: UploadId, checksum: Option<(ChecksumAlgorithm, ChecksumType)>) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(upload, checksum);
    }

    pub(crate) fn forget(&self, upload: UploadId) {
        self.0.lock().remove(&upload);
    }
}
